import { InMemoryJobRepository } from '../in-memory-job-repository.js';
import { RecordUnavailable } from '../job.errors.js';
import { Lanes } from './lanes.js';
import { LaneLeases } from './lane-leases.js';

const ALL = new Lanes(['default'], 3).all();

/** Time passes for the processes and the record alike. */
function setup(processes = 2) {
  const jobs = new InMemoryJobRepository({ shards: 3 });
  const lanes = new Lanes(['default'], 3);
  const pass = (ms: number): void => {
    jest.advanceTimersByTime(ms);
    jobs.advance(ms);
  };
  return { jobs, pass, leases: Array.from({ length: processes }, () => new LaneLeases(jobs, lanes)) };
}

beforeEach(() => jest.useFakeTimers());
afterEach(() => jest.useRealTimers());

it('gives every lane to one process', async () => {
  const { leases } = setup(3);

  const held = await Promise.all(leases.map((lease) => lease.held()));

  expect(held.flat().sort((a, b) => a.shard - b.shard)).toEqual(ALL);
});

it('leaves to another process the queues that this one does not know', async () => {
  const { jobs, leases } = setup(1);
  const extended = new LaneLeases(jobs, new Lanes(['default', 'ledger'], 3));
  await leases[0]!.held();

  const held = await extended.held();

  expect(held.map(({ queue }) => queue)).toEqual(['ledger', 'ledger', 'ledger']);
});

it('keeps them with a process that goes on asking', async () => {
  const { leases, pass } = setup();
  const [one, other] = [leases[0]!, leases[1]!];
  await one.held();

  for (let second = 0; second < 20; second++) {
    pass(1_000);
    expect([await one.held(), await other.held()]).toEqual([ALL, []]);
  }
});

it('asks the record only when it is time to renew', async () => {
  const { jobs, leases, pass } = setup(1);
  const asked = jest.spyOn(jobs, 'leaseLanes');

  for (let tick = 0; tick < 12; tick++) {
    await leases[0]!.held();
    pass(250);
  }

  expect(asked).toHaveBeenCalledTimes(2);
});

it('passes them on when a process dies', async () => {
  const { leases, pass } = setup();
  const [dead, other] = [leases[0]!, leases[1]!];
  await dead.held();

  pass(5_000);
  expect(await other.held()).toEqual([]);
  pass(2_000);
  expect(await other.held()).toEqual(ALL);
});

it('passes them on at once when a process gives them back', async () => {
  const { leases } = setup();
  const [closing, other] = [leases[0]!, leases[1]!];
  await closing.held();

  await closing.giveBack();

  expect(await other.held()).toEqual(ALL);
});

it('holds nothing while it cannot renew', async () => {
  const { jobs, leases, pass } = setup(1);
  const [lease] = leases;
  await lease!.held();
  pass(2_000);
  jobs.goDown();

  await expect(lease!.held()).rejects.toBeInstanceOf(RecordUnavailable);
  await expect(lease!.held()).rejects.toBeInstanceOf(RecordUnavailable);

  jobs.comeBack();
  expect(await lease!.held()).toEqual(ALL);
});

it('gives back what it can while the record is away', async () => {
  const { jobs, leases } = setup(1);
  await leases[0]!.held();
  jobs.goDown();

  await expect(leases[0]!.giveBack()).resolves.toBeUndefined();
});

it('leaves nothing behind, whoever asks for lanes while they are given back, or later', async () => {
  const { jobs, leases } = setup();
  const [closing, other] = [leases[0]!, leases[1]!];
  const lease = jobs.leaseLanes.bind(jobs);
  jest.spyOn(jobs, 'leaseLanes').mockImplementationOnce(async (...asked) => {
    for (let turn = 0; turn < 10; turn++) await Promise.resolve(); // on its way to the record
    return lease(...asked);
  });

  const asking = closing.held();
  await closing.giveBack();

  expect(await asking).toEqual([]);
  expect(await closing.held()).toEqual([]);
  expect(await other.held()).toEqual(ALL);
});
