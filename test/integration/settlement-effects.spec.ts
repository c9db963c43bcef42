import { randomUUID } from 'node:crypto';
import type { DataSource, EntityManager } from 'typeorm';
import type { Claim, Effect } from '../../src/jobs/job-repository.js';
import type { TypeOrmJobRepository } from '../../src/persistence/typeorm-job-repository.js';
import { aDraft } from '../support/job-drafts.js';
import { startPostgres } from '../support/postgres.js';
import { connectMigrated, repositoryOn, untilAnswers } from '../support/record-on-postgres.js';

/** Books the job, in the transaction that it is given. */
const booking =
  (jobId: string, fault?: Error): Effect =>
  async (transaction) => {
    await (transaction as EntityManager).query(`INSERT INTO bookings VALUES ($1)`, [jobId]);
    if (fault) throw fault;
    return 'booked';
  };

describe('an effect in the transaction of the settlement', () => {
  let postgres: Awaited<ReturnType<typeof startPostgres>>;
  let database: DataSource;
  let jobs: TypeOrmJobRepository;

  beforeAll(async () => {
    postgres = await startPostgres();
    database = await connectMigrated(await postgres.createDatabase());
    await database.query(`CREATE TABLE bookings (job_id uuid)`);
    jobs = repositoryOn(database);
  });

  afterAll(() => database.destroy());

  async function claimed(): Promise<Claim> {
    const [job] = await jobs.insert([aDraft()]);
    const request = { jobId: job!.id, delivery: 1, token: randomUUID(), workerId: randomUUID() };
    const answer = await jobs.claim(request);
    if (answer.kind !== 'claimed') throw new Error(answer.kind);
    return answer.claim;
  }

  async function bookings({ jobId }: Claim): Promise<number> {
    const [{ count }] = await database.query<[{ count: number }]>(
      `SELECT count(*)::int FROM bookings WHERE job_id = $1`,
      [jobId],
    );
    return count;
  }

  it('commits with it', async () => {
    const claim = await claimed();

    expect(await jobs.settleWith(claim, booking(claim.jobId))).toEqual({ result: 'booked' });

    expect(await bookings(claim)).toBe(1);
    expect(await jobs.find('default', claim.jobId)).toMatchObject({ status: 'completed', result: 'booked' });
  });

  it('hands work on exactly once: what it submits is committed with it, or not at all', async () => {
    const claim = await claimed();
    const followUp = aDraft({ tenant: claim.jobId });
    const handingOn =
      (fault?: Error): Effect =>
      async (transaction) => {
        await jobs.insertWithin(transaction, [followUp]);
        if (fault) throw fault;
        return null;
      };
    const followUps = () => jobs.list(claim.jobId, {}, { limit: 10 });

    await expect(jobs.settleWith(claim, handingOn(new Error('late')))).rejects.toThrow();
    expect(await followUps()).toEqual([]);

    await jobs.settleWith(claim, handingOn());
    await jobs.settleWith(claim, handingOn());
    expect(await followUps()).toHaveLength(1);
  });

  it('leaves nothing behind when it throws', async () => {
    const claim = await claimed();

    await expect(jobs.settleWith(claim, booking(claim.jobId, new Error('late')))).rejects.toThrow();

    expect(await bookings(claim)).toBe(0);
    expect(await jobs.find('default', claim.jobId)).toMatchObject({ status: 'active' });
  });

  it('fails by the word of the database as the handler fails, not as if the database were away', async () => {
    const claim = await claimed();
    const wrong: Effect = (transaction) => (transaction as EntityManager).query(`SELECT 1 / 0`);

    await expect(jobs.settleWith(claim, wrong)).rejects.toMatchObject({ code: 'EFFECT_FAILED' });
  });

  it('keeps every other from the job until it has committed', async () => {
    const claim = await claimed();
    let released: Promise<boolean> | undefined;

    const settled = await jobs.settleWith(claim, (transaction) => {
      released = jobs.release(claim, 'by another');
      return booking(claim.jobId)(transaction);
    });

    expect(settled).toEqual({ result: 'booked' });
    expect(await released).toBe(false);
    expect(await bookings(claim)).toBe(1);
  });

  it('happens once for each of many jobs that settle at the same time', async () => {
    const claims = await Promise.all(Array.from({ length: 40 }, claimed));

    await Promise.all(claims.map((claim) => jobs.settleWith(claim, booking(claim.jobId))));

    expect(await Promise.all(claims.map(bookings))).toEqual(Array(40).fill(1));
  });

  it('is gone with a transaction that the database could not commit, and happens once when it is tried again', async () => {
    const claim = await claimed();
    const unlucky: Effect = async (transaction) => {
      const value = await booking(claim.jobId)(transaction);
      await postgres.kill();
      return value;
    };

    await expect(jobs.settleWith(claim, unlucky)).rejects.toMatchObject({ code: 'RECORD_UNAVAILABLE' });
    await postgres.start();
    await untilAnswers(database);
    await jobs.claim({ ...claim, workerId: randomUUID() });
    await jobs.settleWith(claim, booking(claim.jobId));

    expect(await bookings(claim)).toBe(1);
  });
});
