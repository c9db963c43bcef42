import type pg from 'pg';
import type { DataSource, QueryRunner } from 'typeorm';
import { sqlStateOf } from './database-error.js';

/** A plan made while a table was small is wrong once it has grown: each connection plans anew after so long (ms). */
const LONGEST_USE = 10_000;

/** One that takes longer (ms) may well have such a plan: it is planned anew, if its plan is not too young (ms). */
const SLOW = 5;
const SHORTEST_USE = 250;

/** The statement is gone (a pooler, DISCARD ALL), there already, or a table has changed its shape under it. */
const STALE = new Set(['26000', '42P05', '0A000']);

/**
 * A statement that PostgreSQL parses and plans once a connection, and not at every call: over partitioned tables that
 * alone takes half a millisecond to a whole one. For batches whose size makes no difference to the best plan.
 */
export class PreparedStatement {
  readonly #plannedAt = new WeakMap<pg.ClientBase, number>();

  /** @param name unique among the platform's statements */
  constructor(
    private readonly name: string,
    private readonly sql: string,
  ) {}

  /** The rows are of the caller's shape: as with `rowsOf`, what the driver gives is believed. */
  async rowsOf<Row>(database: DataSource, parameters: unknown[]): Promise<Row[]> {
    const runner = database.createQueryRunner();
    try {
      return await this.ask<Row>(runner, parameters);
    } finally {
      await runner.release();
    }
  }

  private async ask<Row>(runner: QueryRunner, values: unknown[]): Promise<Row[]> {
    const client = (await runner.connect()) as pg.ClientBase;
    await this.renew(client);
    const start = performance.now();
    try {
      const { rows } = await client.query<Row & pg.QueryResultRow>({
        name: this.name,
        text: this.sql,
        values,
      });
      if (performance.now() - start > SLOW) this.doubt(client);
      return rows;
    } catch (error) {
      if (!STALE.has(sqlStateOf(error) ?? '')) throw error;
      this.#plannedAt.set(client, -Infinity);
      const { rows } = await client.query<Row & pg.QueryResultRow>(this.sql, values);
      return rows;
    }
  }

  private doubt(client: pg.ClientBase): void {
    const age = performance.now() - (this.#plannedAt.get(client) ?? 0);
    if (age > SHORTEST_USE) this.#plannedAt.set(client, -Infinity);
  }

  private async renew(client: pg.ClientBase): Promise<void> {
    const plannedAt = this.#plannedAt.get(client);
    const now = performance.now();
    if (plannedAt !== undefined && now - plannedAt < LONGEST_USE) return;

    if (plannedAt !== undefined) await this.forget(client);
    this.#plannedAt.set(client, now);
  }

  private async forget(client: pg.ClientBase): Promise<void> {
    await client.query(`DEALLOCATE ${this.name}`).catch((error: unknown) => {
      if (!STALE.has(sqlStateOf(error) ?? '')) throw error;
    });
    delete parsedOn(client)[this.name];
  }
}

/** By name, what the driver takes for prepared: its own field, which its types leave out. */
function parsedOn(client: pg.ClientBase): Record<string, string> {
  return (client as unknown as { connection: { parsedStatements: Record<string, string> } }).connection
    .parsedStatements;
}
