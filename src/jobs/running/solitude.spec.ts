import { FIRST_PATIENCE, Solitude } from './solitude.js';

const { signal } = new AbortController();

/** Who is inside, in the order of entry, and how each leaves. */
function setup() {
  const solitude = new Solitude();
  const inside: string[] = [];
  const enter = (name: string, alone = false): (() => Promise<void>) => {
    const leave = alone ? solitude.enterAlone(name, signal) : solitude.enter(signal);
    void leave.then((entered) => entered && inside.push(name));
    return async () => {
      (await leave)?.();
      inside.splice(inside.indexOf(name), 1);
      await turn();
    };
  };
  return { solitude, inside, enter };
}

async function turn(): Promise<void> {
  await new Promise((resolve) => setImmediate(resolve));
}

it('lets ordinary attempts run side by side', async () => {
  const { inside, enter } = setup();

  for (const name of ['a', 'b', 'c']) enter(name);
  await turn();

  expect(inside).toEqual(['a', 'b', 'c']);
});

it('lets a suspect in once all others are done', async () => {
  const { inside, enter } = setup();
  const [leaveA, leaveB] = [enter('a'), enter('b')];
  enter('suspect', true);

  await leaveA();
  expect(inside).toEqual(['b']);

  await leaveB();
  expect(inside).toEqual(['suspect']);
});

it('lets none start while a suspect waits or runs, and all of them afterwards', async () => {
  const { inside, enter } = setup();
  const leaveA = enter('a');
  const leaveSuspect = enter('suspect', true);
  enter('b');
  enter('c');
  await turn();
  expect(inside).toEqual(['a']);

  await leaveA();
  expect(inside).toEqual(['suspect']);

  await leaveSuspect();
  expect(inside).toEqual(['b', 'c']);
});

it('lets suspects in one after the other', async () => {
  const { inside, enter } = setup();
  const leaveFirst = enter('first', true);
  const leaveSecond = enter('second', true);
  await turn();
  expect(inside).toEqual(['first']);

  await leaveFirst();
  expect(inside).toEqual(['second']);

  await leaveSecond();
  expect(inside).toEqual([]);
});

it('is asked in vain by one whose signal comes first', async () => {
  const { solitude, inside, enter } = setup();
  const stop = new AbortController();
  const leaveA = enter('a');
  const suspect = solitude.enterAlone('suspect', stop.signal);
  const late = solitude.enter(stop.signal);
  enter('b');

  stop.abort();

  expect(await Promise.all([suspect, late])).toEqual([undefined, undefined]);
  await turn();
  expect(inside).toEqual(['a', 'b']);
  await leaveA();
  expect(await solitude.enter(stop.signal)).toBeUndefined();
});

it('knows of a handler that goes on after its attempt, until it ends', async () => {
  const { solitude } = setup();
  let end: (why: Error) => void = () => undefined;
  solitude.leaveBehind(new Promise((_resolve, reject) => (end = reject)));
  expect(solitude.isHaunted).toBe(true);

  end(new Error('late'));
  await turn();

  expect(solitude.isHaunted).toBe(false);
});

describe('the patience of a suspect', () => {
  beforeEach(() => jest.useFakeTimers({ doNotFake: ['setImmediate'] }));
  afterEach(() => jest.useRealTimers());

  it('ends, and lets the others go on; it grows with every vain wait', async () => {
    const { solitude, inside, enter } = setup();
    enter('long');
    const first = solitude.enterAlone('suspect', signal);
    enter('b');

    await jest.advanceTimersByTimeAsync(FIRST_PATIENCE);
    expect(await first).toBeUndefined();
    expect(inside).toEqual(['long', 'b']);

    const second = jest.fn();
    void solitude.enterAlone('suspect', signal).then(second);
    await jest.advanceTimersByTimeAsync(FIRST_PATIENCE * 2 - 1);
    expect(second).not.toHaveBeenCalled();
    await jest.advanceTimersByTimeAsync(1);
    expect(second).toHaveBeenCalledWith(undefined);
  });

  it('is as at first again once it was alone', async () => {
    const { solitude, enter } = setup();
    const leaveLong = enter('long');
    const vain = solitude.enterAlone('suspect', signal);
    await jest.advanceTimersByTimeAsync(FIRST_PATIENCE);
    await vain;
    await leaveLong();
    (await solitude.enterAlone('suspect', signal))!();

    enter('long');
    const again = solitude.enterAlone('suspect', signal);
    await jest.advanceTimersByTimeAsync(FIRST_PATIENCE);

    expect(await again).toBeUndefined();
  });
});
