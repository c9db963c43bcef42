import type { MigrationInterface, QueryRunner } from 'typeorm';
import { setFillFactor } from './1764800000000-room-for-updates.js';

/**
 * An attempt that completes its job stands on the job's own row: nothing comes after it, so that a row of its own would
 * add its token and worker alone. Processes of the release before go on writing both, and find what they wrote.
 *
 * A settled row is up to 1.5 times as long as the submitted one: 40 % of a page have room for it in the rest.
 */
export class CompletedAttempts1764900000000 implements MigrationInterface {
  async up(runner: QueryRunner): Promise<void> {
    await runner.query(`ALTER TABLE jobs ADD COLUMN token uuid, ADD COLUMN worker text`);
    await runner.query(ALL_ATTEMPTS);
    await setFillFactor(runner, 50, 40);
  }

  /** As long as it takes, while nobody completes a job. */
  async down(runner: QueryRunner): Promise<void> {
    await runner.query(`LOCK TABLE jobs IN ACCESS EXCLUSIVE MODE`);
    await runner.query(`SET LOCAL statement_timeout = 0`);
    await runner.query(`DROP VIEW all_attempts`);
    await runner.query(`
      INSERT INTO job_attempts (job_id, tenant, run, number, token, worker, started_at, finished_at, outcome)
      ${COMPLETED}`);
    await runner.query(`ALTER TABLE jobs DROP COLUMN token, DROP COLUMN worker`);
    await setFillFactor(runner, 40, 50);
  }
}

const COMPLETED = `
SELECT id AS job_id, tenant, run, attempts_made AS number, token, worker, started_at, finished_at, status AS outcome
FROM jobs WHERE status = 'completed' AND token IS NOT NULL`;

/** Attempts wherever they stand. Jobs that were completed before have theirs in \`job_attempts\`, and no token. */
const ALL_ATTEMPTS = `
CREATE VIEW all_attempts AS
SELECT job_id, tenant, run, number, token, worker, started_at, finished_at, outcome, error FROM job_attempts
UNION ALL
SELECT c.*, NULL::json AS error FROM (${COMPLETED}) AS c`;
