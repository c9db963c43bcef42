import { Logger } from '@nestjs/common';
import { aDraft } from '../../../test/support/job-drafts.js';
import { Overloaded } from '../job.errors.js';
import { MAX_PENDING_LENGTH, MAX_PENDING_ROWS, PendingSubmits } from './pending-submits.js';

beforeAll(() => {
  Logger.overrideLogger(false);
});

const rows = (count: number) => Array.from({ length: count }, () => aDraft());
const large = (length: number) => [{ ...aDraft(), json: 'x'.repeat(length) }];
const never = () => new Promise<never>(() => undefined);
const atOnce = () => Promise.resolve('done');

it('refuses rows past the bound at once, and takes them when there is room again', async () => {
  const pending = new PendingSubmits();
  let end = (): void => undefined;
  const held = pending.hold(rows(MAX_PENDING_ROWS), () => new Promise<void>((resolve) => (end = resolve)));

  await expect(pending.hold(rows(1), atOnce)).rejects.toBeInstanceOf(Overloaded);
  expect(pending).toMatchObject({ rows: MAX_PENDING_ROWS, refused: 1 });

  end();
  await held;
  await expect(pending.hold(rows(1), atOnce)).resolves.toBe('done');
  expect(pending).toMatchObject({ rows: 0, refused: 1 });
});

it('refuses data past the bound', async () => {
  const pending = new PendingSubmits();
  void pending.hold(large(MAX_PENDING_LENGTH), never);

  await expect(pending.hold(rows(1), atOnce)).rejects.toBeInstanceOf(Overloaded);
});

it('takes anything where nothing waits', async () => {
  await expect(new PendingSubmits().hold(rows(MAX_PENDING_ROWS + 1), atOnce)).resolves.toBe('done');
});

it('makes room again after a failure', async () => {
  const pending = new PendingSubmits();

  await expect(pending.hold(rows(5), () => Promise.reject(new Error('no')))).rejects.toThrow('no');

  expect(pending.rows).toBe(0);
});
