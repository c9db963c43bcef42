import { parentPort, workerData } from 'node:worker_threads';
import pg from 'pg';
import type { WorkerRecord } from '../jobs/delivery/heartbeat.js';

/** What the main thread gives to the thread that beats for it. */
export interface HeartbeatThreadData {
  url: string;
  worker: WorkerRecord;
  /** ms between beats. */
  interval: number;
  /** A main loop that has stood still for longer, in ms, counts as dead. */
  longestBlock: number;
  /** Slot 0: the main loop's last turn, as monotonic ms. */
  lastTurn: SharedArrayBuffer;
}

/** One beat, as the main thread hears of it. `at` is monotonic ms, the same clock in all threads of a process. */
export type BeatMessage = { kind: 'beat'; at: number; created: boolean } | { kind: 'missed'; reason: string };

/** ms of the system's monotonic clock. */
export function monotonicNow(): number {
  return Number(process.hrtime.bigint() / 1_000_000n);
}

const BEAT = `
INSERT INTO workers (id, host, pid, queues, concurrency, loop_lag_ms, types)
VALUES ($1, $2, $3, $4, $5, $6, $7)
ON CONFLICT (id) DO UPDATE SET heartbeat_at = now(), loop_lag_ms = excluded.loop_lag_ms
RETURNING xmax = 0 AS created`;

/** Beats until told to stop. Every failure is reported, and the connection made anew. */
class HeartbeatThread {
  readonly #lastTurn: Float64Array;
  #client?: pg.Client;

  constructor(private readonly data: HeartbeatThreadData) {
    this.#lastTurn = new Float64Array(data.lastTurn);
  }

  async run(stopped: Promise<void>): Promise<void> {
    let running = true;
    void stopped.then(() => (running = false));
    while (running) {
      await this.beat();
      await Promise.race([stopped, new Promise((resolve) => setTimeout(resolve, this.data.interval))]);
    }
    await this.leave();
  }

  private async beat(): Promise<void> {
    try {
      const lag = Math.max(0, Math.round(monotonicNow() - (this.#lastTurn[0] ?? 0)));
      if (lag > this.data.longestBlock) throw new Error(`the main loop has stood still for ${lag} ms`);

      const { worker } = this.data;
      const concurrency = worker.queues.reduce((sum, queue) => sum + queue.concurrency, 0);
      const client = await this.connected();
      const { rows } = await client.query<{ created: boolean }>(BEAT, [
        worker.id,
        worker.host,
        worker.pid,
        JSON.stringify(worker.queues),
        concurrency,
        lag,
        JSON.stringify(worker.types),
      ]);
      this.tell({ kind: 'beat', at: monotonicNow(), created: rows[0]?.created === true });
    } catch (error) {
      await this.disconnect();
      this.tell({ kind: 'missed', reason: error instanceof Error ? error.message : String(error) });
    }
  }

  private async leave(): Promise<void> {
    try {
      await (await this.connected()).query('DELETE FROM workers WHERE id = $1', [this.data.worker.id]);
    } catch {
      // The row outlives its lease then, and a reaper deletes it.
    }
    await this.disconnect();
  }

  private async connected(): Promise<pg.Client> {
    if (this.#client) return this.#client;
    const client = new pg.Client({
      connectionString: this.data.url,
      application_name: 'job-queue-platform heartbeat',
      connectionTimeoutMillis: 1_500,
      query_timeout: 1_500,
      keepAlive: true,
    });
    client.on('error', () => void this.disconnect());
    await client.connect();
    this.#client = client;
    return client;
  }

  private async disconnect(): Promise<void> {
    const client = this.#client;
    this.#client = undefined;
    await client?.end().catch(() => undefined);
  }

  private tell(message: BeatMessage): void {
    parentPort?.postMessage(message);
  }
}

if (parentPort) {
  const port = parentPort;
  const stopped = new Promise<void>((resolve) => port.once('message', () => resolve()));
  void new HeartbeatThread(workerData as HeartbeatThreadData).run(stopped).then(() => port.close());
}
