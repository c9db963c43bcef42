import type { MigrationInterface, QueryRunner } from 'typeorm';

/** Counts of what the reconciler and the reaper found and mended, kept over restarts. */
export class Drift1764300000000 implements MigrationInterface {
  async up(runner: QueryRunner): Promise<void> {
    await runner.query(`
      CREATE TABLE drift (
        kind text NOT NULL,
        count bigint NOT NULL,
        CONSTRAINT drift_pkey PRIMARY KEY (kind)
      )`);
  }

  async down(runner: QueryRunner): Promise<void> {
    await runner.query(`DROP TABLE drift`);
  }
}
