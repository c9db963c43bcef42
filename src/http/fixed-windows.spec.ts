import { FixedWindows } from './fixed-windows.js';

const MINUTE = 60_000;

function setup({ most = 3 } = {}) {
  let now = 1_000_000;
  const windows = new FixedWindows(most, () => now);
  return {
    hit: (client: string, limit = 2) => windows.increment(client, MINUTE, limit),
    pass: (ms: number) => (now += ms),
  };
}

describe('FixedWindows', () => {
  it('blocks past the limit, and says how long', async () => {
    const { hit, pass } = setup();
    await hit('a');
    pass(20_000);

    expect(await hit('a')).toMatchObject({ totalHits: 2, isBlocked: false });
    expect(await hit('a')).toMatchObject({ totalHits: 3, isBlocked: true, timeToBlockExpire: 40 });
  });

  it('starts anew when the window is over', async () => {
    const { hit, pass } = setup();
    await hit('a', 1);
    await hit('a', 1);
    pass(MINUTE);

    expect(await hit('a', 1)).toMatchObject({ totalHits: 1, isBlocked: false, timeToExpire: 60 });
  });

  it('counts clients apart', async () => {
    const { hit } = setup();
    await hit('a');

    expect(await hit('b')).toMatchObject({ totalHits: 1 });
  });

  it('forgets the oldest client rather than grow past its bound', async () => {
    const { hit } = setup({ most: 2 });
    for (const client of ['a', 'b', 'c']) await hit(client);

    expect(await hit('c')).toMatchObject({ totalHits: 2 });
    expect(await hit('a')).toMatchObject({ totalHits: 1 });
  });
});
