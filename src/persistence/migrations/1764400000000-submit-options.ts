import type { MigrationInterface, QueryRunner } from 'typeorm';

/**
 * Tags, a moment after which a job must not start, and a key of which one live job has at most one: the row in `dispatch`
 * lives as long as its job, so a unique index over it is all that the key needs, and nothing has to be cleared away.
 */
export class SubmitOptions1764400000000 implements MigrationInterface {
  async up(runner: QueryRunner): Promise<void> {
    await runner.query(
      `ALTER TABLE jobs ADD COLUMN tags text[], ADD COLUMN expires_at timestamptz, ADD COLUMN dedupe_key text`,
    );
    await runner.query(`CREATE INDEX jobs_tags ON jobs USING gin (tags) WHERE tags IS NOT NULL`);
    await runner.query(`ALTER TABLE dispatch ADD COLUMN expires_at timestamptz, ADD COLUMN dedupe_key text`);
    await runner.query(
      `CREATE INDEX dispatch_expiring ON dispatch (expires_at) WHERE expires_at IS NOT NULL`,
    );
    await runner.query(
      `CREATE UNIQUE INDEX dispatch_dedupe ON dispatch (tenant, dedupe_key) WHERE dedupe_key IS NOT NULL`,
    );
  }

  async down(runner: QueryRunner): Promise<void> {
    await runner.query(`ALTER TABLE dispatch DROP COLUMN expires_at, DROP COLUMN dedupe_key`);
    await runner.query(`ALTER TABLE jobs DROP COLUMN tags, DROP COLUMN expires_at, DROP COLUMN dedupe_key`);
  }
}
