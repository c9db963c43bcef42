import { randomUUID } from 'node:crypto';
import { aDraft } from '../../../test/support/job-drafts.js';
import { InMemoryJobRepository } from '../in-memory-job-repository.js';
import { PermanentFailure, RecordUnavailable } from '../job.errors.js';
import { MAX_LOG_LINE_LENGTH, MAX_LOG_LINES_PER_ATTEMPT, MAX_PROGRESS_STEP_LENGTH } from '../limits.js';
import { AttemptJournal } from './attempt-journal.js';

beforeEach(() => jest.useFakeTimers());
afterEach(() => jest.useRealTimers());

async function setup() {
  const jobs = new InMemoryJobRepository();
  const [job] = await jobs.insert([aDraft()]);
  const request = { jobId: job!.id, delivery: 1, token: randomUUID(), workerId: randomUUID() };
  const answer = await jobs.claim(request);
  if (answer.kind !== 'claimed') throw new Error('no claim');
  const refused = jest.fn();
  const watch = { progress: jest.fn(), log: jest.fn() };
  const report = jest.spyOn(jobs, 'report');
  const claimed = jest.fn(() => Promise.resolve(true));
  const lines = async () =>
    (await jobs.logs('default', job!.id, { afterSeq: 0, limit: 2_000 })).map(({ line }) => line);
  const progress = async () => (await jobs.find('default', job!.id))!.progress;
  return {
    jobs,
    request,
    watch,
    claimed,
    refused,
    report,
    lines,
    progress,
    journal: new AttemptJournal(answer.claim, jobs, claimed, refused, watch),
  };
}

it('gathers what is reported within a fifth of a second into one write', async () => {
  const { journal, report, lines, progress, watch } = await setup();
  journal.log('one');
  journal.progress(10);
  journal.log('two');
  journal.progress(20, 'half');
  await jest.advanceTimersByTimeAsync(199);
  expect(report).not.toHaveBeenCalled();

  await jest.advanceTimersByTimeAsync(1);

  expect(report).toHaveBeenCalledTimes(1);
  expect(await lines()).toEqual(['one', 'two']);
  expect(await progress()).toEqual({ percent: 20, step: 'half' });
  expect(watch.log.mock.calls).toEqual([[['one', 'two']]]);
  expect(watch.progress.mock.calls).toEqual([[{ percent: 20, step: 'half' }]]);
});

it('goes on writing while more is reported, and rests when nothing is', async () => {
  const { journal, report, lines } = await setup();

  for (const line of ['one', 'two', 'three']) {
    journal.log(line);
    await jest.advanceTimersByTimeAsync(500);
  }
  await jest.advanceTimersByTimeAsync(10_000);

  expect(report).toHaveBeenCalledTimes(3);
  expect(await lines()).toEqual(['one', 'two', 'three']);
});

it('writes what is left when it is closed, and takes nothing afterwards', async () => {
  const { journal, lines, progress } = await setup();
  journal.log('last words');

  await journal.close();
  journal.log('too late');
  journal.progress(99);
  await journal.close();
  await jest.advanceTimersByTimeAsync(1_000);

  expect(await lines()).toEqual(['last words']);
  expect(await progress()).toBeNull();
  expect(jest.getTimerCount()).toBe(0);
});

it('keeps its lines through an outage of the record, in their order', async () => {
  const { journal, jobs, lines, progress } = await setup();
  jobs.goDown();
  journal.log('during');
  journal.progress(10);
  await jest.advanceTimersByTimeAsync(200);
  journal.log('still');
  journal.progress(20);
  await jest.advanceTimersByTimeAsync(200);

  jobs.comeBack();
  await jest.advanceTimersByTimeAsync(200);

  expect(await lines()).toEqual(['during', 'still']);
  expect(await progress()).toEqual({ percent: 20 });
});

it('puts what was reported during a failed write behind what that write was about', async () => {
  const { journal, report, lines, progress } = await setup();
  report.mockImplementationOnce(() => {
    journal.log('meanwhile');
    journal.progress(20);
    return Promise.reject(new RecordUnavailable());
  });
  journal.log('first');
  journal.progress(10);

  await jest.advanceTimersByTimeAsync(400);

  expect(await lines()).toEqual(['first', 'meanwhile']);
  expect(await progress()).toEqual({ percent: 20 });
});

