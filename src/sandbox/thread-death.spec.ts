import { deathBy } from './thread-death.js';

it('tells memory from other causes', () => {
  const full = Object.assign(new Error('Worker terminated'), { code: 'ERR_WORKER_OUT_OF_MEMORY' });

  expect(deathBy(full).code).toBe('SANDBOX_OUT_OF_MEMORY');
  expect(deathBy(new Error('boom'))).toEqual({
    code: 'SANDBOX_EXITED',
    message: "The handler's thread died: boom",
    stack: expect.stringContaining('Error: boom'),
  });
});

it.each([null, undefined, 'a text', 7, Object.create(null), { message: null }])(
  'bears whatever was thrown: %p',
  (thrown) => {
    expect(deathBy(thrown)).toMatchObject({
      code: 'SANDBOX_EXITED',
      message: expect.stringContaining('thread died: '),
    });
  },
);
