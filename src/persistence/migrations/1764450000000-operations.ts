import type { MigrationInterface, QueryRunner } from 'typeorm';

/** Decisions on many jobs at once, which are carried out batch by batch. */
export class Operations1764450000000 implements MigrationInterface {
  async up(runner: QueryRunner): Promise<void> {
    await runner.query(`
      CREATE TABLE operations (
        id uuid NOT NULL,
        tenant text NOT NULL,
        kind text NOT NULL,
        filter json NOT NULL,
        status text NOT NULL DEFAULT 'running',
        matched integer NOT NULL,
        processed integer NOT NULL DEFAULT 0,
        changed integer NOT NULL DEFAULT 0,
        before uuid NOT NULL,
        created_at timestamptz NOT NULL DEFAULT now(),
        stepped_at timestamptz NOT NULL DEFAULT now(),
        finished_at timestamptz,
        CONSTRAINT operations_pkey PRIMARY KEY (id),
        CONSTRAINT operations_status CHECK (status IN ('running', 'completed'))
      )`);
    await runner.query(`CREATE INDEX operations_running ON operations (stepped_at) WHERE status = 'running'`);
  }

  async down(runner: QueryRunner): Promise<void> {
    await runner.query(`DROP TABLE operations`);
  }
}