it('closes without complaint while the record is down', async () => {
  const { journal, jobs } = await setup();
  jobs.goDown();
  journal.log('lost');

  await expect(journal.close()).resolves.toBeUndefined();
});

it('writes nothing for an attempt that has lost its token', async () => {
  const { journal, jobs, request, lines, progress } = await setup();
  await jobs.release(request, 'by mistake');

  journal.log('stranger');
  journal.progress(50);
  await journal.close();

  expect(await lines()).toEqual([]);
  expect(await progress()).toBeNull();
});

describe('a bound', () => {
  it.each<[string, string, (journal: AttemptJournal) => void]>([
    [
      'a line that is too long',
      'LOG_LINE_TOO_LONG',
      (journal) => journal.log('x'.repeat(MAX_LOG_LINE_LENGTH + 1)),
    ],
    ['a line that cannot be kept', 'TEXT_INVALID', (journal) => journal.log('a\u0000')],
    [
      'a step that is too long',
      'PROGRESS_TOO_LONG',
      (journal) => journal.progress(1, 'x'.repeat(MAX_PROGRESS_STEP_LENGTH + 1)),
    ],
    ['a step that cannot be kept', 'TEXT_INVALID', (journal) => journal.progress(1, '\uD800')],
    ['progress below 0', 'PROGRESS_INVALID', (journal) => journal.progress(-1)],
    ['progress above 100', 'PROGRESS_INVALID', (journal) => journal.progress(100.1)],
    ['progress that is no number', 'PROGRESS_INVALID', (journal) => journal.progress(NaN)],
  ])('refuses %s, and remembers it', async (_what, code, pass) => {
    const { journal, lines } = await setup();

    expect(() => pass(journal)).toThrow(PermanentFailure);

    expect(journal.breach).toMatchObject({ code });
    await journal.close();
    expect(await lines()).toEqual([]);
  });

  it('is not passed by what just fits', async () => {
    const { journal, lines, progress } = await setup();
    const line = 'x'.repeat(MAX_LOG_LINE_LENGTH);

    for (let n = 0; n < MAX_LOG_LINES_PER_ATTEMPT; n++) journal.log(line);
    journal.progress(100, 'x'.repeat(MAX_PROGRESS_STEP_LENGTH));
    journal.progress(0);
    await journal.close();

    expect(journal.breach).toBeUndefined();
    expect(await lines()).toHaveLength(MAX_LOG_LINES_PER_ATTEMPT);
    expect(await progress()).toEqual({ percent: 0 });
  });

  it('ends the log after so many lines, and keeps those', async () => {
    const { journal, lines } = await setup();
    for (let n = 0; n < MAX_LOG_LINES_PER_ATTEMPT; n++) journal.log('x');

    expect(() => journal.log('one too many')).toThrow('1000 lines');

    await journal.close();
    expect(journal.breach).toMatchObject({ code: 'TOO_MANY_LOG_LINES' });
    expect(await lines()).toHaveLength(MAX_LOG_LINES_PER_ATTEMPT);
  });

  it('that was passed first is the one that counts', async () => {
    const { journal } = await setup();

    expect(() => journal.progress(-1)).toThrow();
    expect(() => journal.log('a\u0000')).toThrow();

    expect(journal.breach).toMatchObject({ code: 'PROGRESS_INVALID' });
  });
});

it('tells that the token is not current any more, and nothing is written', async () => {
  const { jobs, request, journal, refused, lines } = await setup();
  journal.log('in time');
  await jest.advanceTimersByTimeAsync(200);
  expect(refused).not.toHaveBeenCalled();
  await jobs.release(request, 'lost');

  journal.log('too late');
  await jest.advanceTimersByTimeAsync(200);

  expect(refused).toHaveBeenCalledTimes(1);
  expect(await lines()).toEqual(['in time']);
});
