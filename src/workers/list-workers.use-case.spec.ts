import { aDraft } from '../../test/support/job-drafts.js';
import { InMemoryJobRepository } from '../jobs/in-memory-job-repository.js';
import { WorkerIdentity } from '../jobs/worker-identity.js';
import { InMemoryWorkerRepository } from './in-memory-worker-repository.js';
import { ListWorkersUseCase, MOST_JOBS } from './list-workers.use-case.js';

const tenant = 'default';

it('tells a bounded number of the jobs in hand, and how many there are', async () => {
  const jobs = new InMemoryJobRepository();
  const workers = new InMemoryWorkerRepository(jobs);
  const worker = new WorkerIdentity([{ name: 'default', concurrency: 50 }], ['send_email']);
  workers.beat(worker);
  const accepted = await jobs.insert(Array.from({ length: MOST_JOBS + 5 }, () => aDraft()));
  for (const { id, delivery } of accepted)
    await jobs.claim({ jobId: id, delivery, token: `token ${id}`, workerId: worker.id });

  const [state] = await new ListWorkersUseCase(workers).execute({ tenant });

  expect(state).toMatchObject({ id: worker.id, concurrency: 50, types: ['send_email'], stale: false });
  expect(state!.active).toBe(MOST_JOBS + 5);
  expect(state!.jobs).toHaveLength(MOST_JOBS);
  expect(state!.jobs[0]).toEqual({ id: accepted[0]!.id, type: 'send_email', since: expect.any(Date) });
});
