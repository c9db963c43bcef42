import { randomUUID } from 'node:crypto';
import { aDraft } from '../../../test/support/job-drafts.js';
import { InMemoryJobRepository } from '../in-memory-job-repository.js';
import { JobNotFound } from '../job.errors.js';
import { GetJobLogsUseCase } from './get-job-logs.use-case.js';

/** A job that has logged the lines `0`, `1` and so on. */
async function setup(lines: number) {
  const jobs = new InMemoryJobRepository();
  const [job] = await jobs.insert([aDraft({ tenant: 'a' })]);
  const claim = { jobId: job!.id, delivery: 1, token: randomUUID(), workerId: randomUUID() };
  await jobs.claim(claim);
  const logged = Array.from({ length: lines }, (_, n) => ({ at: new Date(), line: `${n}` }));
  await jobs.report({ ...claim, run: 1, attempt: 1, lines: logged });
  return { id: job!.id, getJobLogs: new GetJobLogsUseCase(jobs) };
}

it('pages through the lines, oldest first, and says where to go on', async () => {
  const { id, getJobLogs } = await setup(5);

  const first = await getJobLogs.execute({ tenant: 'a', id, limit: 3 });
  const second = await getJobLogs.execute({ tenant: 'a', id, limit: 3, afterSeq: first.next });

  expect([first, second].map(({ items }) => items.map(({ line }) => line))).toEqual([
    ['0', '1', '2'],
    ['3', '4'],
  ]);
  expect(second.next).toBeUndefined();
});

it('names no next page when the last one is just full', async () => {
  const { id, getJobLogs } = await setup(3);

  expect((await getJobLogs.execute({ tenant: 'a', id, limit: 3 })).next).toBeUndefined();
});

it.each([
  ['an unknown id', { id: randomUUID() }],
  ['another tenant’s job', { tenant: 'b' }],
])('finds nothing under %s', async (_what, wrong) => {
  const { id, getJobLogs } = await setup(1);

  await expect(getJobLogs.execute({ tenant: 'a', id, limit: 1, ...wrong })).rejects.toBeInstanceOf(
    JobNotFound,
  );
});
