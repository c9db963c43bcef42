import { aDraft } from '../../test/support/job-drafts.js';
import { queuesOf } from '../../test/support/queues.js';
import { PauseQueueUseCase } from './pause-queue.use-case.js';
import { ResumeQueueUseCase } from './resume-queue.use-case.js';

const tenant = 'default';
const name = 'default';

function setup() {
  const { jobs, overview } = queuesOf(name);
  const pause = (queue = name) => new PauseQueueUseCase(jobs, overview).execute({ tenant, name: queue });
  const resume = (queue = name) => new ResumeQueueUseCase(jobs, overview).execute({ tenant, name: queue });
  return { jobs, pause, resume };
}

it('holds what is claimed, and accepts what is submitted, until the queue is resumed', async () => {
  const { jobs, pause, resume } = setup();
  expect((await pause()).pausedSince).toEqual(expect.any(Date));
  const [job] = await jobs.insert([aDraft()]);
  const claim = { jobId: job!.id, delivery: 1, token: 't', workerId: 'w' };

  expect(await jobs.claim(claim)).toEqual({ kind: 'held' });
  expect((await resume()).pausedSince).toBeNull();
  expect(await jobs.claim({ ...claim, delivery: 2 })).toMatchObject({ kind: 'claimed' });
});

it('may be asked for twice: the queue is paused since the first time', async () => {
  const { jobs, pause, resume } = setup();
  const { pausedSince } = await pause();
  jobs.advance(1_000);

  expect((await pause()).pausedSince).toEqual(pausedSince);
  await resume();
  expect((await resume()).pausedSince).toBeNull();
});

it('is refused for a queue that nobody knows, and leaves no pause behind', async () => {
  const { jobs, pause, resume } = setup();

  await expect(pause('unheard_of')).rejects.toMatchObject({ code: 'QUEUE_NOT_FOUND' });
  await expect(resume('unheard_of')).rejects.toMatchObject({ code: 'QUEUE_NOT_FOUND' });
  expect(await jobs.pauses()).toEqual([]);
});

it('can be taken back for a queue that no type uses any more', async () => {
  const { jobs, resume } = setup();
  await jobs.pause('retired');

  expect((await resume('retired')).pausedSince).toBeNull();
  expect(await jobs.pauses()).toEqual([]);
});
