import { randomUUID } from 'node:crypto';
import { EventEmitter } from 'node:events';
import type { DataSource } from 'typeorm';
import type { BeatMessage, HeartbeatThreadData } from '../../src/persistence/heartbeat-thread.js';
import { startPostgres } from '../support/postgres.js';
import { connectMigrated } from '../support/record-on-postgres.js';

/** The main thread, as the heartbeat sees it. */
class MainThread extends EventEmitter {
  readonly id = randomUUID();
  readonly heard: BeatMessage[] = [];
  readonly #lastTurn = new SharedArrayBuffer(8);
  readonly closed = new Promise<void>((resolve) => this.once('closed', resolve));

  constructor(private readonly url: string) {
    super();
  }

  get data(): HeartbeatThreadData {
    const worker = { id: this.id, host: 'host', pid: 1, queues: [], types: [] };
    return { url: this.url, worker, interval: 50, longestBlock: 60_000, lastTurn: this.#lastTurn };
  }

  turnedAgo(ms: number): void {
    const now = Number(process.hrtime.bigint() / 1_000_000n);
    new Float64Array(this.#lastTurn)[0] = now - ms;
  }

  postMessage(message: BeatMessage): void {
    this.heard.push(message);
    this.emit('heard');
  }

  close(): void {
    this.emit('closed');
  }

  /** The next message of a kind. */
  async next<Kind extends BeatMessage['kind']>(kind: Kind): Promise<Extract<BeatMessage, { kind: Kind }>> {
    const from = this.heard.length;
    for (;;) {
      await new Promise((resolve) => this.once('heard', resolve));
      const message = this.heard.slice(from).find((each) => each.kind === kind);
      if (message) return message as Extract<BeatMessage, { kind: Kind }>;
    }
  }

  async stop(): Promise<void> {
    this.emit('message', 'stop');
    await this.closed;
  }
}

let main: MainThread | undefined;

jest.mock('node:worker_threads', () => ({
  get parentPort() {
    return main ?? null;
  },
  get workerData() {
    return main?.data;
  },
}));

describe('the heartbeat', () => {
  let url: string;
  let database: DataSource;

  beforeAll(async () => {
    const postgres = await startPostgres();
    url = await postgres.createDatabase();
    database = await connectMigrated(url);
  });

  afterAll(() => database.destroy());

  afterEach(() => main?.stop());

  async function begin({ turnedAgo }: { turnedAgo: number }): Promise<MainThread> {
    const thread = (main = new MainThread(url));
    thread.turnedAgo(turnedAgo);
    await jest.isolateModulesAsync(async () => {
      await import('../../src/persistence/heartbeat-thread.js');
    });
    return thread;
  }

  const beatOf = async ({ id }: MainThread) => {
    const rows = await database.query<{ heartbeat_at: Date; loop_lag_ms: number }[]>(
      'SELECT heartbeat_at, loop_lag_ms FROM workers WHERE id = $1',
      [id],
    );
    return rows[0];
  };

  it('makes its row, and keeps it fresh by the clock of the database', async () => {
    const thread = await begin({ turnedAgo: 0 });

    expect(await thread.next('beat')).toMatchObject({ created: true });
    await database.query(`UPDATE workers SET heartbeat_at = now() - interval '1 hour' WHERE id = $1`, [
      thread.id,
    ]);
    await thread.next('beat');
    expect(await thread.next('beat')).toMatchObject({ created: false });

    const [{ age }] = await database.query<[{ age: number }]>(
      'SELECT extract(epoch FROM now() - heartbeat_at)::float8 AS age FROM workers WHERE id = $1',
      [thread.id],
    );
    expect(age).toBeLessThan(60);
  });

  it('tells how long the main loop has stood still, and is silent after a minute of it', async () => {
    const thread = await begin({ turnedAgo: 30_000 });
    await thread.next('beat');
    expect((await beatOf(thread))!.loop_lag_ms).toBeGreaterThanOrEqual(30_000);

    thread.turnedAgo(60_500);
    expect((await thread.next('missed')).reason).toContain('stood still');
    const last = (await beatOf(thread))!.heartbeat_at;
    await thread.next('missed');
    await thread.next('missed');
    expect((await beatOf(thread))!.heartbeat_at).toEqual(last);

    thread.turnedAgo(0);
    await thread.next('beat');
    expect((await beatOf(thread))!.heartbeat_at.getTime()).toBeGreaterThan(last.getTime());
  });

  it('goes on over another connection when its own is cut', async () => {
    const thread = await begin({ turnedAgo: 0 });
    await thread.next('beat');

    const cut = await database.query<unknown[]>(
      `SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name = 'job-queue-platform heartbeat'`,
    );

    expect(cut).not.toEqual([]);
    await thread.next('beat'); // it may have been on its way
    expect(await thread.next('beat')).toMatchObject({ created: false });
  });

  it('tells by a new row that the old one was taken away', async () => {
    const thread = await begin({ turnedAgo: 0 });
    await thread.next('beat');

    await database.query('DELETE FROM workers WHERE id = $1', [thread.id]);

    const beats = [await thread.next('beat'), await thread.next('beat')];
    expect(beats.some(({ created }) => created)).toBe(true);
  });

  it('takes its row away when it is told to stop', async () => {
    const thread = await begin({ turnedAgo: 0 });
    await thread.next('beat');

    await thread.stop();

    expect(await beatOf(thread)).toBeUndefined();
    main = undefined;
  });
});
