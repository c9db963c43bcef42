import type { DataSource } from 'typeorm';

/** Runs after this platform's migrations, under the same lock: the queue's own, where its backend has some. */
export type QueueMigration = () => Promise<void>;

/**
 * Brings the schema up to date. Many processes may call it at once: one works under an advisory lock, the others wait
 * and find nothing to do.
 * @returns the names of the migrations that ran
 */
export async function migrate(database: DataSource, migrateQueue: QueueMigration): Promise<string[]> {
  // The lock lives on a session of its own, since the migrations open their own transactions.
  const lock = database.createQueryRunner();
  try {
    await lock.query(`SET lock_timeout = 0; SET statement_timeout = 0`);
    await lock.query(`SELECT pg_advisory_lock(hashtext('job-queue-platform'), hashtext('migrations'))`);
    const ran = await database.runMigrations({ transaction: 'each' });
    await migrateQueue();
    return ran.map(({ name }) => name);
  } finally {
    // The session goes back into the pool as it was.
    const restore = `SELECT pg_advisory_unlock_all(); RESET lock_timeout; RESET statement_timeout`;
    await lock.query(restore).catch(() => undefined);
    await lock.release();
  }
}
