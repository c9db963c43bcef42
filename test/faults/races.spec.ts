import { randomUUID } from 'node:crypto';
import type { DataSource } from 'typeorm';
import { IllegalTransition } from '../../src/jobs/job.errors.js';
import type { JobRepository, Settlement } from '../../src/jobs/job-repository.js';
import { aDraft } from '../support/job-drafts.js';
import { startPostgres } from '../support/postgres.js';
import { connectMigrated, repositoryOn } from '../support/record-on-postgres.js';
import { EFFECTS_TABLE, verdictOf } from './support/history.js';
import { Random, SEED } from './support/random.js';
import { scale } from './support/scale.js';

const JOBS = scale({ full: 10_000, short: 1_000 });
/** Jobs that are raced for at the same time. */
const SIDE_BY_SIDE = 20;
const TENANT = 'default';

const WAYS = ['settled', 'cancelled', 'expired', 'retried'] as const;

/** What those who raced for a job were told, and how often. */
type Told = Record<(typeof WAYS)[number], number>;

describe('many who decide on one job at the same time', () => {
  let database: DataSource;
  let other: DataSource;

  beforeAll(async () => {
    const postgres = await startPostgres();
    const url = await postgres.createDatabase();
    database = await connectMigrated(url);
    other = await connectMigrated(url);
    await database.query(EFFECTS_TABLE);
  });
  afterAll(() => Promise.all([database.destroy(), other.destroy()]));

  it(`leave a legal history, and know who won (${JOBS} jobs, seed ${SEED})`, async () => {
    const random = new Random('races');
    const processes = [repositoryOn(database), repositoryOn(other)];
    const told = new Map<string, Told>();

    for (let done = 0; done < JOBS; done += SIDE_BY_SIDE) {
      const ids = await submit(processes[0]!, random);
      for (const id of ids) told.set(id, { settled: 0, cancelled: 0, expired: 0, retried: 0 });
      const races = ids.flatMap((id) => decisionsOn(id, told, random, processes));
      await Promise.all([
        ...random.shuffled(races).map((decide) => decide()),
        ...[0, 1, 2].map(() => expire(random.pick(processes), told)),
        ...[0, 1, 2].map(() => random.pick(processes).reap(0, 1_000)),
      ]);
    }

    expect(await disagreements(told)).toEqual([]);
    const { breaches, reaped } = await verdictOf({ sql: (text, values) => database.query(text, values) }, []);
    expect(breaches.filter(({ kind }) => kind !== 'stuck')).toEqual([]);

    const all = [...told.values()];
    const sums = WAYS.map((way) => [way, all.reduce((sum, each) => sum + each[way], 0)]);
    const counts = { ...(Object.fromEntries(sums) as Told), reaped };
    process.stdout.write(`${JOBS} jobs raced for: ${JSON.stringify(counts)}\n`);
    for (const count of Object.values(counts)) expect(count).toBeGreaterThan(0);
  });

  /** Where what was told and what is on record differ, or an end is there that nobody made. */
  async function disagreements(told: Map<string, Told>): Promise<unknown[]> {
    const rows: (Told & { id: string; run: number; over: boolean })[] = await database.query(`
      SELECT j.id, j.run, j.status IS NOT NULL AS over,
        (SELECT count(*)::int FROM all_attempts a WHERE a.job_id = j.id) AS settled,
        (SELECT count(*)::int FROM job_events e WHERE e.job_id = j.id AND kind = 'cancelled') AS cancelled,
        (SELECT count(*)::int FROM job_events e WHERE e.job_id = j.id AND kind = 'expired') AS expired,
        (SELECT count(*)::int FROM job_events e WHERE e.job_id = j.id AND kind = 'retried') AS retried
      FROM jobs j`);
    expect(rows).toHaveLength(JOBS);
    return rows.filter(({ id, run, over, ...seen }) => {
      const endings = seen.settled + seen.cancelled + seen.expired;
      const consistent = endings === (over ? run : run - 1) && seen.retried === run - 1;
      const believed = told.get(id)!;
      return !consistent || WAYS.some((way) => seen[way] !== believed[way]);
    });
  }
});

async function submit(jobs: JobRepository, random: Random): Promise<string[]> {
  const past = new Date(Date.now() - 1_000);
  const drafts = Array.from({ length: SIDE_BY_SIDE }, () =>
    aDraft({ tenant: TENANT, expiresAt: random.next() < 0.3 ? past : undefined }),
  );
  return (await jobs.insert(drafts)).map(({ id }) => id);
}

/** A worker or two, people who cancel, and people who retry, in an order that chance decides. */
function decisionsOn(
  id: string,
  told: Map<string, Told>,
  random: Random,
  processes: JobRepository[],
): (() => Promise<unknown>)[] {
  const count = (way: keyof Told): void => void told.get(id)![way]++;
  const decide = async (way: keyof Told, move: Promise<unknown>): Promise<void> => {
    try {
      await move;
      count(way);
    } catch (error) {
      if (!(error instanceof IllegalTransition)) throw error;
    }
  };
  const decisions = {
    work: async () => {
      const jobs = random.pick(processes);
      const job = await jobs.find(TENANT, id);
      const claim = { jobId: id, delivery: job!.delivery, token: randomUUID(), workerId: randomUUID() };
      if ((await jobs.claim(claim)).kind !== 'claimed') return;
      const settlement: Settlement =
        random.next() < 0.5
          ? { ...claim, outcome: 'completed', result: 1 }
          : { ...claim, outcome: 'failed', error: { code: 'X', message: 'x' } };
      if (await random.pick(processes).settle(settlement)) count('settled');
    },
    cancel: () => decide('cancelled', random.pick(processes).cancel(TENANT, id)),
    retry: () => decide('retried', random.pick(processes).retry(TENANT, id)),
  };
  return Array.from(
    { length: 6 },
    () => decisions[random.pick(['work', 'work', 'cancel', 'retry'] as const)],
  );
}

async function expire(jobs: JobRepository, told: Map<string, Told>): Promise<void> {
  for (const id of await jobs.expire(1_000)) told.get(id)!.expired++;
}
