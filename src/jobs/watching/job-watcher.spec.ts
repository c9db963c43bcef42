import { randomUUID } from 'node:crypto';
import { setImmediate as turnOfTheLoop } from 'node:timers/promises';
import { aDraft } from '../../../test/support/job-drafts.js';
import { InMemoryJobRepository } from '../in-memory-job-repository.js';
import type { JobPulse } from '../job-repository.js';
import { JobWatcher } from './job-watcher.js';

async function setup() {
  const jobs = new InMemoryJobRepository();
  const asked = jest.spyOn(jobs, 'pulses');
  const [job] = await jobs.insert([aDraft()]);
  const watcher = new JobWatcher(jobs);
  const claim = { jobId: job!.id, delivery: 1, token: randomUUID(), workerId: randomUUID() };
  return { jobs, asked, watcher, id: job!.id, claim };
}

/** Gathers what is told until it ends. */
function listen(watcher: JobWatcher, id: string, signal = new AbortController().signal) {
  const told: JobPulse['status'][] = [];
  const ended = (async () => {
    for await (const { status } of watcher.follow(id, signal)) told.push(status);
  })();
  return { told, ended };
}

async function look(watcher: JobWatcher): Promise<void> {
  await turnOfTheLoop();
  await watcher.turn();
  await turnOfTheLoop();
}

it('tells how a job stands, and each change once', async () => {
  const { watcher, jobs, id, claim } = await setup();
  const { told, ended } = listen(watcher, id);

  await look(watcher);
  await look(watcher);
  await jobs.claim(claim);
  await look(watcher);
  await jobs.settle({ ...claim, outcome: 'completed', result: null });
  await look(watcher);

  expect(told).toEqual(['waiting', 'active', 'completed']);
  await watcher.beforeApplicationShutdown();
  await ended;
});

it('asks once a turn, however many wait for however many jobs', async () => {
  const { watcher, jobs, asked, id } = await setup();
  const [other] = await jobs.insert([aDraft()]);
  const listeners = [id, id, id, other!.id].map((each) => listen(watcher, each));
  await turnOfTheLoop();

  await watcher.turn();

  expect(asked).toHaveBeenLastCalledWith([id, other!.id]);
  await watcher.beforeApplicationShutdown();
  await Promise.all(listeners.map(({ ended }) => ended));
});

it('asks for nobody once all have gone', async () => {
  const { watcher, asked, id } = await setup();
  const gone = new AbortController();
  const { ended } = listen(watcher, id, gone.signal);
  await look(watcher);

  gone.abort();
  await ended;
  asked.mockClear();
  await watcher.turn();

  expect(asked).not.toHaveBeenCalled();
});

it('waits while the record is away', async () => {
  const { watcher, jobs, id } = await setup();
  const { told, ended } = listen(watcher, id);
  jobs.goDown();
  await look(watcher);

  jobs.comeBack();
  await look(watcher);

  expect(told).toEqual(['waiting']);
  await watcher.beforeApplicationShutdown();
  await ended;
});

it('refuses one more when its room is taken', async () => {
  const { watcher, id } = await setup();
  const listeners = Array.from({ length: 5_000 }, () => listen(watcher, id));
  await turnOfTheLoop();

  await expect(listen(watcher, id).ended).rejects.toMatchObject({ code: 'TOO_MANY_WATCHERS' });

  await watcher.beforeApplicationShutdown();
  await Promise.all(listeners.map(({ ended }) => ended));
});
