import { Solitude } from './solitude.js';

/** Who is inside, in the order of entry, and how each leaves. */
function setup() {
  const solitude = new Solitude();
  const inside: string[] = [];
  const enter = (name: string, alone = false): (() => Promise<void>) => {
    const leave = solitude.enter(alone);
    void leave.then(() => inside.push(name));
    return async () => {
      (await leave)();
      inside.splice(inside.indexOf(name), 1);
      await turn();
    };
  };
  return { inside, enter };
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
