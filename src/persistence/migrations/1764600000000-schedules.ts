import type { MigrationInterface, QueryRunner } from 'typeorm';

/**
 * Schedules, and the times at which they fired. Neither is partitioned: a time is unique whenever it comes. Processes of
 * the version before never look here.
 */
export class Schedules1764600000000 implements MigrationInterface {
  async up(runner: QueryRunner): Promise<void> {
    await runner.query(`
      CREATE TABLE schedules (
        tenant text NOT NULL,
        name text NOT NULL,
        cron text,
        timezone text,
        every_ms bigint,
        type text NOT NULL,
        data json NOT NULL,
        options json NOT NULL,
        misfire text NOT NULL,
        overlap text NOT NULL,
        paused boolean NOT NULL,
        next_fire_at timestamptz,
        last_job_id uuid,
        created_at timestamptz NOT NULL,
        updated_at timestamptz NOT NULL,
        CONSTRAINT schedules_pkey PRIMARY KEY (tenant, name),
        CONSTRAINT schedules_timing CHECK ((cron IS NULL) = (timezone IS NULL) AND (cron IS NULL) <> (every_ms IS NULL))
      );
      CREATE INDEX schedules_due ON schedules (next_fire_at) WHERE next_fire_at IS NOT NULL;
      CREATE TABLE schedule_fires (
        tenant text NOT NULL,
        schedule text NOT NULL,
        fire_at timestamptz NOT NULL,
        job_id uuid,
        skipped text,
        CONSTRAINT schedule_fires_pkey PRIMARY KEY (tenant, schedule, fire_at)
      );
      CREATE INDEX schedule_fires_fire_at ON schedule_fires (fire_at)`);
  }

  async down(runner: QueryRunner): Promise<void> {
    await runner.query(`DROP TABLE schedule_fires; DROP TABLE schedules`);
  }
}
