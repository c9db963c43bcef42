import type { Queue } from 'bullmq';
import { BullMqJobQueue } from './bullmq-job-queue.js';
import { OutageLog } from './outage-log.js';
import { type DeliveryCard, QueueConnection } from './queue-connection.js';

it('pushes a delivery that BullMQ gives out once, at once, and forgets in time', async () => {
  const addBulk = jest.fn(async () => []);
  const lane = { name: 'default-0', on: jest.fn(), addBulk } as unknown as Queue<DeliveryCard>;
  const queue = new BullMqJobQueue(
    {
      outages: new OutageLog(),
      serverOf: () => '',
      add: QueueConnection.prototype.add,
    } as Partial<QueueConnection> as QueueConnection,
    [lane],
  );

  const delivery = { jobId: 'a-job', queue: 'default', shard: 0, delivery: 3, priority: 100 };
  await queue.push([{ ...delivery, type: 'send_email', display: { to: 'ann@example.org' } }]);

  expect(addBulk).toHaveBeenCalledWith([
    {
      name: 'send_email',
      data: { job: '/jobs/a-job', data: { to: 'ann@example.org' } },
      opts: {
        jobId: 'a-job_3',
        attempts: 1,
        priority: 101,
        removeOnComplete: { count: 1_000 },
        removeOnFail: { count: 1_000 },
        keepLogs: 1_000,
      },
    },
  ]);
});
