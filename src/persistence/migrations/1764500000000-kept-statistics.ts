import type { MigrationInterface, QueryRunner } from 'typeorm';

/**
 * What became of jobs, a row a minute, tenant, queue and type: few rows that are updated often, by indexes that the
 * updates leave alone. And which job types a worker knows; null where a worker of an older version says nothing.
 */
export class KeptStatistics1764500000000 implements MigrationInterface {
  async up(runner: QueryRunner): Promise<void> {
    await runner.query(`
      CREATE TABLE job_statistics (
        tenant text NOT NULL,
        minute timestamptz NOT NULL,
        queue text NOT NULL,
        type text NOT NULL,
        submitted bigint NOT NULL,
        completed bigint NOT NULL,
        failed bigint NOT NULL,
        retried bigint NOT NULL,
        deliveries bigint NOT NULL,
        slot_ms double precision NOT NULL,
        wait bigint[] NOT NULL,
        run bigint[] NOT NULL,
        CONSTRAINT job_statistics_pkey PRIMARY KEY (tenant, minute, queue, type)
      ) WITH (fillfactor = 50)`);
    await runner.query(`CREATE INDEX job_statistics_queue ON job_statistics (queue, minute)`);
    await runner.query(`CREATE INDEX job_statistics_minute ON job_statistics (minute)`);
    await runner.query(`ALTER TABLE workers ADD COLUMN types jsonb`);
  }

  async down(runner: QueryRunner): Promise<void> {
    await runner.query(`ALTER TABLE workers DROP COLUMN types`);
    await runner.query(`DROP TABLE job_statistics`);
  }
}
