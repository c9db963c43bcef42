import type pg from 'pg';
import type { DataSource, QueryRunner } from 'typeorm';
import { sqlStateOf } from './database-error.js';

/** A plan made while a table was small is wrong once it has grown: each connection plans anew after so long (ms). */
const LONGEST_USE = 10_000;

/** One that takes longer (ms, and so much a row) may well have such a plan: it is planned anew, if not just now (ms). */
const SLOW = { call: 5, row: 0.1 };
const SHORTEST_USE = 250;

/** With its comma. */
const ID_LENGTH = 37;

/** The statement is gone (a pooler, DISCARD ALL), there already, or a table has changed its shape under it. */
const STALE = new Set(['26000', '42P05', '0A000']);

/** What a connection has prepared under the statement's name, and when it was planned. */
interface Plan {
  text: string;
  at: number;
}

/**
 * A statement that PostgreSQL parses and plans once a connection, and not at every call: over partitioned tables that
 * alone takes half a millisecond to a whole one. For batches whose size makes no difference to the best plan.
 */
export class PreparedStatement {
  readonly #plans = new WeakMap<pg.ClientBase, Plan>();

  /** @param name unique among the platform's statements */
  constructor(
    private readonly name: string,
    private readonly sql: string,
  ) {}

  /**
   * The rows are of the caller's shape: as with `rowsOf`, what the driver gives is believed.
   * @param text another form of the statement: a connection has one at a time, and a change costs as much as a new plan
   */
  async rowsOf<Row>(database: DataSource, parameters: unknown[], text = this.sql): Promise<Row[]> {
    const runner = database.createQueryRunner();
    try {
      return await this.ask<Row>(runner, text, parameters);
    } finally {
      await runner.release();
    }
  }

  private async ask<Row>(runner: QueryRunner, text: string, values: unknown[]): Promise<Row[]> {
    const client = (await runner.connect()) as pg.ClientBase;
    const plan = await this.planned(client, text);
    const start = performance.now();
    try {
      const { rows } = await client.query<Row & pg.QueryResultRow>({ name: this.name, text, values });
      const end = performance.now();
      if (isSlow(end - start, values) && end - plan.at > SHORTEST_USE) plan.at = -Infinity;
      return rows;
    } catch (error) {
      if (!STALE.has(sqlStateOf(error) ?? '')) throw error;
      plan.at = -Infinity;
      const { rows } = await client.query<Row & pg.QueryResultRow>(text, values);
      return rows;
    }
  }

  private async planned(client: pg.ClientBase, text: string): Promise<Plan> {
    const known = this.#plans.get(client);
    const now = performance.now();
    if (known?.text === text && now - known.at < LONGEST_USE) return known;

    if (known) await this.forget(client);
    const plan = { text, at: now };
    this.#plans.set(client, plan);
    return plan;
  }

  private async forget(client: pg.ClientBase): Promise<void> {
    await client.query(`DEALLOCATE ${this.name}`).catch((error: unknown) => {
      if (!STALE.has(sqlStateOf(error) ?? '')) throw error;
    });
    delete parsedOn(client)[this.name];
  }
}

/** A batch comes as columns of its rows. */
function isSlow(took: number, [column]: unknown[]): boolean {
  return took > SLOW.call + rowsIn(column) * SLOW.row;
}

/** One that is written already is of ids. */
function rowsIn(column: unknown): number {
  if (Array.isArray(column)) return column.length;
  return typeof column === 'string' && column.startsWith('{') ? column.length / ID_LENGTH : 0;
}

/** By name, what the driver takes for prepared: its own field, which its types leave out. */
function parsedOn(client: pg.ClientBase): Record<string, string> {
  return (client as unknown as { connection: { parsedStatements: Record<string, string> } }).connection
    .parsedStatements;
}
