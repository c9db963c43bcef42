import { Injectable } from '@nestjs/common';
import { HealthIndicatorService, type HealthIndicatorResult } from '@nestjs/terminus';
import { DataSource } from 'typeorm';
import { JobQueue } from '../jobs/job-queue.js';

const PATIENCE = 1_500;
/** However often probes come, each store is asked once at a time. */
const SHARED_FOR = 500;

/** What this process needs to do its work, and whether it is there. */
@Injectable()
export class Readiness {
  constructor(
    private readonly health: HealthIndicatorService,
    private readonly database: DataSource,
    private readonly queue: JobQueue,
  ) {}

  async databaseAnswers(): Promise<HealthIndicatorResult> {
    return this.health
      .check('database')
      .attempt(async () => void (await this.database.query('SELECT 1')))
      .withTimeout(PATIENCE)
      .cacheFor(SHARED_FOR);
  }

  /** Reads the names itself: TypeORM's `showMigrations` logs every migration at every call. */
  async schemaIsCurrent(): Promise<HealthIndicatorResult> {
    return this.health
      .check('migrations')
      .attempt(() => this.refusePendingMigrations())
      .withTimeout(PATIENCE)
      .cacheFor(SHARED_FOR);
  }

  /** Submitting does not need the queue: without it, this process is degraded and still ready. */
  async queueAnswers(): Promise<HealthIndicatorResult> {
    const check = this.health.check('queue');
    const { queue } = await check
      .attempt(() => this.queue.ping())
      .withTimeout(PATIENCE)
      .cacheFor(SHARED_FOR);
    return queue.status === 'up'
      ? { queue }
      : check.degraded('The queue does not answer; jobs are kept and wait.');
  }

  private async refusePendingMigrations(): Promise<void> {
    const table = this.database.options.migrationsTableName ?? 'migrations';
    const rows: { name: string }[] = await this.database.query(`SELECT name FROM "${table}"`);
    const applied = new Set(rows.map(({ name }) => name));
    const pending = this.database.migrations.filter(
      (migration) => !applied.has(migration.name ?? migration.constructor.name),
    );

    if (pending.length > 0) throw new Error(`${pending.length} migrations are not applied`);
  }
}
