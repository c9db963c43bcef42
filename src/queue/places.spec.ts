import { setImmediate as turn } from 'node:timers/promises';
import { Places } from './places.js';

/** ms that a handler takes which is quick, and one which is not. */
const [QUICKLY, SLOWLY] = [5, 25];

let now = 0;

beforeEach(() => {
  now = 1_000;
  jest.spyOn(performance, 'now').mockImplementation(() => now);
});

afterEach(() => {
  jest.restoreAllMocks();
  jest.useRealTimers();
});

function setup(count: number) {
  const onFree = jest.fn();
  const places = new Places(count, onFree);
  /** Takes one that has its place at once. */
  const inside = () => {
    const place = places.forTaken();
    expect(place.enter()).toBe(true);
    return place;
  };
  /** From now on handlers take so long. */
  const hold = (ms: number) => {
    const place = inside();
    now += ms;
    place.end();
  };
  return { places, onFree, inside, hold };
}

/** What has become of `enter`. */
async function stateOf(entering: boolean | Promise<boolean>): Promise<boolean | 'waiting'> {
  return Promise.race([entering, turn('waiting' as const)]);
}

it('has room for as many as there are places, each from the moment it is taken', () => {
  const { places, inside } = setup(2);
  expect([places.room, places.areFull]).toEqual([2, false]);

  const taken = places.forTaken();
  expect([places.room, places.areFull]).toEqual([1, false]);

  void taken.enter();
  inside();
  expect([places.room, places.areFull]).toEqual([0, true]);

  now += SLOWLY;
  taken.end();
  expect([places.room, places.areFull]).toEqual([1, false]);
});

it('has its room back where what was taken ends without a place', () => {
  const { places, onFree } = setup(1);

  places.forTaken().end();

  expect([places.room, places.areFull]).toEqual([1, false]);
  expect(onFree).toHaveBeenCalledTimes(1);
});

it('frees the place of what leaves it, for as many as there are places', () => {
  const { places, onFree, inside } = setup(2);
  const [first, second] = [inside(), inside()];
  now += SLOWLY;
  expect([first.leave(), second.leave()]).toEqual([true, true]);
  expect(onFree).toHaveBeenCalledTimes(2);
  expect(places.room).toBe(2);

  const [third, fourth] = [inside(), inside()];
  now += SLOWLY;
  expect([third.leave(), fourth.leave()]).toEqual([false, false]);
  expect([places.room, places.areFull]).toEqual([0, true]);

  first.end();
  expect([places.room, places.areFull]).toEqual([0, true]);
  expect(third.leave()).toBe(true);
  expect(places.room).toBe(1);
});

it('has more of them settled where handlers are quick', () => {
  const { inside, hold } = setup(1);
  hold(QUICKLY);

  const left = [1, 2, 3, 4].map(() => inside().leave());

  expect(left).toEqual([true, true, true, false]);
});

it('frees nothing twice, and nothing that nobody has entered', () => {
  const { places, inside } = setup(2);
  const ahead = places.forTaken();
  expect(ahead.leave()).toBe(false);
  ahead.end();

  const place = inside();
  now += SLOWLY;
  expect([place.leave(), place.leave()]).toEqual([true, false]);
  place.end();
  expect(place.leave()).toBe(false);
  expect([places.room, places.areFull]).toEqual([2, false]);
});

describe('ahead of their places', () => {
  it.each([
    ['are slow', SLOWLY, 2, 0],
    ['are nearly slow', 18, 2, 3],
    ['are quick', QUICKLY, 2, 6],
    ['are quick and very many', QUICKLY, 250, 300],
  ])('has room where handlers %s', (_what, ms, count, ahead) => {
    const { places, hold } = setup(count);
    expect(places.room).toBe(count);

    hold(ms);

    expect(places.room).toBe(count + ahead);
  });

  it('counts what was taken ahead', () => {
    const { places, inside, hold } = setup(2);
    hold(QUICKLY);
    inside();
    inside();
    expect(places.room).toBe(6);

    const [first] = [places.forTaken(), places.forTaken()];

    expect(places.room).toBe(4);
    first?.end();
    expect(places.room).toBe(5);
  });

  it('goes by the average of late, not by one that was slow', () => {
    const { places, hold } = setup(1);
    for (let nth = 0; nth < 100; nth++) hold(QUICKLY);
    hold(100);
    expect(places.room).toBe(4);

    for (let nth = 0; nth < 100; nth++) hold(SLOWLY);
    expect(places.room).toBe(1);
  });

  it('lets them in one for one, in their order, as places come free', async () => {
    const { places, inside } = setup(1);
    const running = inside();
    const [first, second] = [places.forTaken(), places.forTaken()];
    const entering = [first, second].map((place) => place.enter());
    expect(await Promise.all(entering.map(stateOf))).toEqual(['waiting', 'waiting']);

    running.leave();
    expect(await Promise.all(entering.map(stateOf))).toEqual([true, 'waiting']);
    expect(places.areFull).toBe(true);

    first.end();
    expect(await stateOf(entering[1]!)).toBe(true);
    expect(places.areFull).toBe(true);
    second.end();
    expect([places.room, places.areFull]).toEqual([4, false]);
  });

  it('keeps one waiting for a moment alone, and has no more room ahead then', async () => {
    jest.useFakeTimers({ doNotFake: ['performance', 'setImmediate'] });
    const { places, inside, hold } = setup(1);
    hold(QUICKLY);
    expect(places.room).toBe(4);
    const running = inside();
    const place = places.forTaken();
    const entering = place.enter();
    jest.advanceTimersByTime(49);
    expect(await stateOf(entering)).toBe('waiting');

    jest.advanceTimersByTime(1);
    expect(await stateOf(entering)).toBe(false);
    place.end();
    expect(places.room).toBe(0);

    now += SLOWLY;
    running.end();
    expect([places.room, places.areFull]).toEqual([1, false]);
  });

  it('turns away nobody whose place came in time', async () => {
    jest.useFakeTimers({ doNotFake: ['performance', 'setImmediate'] });
    const { places, inside } = setup(1);
    const running = inside();
    const entering = places.forTaken().enter();

    running.end();
    jest.advanceTimersByTime(600_000);

    expect(await stateOf(entering)).toBe(true);
    expect(places.areFull).toBe(true);
  });
});

it('gives a place that came free to whoever waited for it, and to nobody else', async () => {
  const { places, inside } = setup(1);
  const running = inside();
  const waiting = places.forTaken().enter();

  running.leave();
  const late = places.forTaken().enter();

  expect([await stateOf(waiting), await stateOf(late)]).toEqual([true, 'waiting']);
});

it('tells that there is room as soon as one that was ahead has its place', () => {
  const { places, inside, onFree, hold } = setup(1);
  hold(QUICKLY);
  const running = inside();
  void places.forTaken().enter();
  onFree.mockClear();

  running.leave();

  expect(places.room).toBe(3);
  expect(onFree).toHaveBeenCalled();
});

it('lets nobody in once it is closed', async () => {
  const { places, inside } = setup(1);
  const running = inside();
  const waiting = [1, 2].map(() => Promise.resolve(places.forTaken().enter()));

  places.close();

  expect(await Promise.all(waiting)).toEqual([false, false]);
  running.end();
  expect(await places.forTaken().enter()).toBe(false);
});
