import { Injectable } from '@nestjs/common';
import { DataSource, type EntityManager } from 'typeorm';
import { AppConfig } from '../config/app-config.js';
import type { JobFilter } from '../jobs/job-repository.js';
import { OperationRepository } from '../operations/operation-repository.js';
import type { Operation, OperationKind } from '../operations/operation.js';
import { answering } from './database-error.js';
import { OperationEntity } from './entities/operation.entity.js';
import { cancelAll } from './job-control.js';
import { retryAll } from './job-retries.js';
import { listQuery } from './list-query.js';
import { rowsOf } from './rows.js';

/** Jobs that are submitted from now on are not its own: ids grow. */
const START = `
INSERT INTO operations (id, tenant, kind, filter, matched, before)
SELECT id, $1, $2, $3, $4, id FROM (SELECT uuid_v7(clock_timestamp()) AS id) AS made
RETURNING id`;

/** Plan: the first row of operations_running that nobody holds. */
const NEXT = `
SELECT id FROM operations WHERE status = 'running' ORDER BY stepped_at LIMIT 1 FOR UPDATE SKIP LOCKED`;

/** $5: nothing is left. */
const STEPPED = `
UPDATE operations SET processed = processed + $2, changed = changed + $3, before = $4, stepped_at = clock_timestamp(),
  status = CASE WHEN $5 THEN 'completed' ELSE status END, finished_at = CASE WHEN $5 THEN clock_timestamp() END
WHERE id = $1`;

/** Operations in PostgreSQL. */
@Injectable()
export class TypeOrmOperationRepository extends OperationRepository {
  private readonly shards: number;

  constructor(
    private readonly database: DataSource,
    config: AppConfig,
  ) {
    super();
    this.shards = config.queue.shards;
  }

  count(tenant: string, filter: JobFilter): Promise<number> {
    return answering(async () => {
      const { sql, parameters } = listQuery(tenant, filter, { limit: null }, 'j.id');
      const counted = `SELECT count(*)::int AS count FROM (${sql}) AS matched`;
      const [row] = await rowsOf<{ count: number }>(this.database, counted, parameters);
      return row?.count ?? 0;
    });
  }

  async start(tenant: string, kind: OperationKind, filter: JobFilter): Promise<Operation> {
    const matched = await this.count(tenant, filter);
    return answering(async () => {
      const parameters = [tenant, kind, JSON.stringify(filter), matched];
      const [row] = await rowsOf<{ id: string }>(this.database, START, parameters);
      return operationOf(await this.database.manager.findOneByOrFail(OperationEntity, { id: row?.id }));
    });
  }

  find(tenant: string, id: string): Promise<Operation | undefined> {
    return answering(async () => {
      const row = await this.database.manager.findOneBy(OperationEntity, { tenant, id });
      return row ? operationOf(row) : undefined;
    });
  }

  step(limit: number): Promise<Operation | undefined> {
    return answering(() => this.database.transaction((manager) => this.stepIn(manager, limit)));
  }

  private async stepIn(manager: EntityManager, limit: number): Promise<Operation | undefined> {
    const [next] = await rowsOf<{ id: string }>(manager, NEXT);
    if (!next) return undefined;

    const row = await manager.findOneByOrFail(OperationEntity, next);
    const { tenant, kind, filter } = operationOf(row);
    const { sql, parameters } = listQuery(tenant, filter, { limit, before: row.before }, 'j.id');
    const ids = (await rowsOf<{ id: string }>(manager, sql, parameters)).map(({ id }) => id);
    const changed = ids.length > 0 ? await this.decide(manager, kind, tenant, ids) : [];

    const before = ids.at(-1) ?? row.before;
    await manager.query(STEPPED, [row.id, ids.length, changed.length, before, ids.length < limit]);
    return operationOf(await manager.findOneByOrFail(OperationEntity, next));
  }

  private decide(
    manager: EntityManager,
    kind: OperationKind,
    tenant: string,
    ids: string[],
  ): Promise<string[]> {
    return kind === 'cancel' ? cancelAll(manager, tenant, ids) : retryAll(manager, this.shards, tenant, ids);
  }
}

function operationOf(row: OperationEntity): Operation {
  const { id, tenant, kind, status, matched, processed, changed, createdAt, finishedAt } = row;
  const filter = row.filter as JobFilter;
  return {
    ...{ id, tenant, kind, status, matched, processed, changed, createdAt, finishedAt },
    filter: { ...filter, createdFrom: timeOf(filter.createdFrom), createdTo: timeOf(filter.createdTo) },
  };
}

/** JSON has no dates. */
function timeOf(time: Date | string | undefined): Date | undefined {
  return time === undefined ? undefined : new Date(time);
}
