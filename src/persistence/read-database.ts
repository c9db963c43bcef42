import { Injectable, Logger, type OnApplicationBootstrap, type OnApplicationShutdown } from '@nestjs/common';
import { DataSource } from 'typeorm';
import { AppConfig } from '../config/app-config.js';
import { dataSourceOptions } from './data-source-options.js';
import { isDataError, reasonOf } from './database-error.js';

/** A page takes some tens of ms, so these few read a hundred a second; every API process has as many. */
const CONNECTIONS = 4;
/** After a failure the replica is left alone for so long, in ms; then one call tries it. */
const REST = 5_000;

/**
 * Where lists are read: the replica where there is one and it answers, else the primary. A replica that is away, late
 * with its schema, or in conflict with what it replays costs no answer, and a dead one not every call a time-out.
 */
@Injectable()
export class ReadDatabase implements OnApplicationBootstrap, OnApplicationShutdown {
  readonly #logger = new Logger('Database');
  readonly #url?: string;
  #replica?: Promise<DataSource>;
  /** Set while there is an outage. */
  #restsUntil?: number;

  constructor(
    private readonly primary: DataSource,
    { database }: AppConfig,
  ) {
    this.#url = database.readUrl;
  }

  /** So that whoever starts the process is told, and not who lists first. */
  async onApplicationBootstrap(): Promise<void> {
    if (this.#url === undefined) return;
    await this.replicaAt(this.#url).catch((error: unknown) => this.failed(error));
  }

  async onApplicationShutdown(): Promise<void> {
    const replica = await this.#replica?.catch(() => undefined);
    await replica?.destroy();
  }

  /** @param ask only reads; it is called again, with the primary, where the replica fails */
  async read<T>(ask: (database: DataSource) => Promise<T>): Promise<T> {
    if (this.#url === undefined || Date.now() < (this.#restsUntil ?? 0)) return ask(this.primary);

    const isTrial = this.#restsUntil !== undefined;
    if (isTrial) this.rest(); // the others do not wait for it
    try {
      const answer = await ask(await this.replicaAt(this.#url));
      if (isTrial) this.recovered();
      return answer;
    } catch (error) {
      if (isDataError(error)) throw error; // the primary would say the same
      this.failed(error);
      return ask(this.primary);
    }
  }

  /** Opened once, and tried again after a failure: its pool outlives the server's outages. */
  private replicaAt(url: string): Promise<DataSource> {
    const options = dataSourceOptions({ database: { url, poolSize: CONNECTIONS } });
    this.#replica ??= new DataSource({ ...options, logging: false }).initialize().catch((error: unknown) => {
      this.#replica = undefined;
      throw error;
    });
    return this.#replica;
  }

  private failed(error: unknown): void {
    const isFirst = this.#restsUntil === undefined;
    this.rest();
    if (isFirst) {
      this.#logger.warn(
        `Lists are read from the primary, since DATABASE_READ_URL does not answer: ${reasonOf(error)}`,
      );
    }
  }

  private recovered(): void {
    this.#restsUntil = undefined;
    this.#logger.log('Lists are read from the replica again');
  }

  private rest(): void {
    this.#restsUntil = Date.now() + REST;
  }
}
