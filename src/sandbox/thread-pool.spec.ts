import { setImmediate as turn } from 'node:timers/promises';
import { ThreadPool, type PooledThread } from './thread-pool.js';

class FakeThread implements PooledThread {
  ended = false;
  closed = false;

  constructor(readonly number: number) {}

  async close(): Promise<void> {
    this.closed = true;
  }
}

function setup(size: number) {
  const started: FakeThread[] = [];
  const start = jest.fn(async () => {
    const thread = new FakeThread(started.length + 1);
    started.push(thread);
    return thread;
  });
  return { pool: new ThreadPool<FakeThread>(size, start), started, start };
}

const never = new AbortController().signal;

/** Whether a promise is kept by now. */
async function kept(promise: Promise<unknown>): Promise<boolean> {
  let known = false;
  void promise.then(() => (known = true));
  await turn();
  return known;
}

it('starts no thread before one is needed, and none while a warm one is free', async () => {
  const { pool, start } = setup(2);
  expect(start).not.toHaveBeenCalled();

  const first = (await pool.take(never))!;
  pool.giveBack(first);

  expect(await pool.take(never)).toBe(first);
  expect(start).toHaveBeenCalledTimes(1);
});

it('starts so many at most; the others wait, first come, first served', async () => {
  const { pool, started } = setup(2);
  const [one] = [await pool.take(never), await pool.take(never)];
  const third = pool.take(never);
  const fourth = pool.take(never);

  expect([await kept(third), started.length]).toEqual([false, 2]);
  pool.giveBack(one!);

  expect(await third).toBe(one);
  expect(await kept(fourth)).toBe(false);
});

it('starts another one in the place of one that has ended', async () => {
  const { pool } = setup(1);
  const first = (await pool.take(never))!;
  const waiting = pool.take(never);
  first.ended = true;
  pool.giveBack(first);

  const second = (await waiting)!;
  expect(second.number).toBe(2);

  pool.giveBack(second);
  second.ended = true; // while nobody had it
  expect((await pool.take(never))!.number).toBe(3);
});

it('forgets who has given up waiting', async () => {
  const { pool } = setup(1);
  const first = (await pool.take(never))!;
  const impatient = new AbortController();
  const given = pool.take(impatient.signal);
  const patient = pool.take(never);

  impatient.abort();
  expect(await given).toBeUndefined();
  expect(await pool.take(impatient.signal)).toBeUndefined();

  pool.giveBack(first);
  expect(await patient).toBe(first);
});

it('keeps a thread for the next one where the first gave up while it started', async () => {
  const { pool, start } = setup(1);
  let finish: (thread: FakeThread) => void = () => undefined;
  start.mockImplementationOnce(() => new Promise((resolve) => (finish = resolve)));
  const impatient = new AbortController();
  const given = pool.take(impatient.signal);
  await turn();
  const next = pool.take(never);

  impatient.abort();
  expect(await given).toBeUndefined();
  const late = new FakeThread(9);
  finish(late);

  expect(await next).toBe(late);
  expect(start).toHaveBeenCalledTimes(1);
});

it('gives its place back where a thread does not start', async () => {
  const { pool, start } = setup(1);
  start.mockRejectedValueOnce(new Error('no such module'));

  await expect(pool.take(never)).rejects.toThrow('no such module');
  expect((await pool.take(never))!.number).toBe(1);
});

it('closes the free threads, and each other one when it comes back', async () => {
  const { pool, started } = setup(2);
  const [one, two] = [(await pool.take(never))!, (await pool.take(never))!];
  pool.giveBack(one);

  await pool.close();
  expect(started.map(({ closed }) => closed)).toEqual([true, false]);

  pool.giveBack(two);
  expect(two.closed).toBe(true);
});
