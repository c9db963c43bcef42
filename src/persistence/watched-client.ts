import pg from 'pg';

/** A query that takes longer, in ms, raises the question whether its connection still lives. */
const SUSPICIOUS_AFTER = 1_000;
const LONGEST_PROBE = 1_500;

/** Which of these backends work on a statement, as far as the server tells. */
const BUSY = `
SELECT pg_backend_pid() AS own, ARRAY(
  SELECT pid FROM pg_stat_activity
  WHERE pid = ANY($1::int[]) AND (state IS NULL OR state IN ('active', 'fastpath function call', 'disabled'))
) AS busy`;

/**
 * A client class for one pool. A host that vanishes, or hangs, closes no connection: what waits for its answer would wait
 * for ever, and so would all that queues behind it. So a slow query has its server asked on a connection of its own.
 * When that is silent too, every connection of the pool is cut, and what was asked there fails; when the server twice
 * knows nothing of the statement, this connection alone is. A statement that is only slow is waited for.
 */
export function watchedClient(): typeof pg.Client {
  const clients = new Set<WatchedClient>();
  let probe: Promise<ReadonlySet<number> | 'silent'> | undefined;

  class WatchedClient extends pg.Client {
    constructor(readonly config?: string | pg.ClientConfig) {
      super(config);
      clients.add(this);
      this.once('end', () => clients.delete(this));
    }
  }

  /** One probe at a time, for all that wait. */
  function probed({ config }: WatchedClient): Promise<ReadonlySet<number> | 'silent'> {
    const pids = [...clients].map(pidOf);
    return (probe ??= busyBackends(config, pids).finally(() => (probe = undefined)));
  }

  async function watch(client: WatchedClient, answer: Promise<unknown>): Promise<void> {
    const settled = answer.then(
      () => true,
      () => true,
    );
    for (let unknown = 0; !(await within(SUSPICIOUS_AFTER, settled));) {
      const busy = await probed(client);
      if (busy === 'silent') return clients.forEach(cut);
      unknown = busy.has(pidOf(client)) ? 0 : unknown + 1;
      if (unknown === 2) return cut(client);
    }
  }

  // eslint-disable-next-line @typescript-eslint/unbound-method -- called with its client below
  const ask = pg.Client.prototype.query as (...question: unknown[]) => unknown;
  Object.defineProperty(WatchedClient.prototype, 'query', {
    value(this: WatchedClient, ...question: unknown[]): unknown {
      const answer = Reflect.apply(ask, this, question);
      if (answer instanceof Promise) void watch(this, answer);
      return answer;
    },
  });
  return WatchedClient;
}

async function within(time: number, settled: Promise<boolean>): Promise<boolean> {
  let timer: NodeJS.Timeout | undefined;
  const over = new Promise<boolean>((resolve) => (timer = setTimeout(resolve, time, false)));
  return Promise.race([settled, over]).finally(() => clearTimeout(timer));
}

async function busyBackends(
  config: string | pg.ClientConfig | undefined,
  pids: number[],
): Promise<ReadonlySet<number> | 'silent'> {
  const client = new pg.Client({
    ...(typeof config === 'string' ? { connectionString: config } : config),
    connectionTimeoutMillis: LONGEST_PROBE,
    query_timeout: LONGEST_PROBE,
  });
  client.on('error', () => undefined);
  try {
    await client.connect();
    const { rows } = await client.query<{ own: number; busy: number[] }>(BUSY, [pids]);
    const [answer] = rows;
    // A pooler tells numbers of its own, by which nothing can be found: whoever waits may be busy.
    return new Set(answer?.own === pidOf(client) ? answer.busy : pids);
  } catch (error) {
    // A server that refuses does speak: it ends by itself the connections that it gives up.
    return error instanceof pg.DatabaseError ? new Set(pids) : 'silent';
  } finally {
    cut(client);
  }
}

/** The driver's own fields, which its types leave out. */
interface Internals {
  processID: number | null;
  connection: { stream: { destroy(error?: Error): void } };
}

function internalsOf(client: pg.Client): Internals {
  return client as unknown as Internals;
}

function pidOf(client: pg.Client): number {
  return internalsOf(client).processID ?? 0;
}

/** Fails what the connection was asked, and makes its pool drop it. */
function cut(client: pg.Client): void {
  internalsOf(client).connection.stream.destroy(new Error('The database does not answer'));
}
