import type { MigrationInterface, QueryRunner } from 'typeorm';

/**
 * The relay's lease is on a queue's shard, not on the shard of all queues: a process without an extension's job types
 * could hold the shard, and the extension's queue would wait. And the reconciler finds what was pushed and not claimed
 * without reading what is delayed. `relay_leases` stays one version longer, for processes of the version before.
 */
export class LeasePerLane1764100000000 implements MigrationInterface {
  async up(runner: QueryRunner): Promise<void> {
    await runner.query(`
      CREATE TABLE lane_leases (
        queue text NOT NULL,
        shard smallint NOT NULL,
        holder uuid NOT NULL,
        expires_at timestamptz NOT NULL,
        CONSTRAINT lane_leases_pkey PRIMARY KEY (queue, shard)
      )`);
    await runner.query(`
      CREATE INDEX dispatch_unclaimed ON dispatch (queue, shard, job_id)
      WHERE pushed_at IS NOT NULL AND token IS NULL`);
  }

  async down(runner: QueryRunner): Promise<void> {
    await runner.query(`DROP INDEX dispatch_unclaimed`);
    await runner.query(`DROP TABLE lane_leases`);
  }
}
