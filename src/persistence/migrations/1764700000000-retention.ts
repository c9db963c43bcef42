import type { MigrationInterface, QueryRunner } from 'typeorm';

/**
 * How long job types keep their finished jobs, so that a process which does not know a type keeps them as long; how far
 * the days of `jobs` have been swept; and failed and cancelled jobs by type, for lists. None of it is written by a submit.
 */
export class Retention1764700000000 implements MigrationInterface {
  async up(runner: QueryRunner): Promise<void> {
    await runner.query(`
      CREATE TABLE retention_rules (
        type text NOT NULL,
        status text NOT NULL,
        age_ms bigint NOT NULL,
        CONSTRAINT retention_rules_pkey PRIMARY KEY (type, status),
        CONSTRAINT retention_rules_status CHECK (status IN ('completed', 'failed', 'cancelled'))
      );
      CREATE TABLE retention_sweeps (
        day text NOT NULL,
        held_until timestamptz,
        rules text,
        age_ms bigint,
        again boolean NOT NULL DEFAULT false,
        swept_at timestamptz,
        CONSTRAINT retention_sweeps_pkey PRIMARY KEY (day)
      );
      CREATE INDEX dead_letters_tenant_status_type ON dead_letters (tenant, status, type, job_id)`);
  }

  async down(runner: QueryRunner): Promise<void> {
    await runner.query(`
      DROP INDEX dead_letters_tenant_status_type;
      DROP TABLE retention_sweeps;
      DROP TABLE retention_rules`);
  }
}
