import { randomUUID } from 'node:crypto';
import { aDraft } from '../../../test/support/job-drafts.js';
import { InMemoryJobRepository } from '../in-memory-job-repository.js';
import { JobNotFound } from '../job.errors.js';
import { GetJobStatusUseCase } from './get-job-status.use-case.js';

async function setup() {
  const jobs = new InMemoryJobRepository();
  const [job] = await jobs.insert([aDraft({ tenant: 'a' })]);
  return { jobs, job: job!, getJobStatus: new GetJobStatusUseCase(jobs) };
}

it('tells a job with its attempts, oldest first', async () => {
  const { jobs, job, getJobStatus } = await setup();
  for (const [delivery, outcome] of [
    [1, { outcome: 'failed', error: { code: 'X', message: 'x' }, retryIn: 0 }],
    [2, { outcome: 'completed', result: 'ok' }],
  ] as const) {
    const token = randomUUID();
    await jobs.claim({ jobId: job.id, delivery, token, workerId: randomUUID() });
    await jobs.settle({ jobId: job.id, token, ...outcome });
  }

  const status = await getJobStatus.execute({ tenant: 'a', id: job.id });

  expect(status.job).toMatchObject({ status: 'completed', result: 'ok', attemptsMade: 2 });
  expect(status.attempts).toMatchObject([
    { number: 1, outcome: 'failed', error: { code: 'X' } },
    { number: 2, outcome: 'completed', error: null },
  ]);
});

it.each<[string, { tenant?: string; id?: string }]>([
  ['an unknown id', { id: randomUUID() }],
  ['another tenant’s job', { tenant: 'b' }],
])('finds nothing under %s', async (_what, wrong) => {
  const { job, getJobStatus } = await setup();

  await expect(getJobStatus.execute({ tenant: 'a', id: job.id, ...wrong })).rejects.toBeInstanceOf(
    JobNotFound,
  );
});
