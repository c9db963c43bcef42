import { Cordon } from './cordon.js';

beforeEach(() => {
  jest.useFakeTimers();
});
afterEach(() => {
  jest.useRealTimers();
});

function setup() {
  const cordon = new Cordon();
  const server = { answers: false, asked: 0 };
  const probe = async () => {
    server.asked++;
    if (!server.answers) throw new Error('away');
  };
  return { cordon, server, probe };
}

it('stands around a server from its first failure until it answers again', async () => {
  const { cordon, server, probe } = setup();
  cordon.put('a', 'refused', probe);

  await jest.advanceTimersByTimeAsync(1_000);
  expect(cordon.around('a')).toEqual({ reason: 'refused' });
  server.answers = true;
  await jest.advanceTimersByTimeAsync(250);
  expect(cordon.around('a')).toBeUndefined();
});

it('stands around that server alone', () => {
  const { cordon, probe } = setup();
  cordon.put('a', 'refused', probe);

  expect(cordon.around('b')).toBeUndefined();
});

it('asks a server once at a time, however many calls have failed', async () => {
  const { cordon, server, probe } = setup();
  for (let n = 0; n < 5; n++) cordon.put('a', 'refused', probe);

  await jest.advanceTimersByTimeAsync(1_000);
  expect(server.asked).toBe(4);
});

it.each(['lift', 'close'] as const)('asks no more after %s', async (end) => {
  const { cordon, server, probe } = setup();
  cordon.put('a', 'refused', probe);
  cordon[end]();

  await jest.advanceTimersByTimeAsync(1_000);
  expect(server.asked).toBe(0);
});
