import type { DataSource } from 'typeorm';
import { sqlStateOf } from './database-error.js';
import { PreparedStatement } from './prepared-statement.js';
import { daySuffixOf, idRange } from './rows.js';

/** The tables that a statement names: whole ones, or the partitions of a day. */
export interface DayTables {
  jobs: string;
  attempts: string;
  /** For whole tables, after a comparison with `j.id`: what leaves out all partitions but one or two. */
  pruned: string;
}

const NO_SUCH_TABLE = '42P01';
const NONE = { suffix: '', text: '' };

/**
 * A statement over partitioned tables that names the partitions itself where all its rows are of one day. PostgreSQL then
 * keeps one plan, where it would otherwise choose partitions, and so plan, at every call. Only the latest day has a form
 * of its own; and none has a day of which something was kept, which stands in a partition of another name.
 */
export class DayStatement {
  /** For a caller's own transaction: the ids' range follows the other parameters. */
  readonly whole: string;
  readonly #overAll: PreparedStatement;
  readonly #overDay: PreparedStatement;
  #latest = NONE;
  #missing = '';

  /** @param parameters how many `sql` has of its own */
  constructor(
    name: string,
    parameters: number,
    private readonly sql: (tables: DayTables) => string,
  ) {
    const pruned = `AND j.id BETWEEN $${parameters + 1} AND $${parameters + 2}`;
    this.whole = sql({ jobs: 'jobs', attempts: 'job_attempts', pruned });
    this.#overAll = new PreparedStatement(name, this.whole);
    this.#overDay = new PreparedStatement(`${name}_of_day`, '');
  }

  /** @param ids of all rows of `jobs` that it touches */
  async rowsOf<Row>(database: DataSource, ids: readonly string[], parameters: unknown[]): Promise<Row[]> {
    const range = idRange(ids);
    const suffix = daySuffixOf(range);
    const text = suffix && this.textOf(suffix);
    if (text) {
      try {
        return await this.#overDay.rowsOf<Row>(database, parameters, text);
      } catch (error) {
        if (sqlStateOf(error) !== NO_SUCH_TABLE) throw error;
        this.#missing = suffix;
        this.#latest = NONE;
      }
    }
    return this.#overAll.rowsOf<Row>(database, [...parameters, ...range]);
  }

  private textOf(suffix: string): string | undefined {
    if (suffix === this.#missing || suffix < this.#latest.suffix) return undefined;
    if (suffix > this.#latest.suffix) {
      const tables = { jobs: `jobs${suffix}`, attempts: `job_attempts${suffix}`, pruned: '' };
      this.#latest = { suffix, text: this.sql(tables) };
    }
    return this.#latest.text;
  }
}
