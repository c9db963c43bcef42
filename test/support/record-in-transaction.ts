import type { DataSource, EntityManager, QueryRunner } from 'typeorm';
import type { JobRepository } from '../../src/jobs/job-repository.js';
import { repositoryOn } from './record-on-postgres.js';

/** The record in one transaction, which is asked before it ends, and comes to nothing. */
export async function within<T>(
  database: DataSource,
  work: (record: JobRepository, transaction: QueryRunner) => Promise<unknown>,
  look: (transaction: QueryRunner) => Promise<T>,
  setting: 'on' | 'off' = 'on',
): Promise<T> {
  const transaction = database.createQueryRunner();
  await transaction.startTransaction();
  try {
    await transaction.query(`SET LOCAL synchronous_commit = ${setting}`);
    const query = (sql: string, parameters?: unknown[]) => transaction.query(sql, parameters);
    const inner = <R>(run: (manager: EntityManager) => Promise<R>) => run(transaction.manager);
    const createQueryRunner = () => ({
      connect: () => transaction.connect(),
      release: async () => undefined,
    });
    const alike = { query, transaction: inner, createQueryRunner } as unknown as DataSource;
    await work(repositoryOn(alike), transaction);
    return await look(transaction);
  } finally {
    await transaction.rollbackTransaction();
    await transaction.release();
  }
}
