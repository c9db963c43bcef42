import { aDraft } from '../../test/support/job-drafts.js';
import { queuesOf } from '../../test/support/queues.js';
import { LEASE } from '../jobs/delivery/reaper.js';
import { WorkerIdentity } from '../jobs/worker-identity.js';
import { GetQueueUseCase } from './get-queue.use-case.js';
import { ListQueuesUseCase } from './list-queues.use-case.js';

const tenant = 'default';

function setup(...names: string[]) {
  const queues = queuesOf(...names);
  const list = () => new ListQueuesUseCase(queues.overview).execute({ tenant });
  const get = (name: string) => new GetQueueUseCase(queues.overview).execute({ tenant, name });
  return { ...queues, list, get };
}

it('lists queues that a type uses, that a job is in, and that are paused', async () => {
  const { jobs, list } = setup('mail', 'default');
  await jobs.insert([aDraft({ queue: 'left_behind' })]);
  await jobs.pause('paused');

  expect((await list()).map(({ name }) => name)).toEqual(['default', 'left_behind', 'mail', 'paused']);
});

it('tells what is in a queue, and since when it is paused', async () => {
  const { jobs, get } = setup('default');
  await jobs.insert([aDraft(), aDraft(), aDraft({ delay: 60_000 })]);
  jobs.advance(5_000);
  await jobs.pause('default');

  expect(await get('default')).toMatchObject({
    ...{ waiting: 2, delayed: 1, active: 0, unpushed: 2, oldestWaiting: 5_000, shards: 4 },
    pausedSince: new Date(Date.UTC(2026, 0, 1, 0, 0, 5)),
  });
});

it('tells how many come and go a second', async () => {
  const { activity, statistics, get } = setup('mail', 'default');
  const job = { tenant, queue: 'mail', type: 'demo' };
  activity.submitted(Array.from({ length: 600 }, () => job));
  activity.submitted([{ ...job, tenant: 'other' }]);
  await activity.save();
  statistics.advance(60_000);

  expect((await get('mail')).rates).toEqual({ in: 2, out: 0, seconds: 300 });
  expect((await get('default')).rates).toEqual({ in: 0, out: 0, seconds: 300 });
});

it('names the live workers that serve a queue, and how many jobs of it they run at once', async () => {
  const { workers, get } = setup('mail', 'default');
  const dead = new WorkerIdentity([{ name: 'mail', concurrency: 1 }]);
  workers.beat(dead);
  workers.advance(LEASE + 1);
  const [mailer, other] = [
    new WorkerIdentity([
      { name: 'default', concurrency: 5 },
      { name: 'mail', concurrency: 7 },
    ]),
    new WorkerIdentity([{ name: 'default', concurrency: 3 }]),
  ];
  workers.beat(mailer);
  workers.beat(other);

  expect(await get('mail')).toMatchObject({ workers: [{ id: mailer.id, concurrency: 7 }] });
});

it.each(['unheard_of', '', '__proto__', 'a\u0000b'])('knows no queue "%s"', async (name) => {
  const { get } = setup('default');

  await expect(get(name)).rejects.toMatchObject({ code: 'QUEUE_NOT_FOUND' });
});
