import { aDraft } from '../../test/support/job-drafts.js';
import { queuesOf } from '../../test/support/queues.js';
import { InMemoryOperationRepository } from '../operations/in-memory-operation-repository.js';
import { StartOperationUseCase } from '../operations/start-operation.use-case.js';
import { DrainQueueUseCase } from './drain-queue.use-case.js';

const tenant = 'default';

function setup() {
  const { jobs, overview } = queuesOf('default', 'mail');
  const operations = new InMemoryOperationRepository(jobs);
  const drainQueue = new DrainQueueUseCase(overview, new StartOperationUseCase(operations));
  const drain = async (name: string) => {
    const operation = await drainQueue.execute({ tenant, name });
    await operations.step(100);
    return operation;
  };
  const statusOf = async (id: string, whose = tenant) => (await jobs.find(whose, id))!.status;
  return { jobs, drain, statusOf };
}

it('cancels what waits in the queue, and nothing else', async () => {
  const { jobs, drain, statusOf } = setup();
  const [running, waiting, delayed, elsewhere] = await jobs.insert([
    aDraft(),
    aDraft(),
    aDraft({ delay: 60_000 }),
    aDraft({ queue: 'mail' }),
  ]);
  const [others] = await jobs.insert([aDraft({ tenant: 'other' })]);
  await jobs.claim({ jobId: running!.id, delivery: 1, token: 't', workerId: 'w' });

  expect(await drain('default')).toMatchObject({ kind: 'cancel', matched: 2 });

  expect(await Promise.all([running, waiting, delayed, elsewhere].map((job) => statusOf(job!.id)))).toEqual([
    'active',
    'cancelled',
    'cancelled',
    'waiting',
  ]);
  expect(await statusOf(others!.id, 'other')).toBe('waiting');
});

it('is refused for a queue that nobody knows', async () => {
  const { drain } = setup();

  await expect(drain('unheard_of')).rejects.toMatchObject({ code: 'QUEUE_NOT_FOUND' });
});
