import { Logger } from '@nestjs/common';
import { aDraft } from '../../../test/support/job-drafts.js';
import { InMemoryJobRepository } from '../in-memory-job-repository.js';
import { Expiry } from './expiry.js';

function setup() {
  const jobs = new InMemoryJobRepository({ now: 0 });
  return { jobs, expiry: new Expiry(jobs) };
}

beforeAll(() => {
  Logger.overrideLogger(false);
});

it('fails what did not start in time, however much it is', async () => {
  const { jobs, expiry } = setup();
  await jobs.insert(Array.from({ length: 2_500 }, () => aDraft({ expiresAt: new Date(1_000) })));
  const [lasting] = await jobs.insert([aDraft({ expiresAt: new Date(2_000) })]);
  jobs.advance(1_000);

  await expiry.run();

  expect(await jobs.list('default', { statuses: ['failed'] }, { limit: 5_000 })).toHaveLength(2_500);
  expect(await jobs.find('default', lasting!.id)).toMatchObject({ status: 'waiting' });
});

it('waits while the record is away', async () => {
  const { jobs, expiry } = setup();
  const [job] = await jobs.insert([aDraft({ expiresAt: new Date(1_000) })]);
  jobs.advance(1_000);

  jobs.goDown();
  await expect(expiry.run()).resolves.toBeUndefined();
  jobs.comeBack();
  await expiry.run();

  expect(await jobs.find('default', job!.id)).toMatchObject({ status: 'failed', error: { code: 'EXPIRED' } });
});
