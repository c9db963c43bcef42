import type { MigrationInterface, QueryRunner } from 'typeorm';

/**
 * Half a page of `jobs` is left to the updates: each job is settled at least once, those of a page often in one
 * transaction, and a row that finds no room beside itself is a new entry in every index (77 of 100 were, at 85).
 */
export class RoomForUpdates1764800000000 implements MigrationInterface {
  async up(runner: QueryRunner): Promise<void> {
    await setFillFactor(runner, 85, 50);
  }

  async down(runner: QueryRunner): Promise<void> {
    await setFillFactor(runner, 50, 85);
  }
}

/** Of days to come, by the function that makes them, and of those that still take jobs. */
export async function setFillFactor(runner: QueryRunner, from: number, to: number): Promise<void> {
  await runner.query(`
    DO $$
    DECLARE
      part regclass;
      known text := pg_get_functiondef('ensure_partitions(int, int)'::regprocedure);
      changed text := replace(known, 'WHEN ''jobs'' THEN ${from} ELSE', 'WHEN ''jobs'' THEN ${to} ELSE');
    BEGIN
      IF changed = known THEN
        RAISE EXCEPTION 'ensure_partitions is not the one that this migration knows';
      END IF;
      EXECUTE changed;
      FOR part IN
        SELECT inhrelid::regclass FROM pg_inherits
        WHERE inhparent = 'jobs'::regclass
          AND right(inhrelid::regclass::text, 8) >= to_char(now() AT TIME ZONE 'UTC', 'YYYYMMDD')
      LOOP
        EXECUTE format('ALTER TABLE %s SET (fillfactor = ${to})', part);
      END LOOP;
    END $$`);
}
