import { Agent, request } from 'node:http';
import { Client, type QueryResultRow } from 'pg';
import { setTimeout as sleep } from 'node:timers/promises';
import { ApiContract } from './api-contract.js';
import { freePort } from './ports.js';
import { startMigratedPostgres } from './migrated-postgres.js';
import type { PrivatePostgres } from './postgres.js';
import { type AppProcess, startProcess } from './processes.js';
import { PrivateRedis, startRedis } from './redis.js';
import { PrivateRedisCluster, startRedisCluster } from './redis-cluster.js';

export interface PlatformOptions {
  apis?: number;
  workers?: number;
  shards?: number;
  backend?: 'redis' | 'postgres';
  /** Redis is a Cluster of so many masters. */
  masters?: number;
  /** Of the PostgreSQL server. */
  settings?: Record<string, string>;
  /** For every process, beside what the platform needs. */
  env?: Record<string, string>;
}

export type JobStatus = 'waiting' | 'delayed' | 'active' | 'completed' | 'failed' | 'cancelled';

/** A job as the API shows it: `attempts` and what else only `GET /jobs/:id` tells are there where it was asked. */
export interface JobView {
  id: string;
  type: string;
  queue: string;
  status: JobStatus;
  data: unknown;
  options: { priority: number; attempts: number; timeout: number };
  run: number;
  attemptsMade: number;
  progress: { percent: number; step?: string } | null;
  result: unknown;
  error: { code: string; message: string; stack?: string } | null;
  createdAt: string;
  runAt: string;
  enqueuedAt: string | null;
  startedAt: string | null;
  finishedAt: string | null;
  attempts: AttemptView[];
}

export interface AttemptView {
  run: number;
  number: number;
  worker: string;
  startedAt: string;
  finishedAt: string;
  outcome: 'completed' | 'failed';
  error: JobView['error'];
}

export interface Page<Item> {
  items: Item[];
  nextCursor: string | null;
}

/** What the server answered. `text` is kept, since parsing may hide what differs. */
export interface Answer<Body = unknown> {
  status: number;
  headers: Headers;
  text: string;
  body: Body;
}

/** Migrations need no Redis, but its name. */
const NOWHERE = 'redis://127.0.0.1:9';

/** Starts the servers and processes of a whole installation, all of them the test's own. */
export async function startPlatform(options: PlatformOptions = {}): Promise<TestPlatform> {
  const { apis = 1, workers = 1, shards = 1, backend = 'redis', masters, settings, env = {} } = options;
  const backendEnv: Record<string, string> =
    backend === 'redis' ? { REDIS_URL: NOWHERE } : { QUEUE_BACKEND: backend };
  const [{ postgres, url }, redis] = await Promise.all([
    startMigratedPostgres({ settings }, backendEnv),
    backend === 'redis' ? (masters ? startRedisCluster({ masters }) : startRedis()) : undefined,
  ]);
  const platform = new TestPlatform(postgres, redis, {
    DATABASE_URL: url,
    QUEUE_SHARDS: String(shards),
    RATE_LIMIT_PER_MINUTE: '0',
    LOG_FORMAT: 'json',
    SMTP_URL: 'smtp://127.0.0.1:9', // a worker must be told one; nobody listens there
    ...(redis ? { REDIS_URL: redis.url } : backendEnv),
    ...env,
  });
  try {
    await Promise.all([
      ...Array.from({ length: apis }, () => platform.startApi()),
      ...Array.from({ length: workers }, () => platform.startWorker()),
    ]);
    return platform;
  } catch (error) {
    await platform.stop();
    throw error;
  }
}

/** One API process, and where it listens. */
export interface Api {
  process: AppProcess;
  url: string;
}

/** PostgreSQL, Redis, APIs and workers, with a client for them. Requests go to the first API. */
export class TestPlatform {
  readonly apis: Api[] = [];
  readonly workers: AppProcess[] = [];
  #contract?: ApiContract;
  #database?: Promise<Client>;

  constructor(
    readonly postgres: PrivatePostgres,
    private readonly ownRedis: PrivateRedis | PrivateRedisCluster | undefined,
    readonly env: Readonly<Record<string, string>>,
  ) {}

  get redis(): PrivateRedis {
    if (!(this.ownRedis instanceof PrivateRedis)) throw new Error('this platform has no single Redis');
    return this.ownRedis;
  }

  /** The single Redis, or one node of the Cluster. */
  get anyRedis(): PrivateRedis {
    return this.ownRedis instanceof PrivateRedisCluster ? this.cluster.first : this.redis;
  }

  get cluster(): PrivateRedisCluster {
    if (!(this.ownRedis instanceof PrivateRedisCluster))
      throw new Error('this platform has no Redis Cluster');
    return this.ownRedis;
  }

  /** Of the first API, without a slash at its end. */
  get url(): string {
    const [api] = this.apis;
    if (!api) throw new Error('no API runs');
    return api.url;
  }

  async migrate(): Promise<void> {
    const process = startProcess({ entry: 'migrate', env: this.env });
    if ((await process.exited) !== 0) throw new Error(`migrate failed:\n${process.output()}`);
  }

  /** Resolves once it listens. @param port where another one listened before */
  async startApi(env: Record<string, string> = {}, port?: number): Promise<Api> {
    port ??= await freePort();
    const process = startProcess({ entry: 'main', env: { ...this.env, ...env, PORT: String(port) } });
    const api = { process, url: `http://127.0.0.1:${port}` };
    this.apis.push(api);
    await process.ready(/"listening"/);
    if (this.env['UI'] !== 'off') this.#contract ??= await ApiContract.of(api.url);
    return api;
  }

  /** Resolves once it consumes. */
  async startWorker(env: Record<string, string> = {}): Promise<AppProcess> {
    const worker = startProcess({ entry: 'worker', env: { ...this.env, ...env } });
    this.workers.push(worker);
    await worker.ready(/"consuming"/);
    return worker;
  }

  // ── the API ──

  /**
   * @param body sent as it is where it is a string or bytes, else as JSON
   * @throws Error where the answer is not as the API's own document says
   */
  async request<Body = unknown>(
    method: string,
    path: string,
    body?: unknown,
    headers: Record<string, string> = {},
  ): Promise<Answer<Body>> {
    const raw = typeof body === 'string' || body instanceof Uint8Array || body === undefined;
    const response = await fetch(`${this.url}${path}`, {
      method,
      headers: { ...(body === undefined ? {} : { 'Content-Type': 'application/json' }), ...headers },
      body: raw ? body : JSON.stringify(body),
    });
    const text = await response.text();
    const contentType = response.headers.get('content-type');
    this.#contract?.check({ method, path, status: response.status, contentType, text });
    return { status: response.status, headers: response.headers, text, body: parsed(text) as Body };
  }

  /** @throws Error where it is not accepted */
  async submit(type: string, data: unknown, options?: object): Promise<JobView> {
    return (await this.accepted<JobView>('/jobs', { type, data, options })).body;
  }

  async submitMany(jobs: { type: string; data: unknown; options?: object }[]): Promise<JobView[]> {
    return (await this.accepted<{ items: JobView[] }>('/jobs/bulk', { jobs })).body.items;
  }

  async job(id: string): Promise<JobView> {
    return (await this.found<JobView>(`/jobs/${id}`)).body;
  }

  async list(query = ''): Promise<Page<JobView>> {
    return (await this.found<Page<JobView>>(`/jobs?${query}`)).body;
  }

  /** All pages of a list, in its order. */
  async listAll(query = ''): Promise<JobView[]> {
    const items: JobView[] = [];
    for (let cursor: string | null = ''; cursor !== null;) {
      const page: Page<JobView> = await this.list(cursor ? `${query}&cursor=${cursor}` : query);
      items.push(...page.items);
      cursor = page.nextCursor;
    }
    return items;
  }

  async logs(id: string): Promise<string[]> {
    const { body } = await this.found<Page<{ line: string }>>(`/jobs/${id}/logs`);
    return body.items.map(({ line }) => line);
  }

  /** Waits for a status; a terminal one that is another fails at once. */
  async until(id: string, status: JobStatus, timeoutMs = 20_000): Promise<JobView> {
    const deadline = Date.now() + timeoutMs;
    for (;;) {
      const job = await this.job(id);
      if (job.status === status) return job;
      if (job.finishedAt !== null || Date.now() > deadline)
        throw new Error(`expected ${status}: ${JSON.stringify(job)}`);
      await sleep(30);
    }
  }

  // ── the stores ──

  async sql<Row extends QueryResultRow>(text: string, parameters: unknown[] = []): Promise<Row[]> {
    this.#database ??= this.connect();
    return (await (await this.#database).query<Row>(text, parameters)).rows;
  }

  /** Where the server was killed, the next query gets another connection. */
  private async connect(): Promise<Client> {
    const client = new Client({ connectionString: this.env['DATABASE_URL'] });
    const forget = () => (this.#database = undefined);
    client.on('error', forget);
    client.on('end', forget);
    await client.connect().catch((error: unknown) => {
      forget();
      throw error;
    });
    return client;
  }

  /** The only value of the only row. */
  async value<T>(text: string, parameters: unknown[] = []): Promise<T> {
    const [row] = await this.sql<{ [column: string]: T }>(text, parameters);
    return Object.values(row ?? {})[0] as T;
  }

  /** Waits until a query's only value is `wanted`. */
  async untilSql(text: string, wanted: unknown, timeoutMs = 20_000): Promise<void> {
    const deadline = Date.now() + timeoutMs;
    for (;;) {
      const value = await this.value(text);
      if (value === wanted) return;
      if (Date.now() > deadline) throw new Error(`${text} is ${String(value)}, not ${String(wanted)}`);
      await sleep(30);
    }
  }

  /** Ends the processes, then the servers. */
  async stop(): Promise<void> {
    const processes = [...this.apis.map(({ process }) => process), ...this.workers];
    await Promise.all(processes.map((process) => process.kill()));
    const database = await this.#database?.catch(() => undefined);
    await database?.end().catch(() => undefined);
    await Promise.all([this.postgres.stop(), this.ownRedis?.stop()]);
  }

  private async accepted<Body>(path: string, body: unknown): Promise<Answer<Body>> {
    return expected(202, await this.request<Body>('POST', path, body));
  }

  private async found<Body>(path: string): Promise<Answer<Body>> {
    return expected(200, await this.request<Body>('GET', path));
  }
}

function expected<Body>(status: number, answer: Answer<Body>): Answer<Body> {
  if (answer.status !== status) throw new Error(`${answer.status}, not ${status}: ${answer.text}`);
  return answer;
}

/** Parsed here, so that objects have the prototypes of the test's own realm. */
function parsed(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}

/** JSON text with sorted keys: equal texts are deep-equal values, whatever the keys are called. */
export function canonical(value: unknown): string {
  return JSON.stringify(value, (_key, part: unknown) =>
    typeof part === 'object' && part !== null && !Array.isArray(part)
      ? Object.fromEntries(Object.entries(part).sort(([a], [b]) => (a < b ? -1 : 1)))
      : part,
  );
}

/**
 * Posts jobs over so many connections, each with one request at a time: connection n to the n-th API, and round again.
 * Goes on where a connection fails. @returns the accepted ids, in no order, and how many requests were not accepted
 */
export async function postJobs(
  urls: readonly string[],
  jobs: Iterable<unknown>,
  connections = 64,
): Promise<{ accepted: string[]; refused: number }> {
  const agent = new Agent({ keepAlive: true, maxSockets: connections });
  const bodies = jobs[Symbol.iterator]();
  const accepted: string[] = [];
  let refused = 0;

  const connection = async (url: string) => {
    for (let next = bodies.next(); !next.done; next = bodies.next()) {
      const id = await post(`${url}/jobs`, JSON.stringify(next.value), agent).catch(() => undefined);
      if (id !== undefined) {
        accepted.push(id);
        continue;
      }
      refused++;
      await sleep(20); // whoever refuses at once would be asked without end
    }
  };
  await Promise.all(Array.from({ length: connections }, (_, n) => connection(urls[n % urls.length] ?? '')));
  agent.destroy();
  return { accepted, refused };
}

/** Node's plain client: `fetch` costs several times as much. */
function post(url: string, body: string, agent: Agent): Promise<string | undefined> {
  const headers = { 'Content-Type': 'application/json', 'Content-Length': Buffer.byteLength(body) };
  return new Promise((resolve, reject) => {
    const sent = request(url, { method: 'POST', headers, agent }, (response) => {
      let text = '';
      response.setEncoding('utf8');
      response.on('data', (chunk: string) => (text += chunk));
      response.on('error', reject);
      response.on('end', () => {
        resolve(response.statusCode === 202 ? (JSON.parse(text) as { id: string }).id : undefined);
      });
    });
    sent.on('error', reject);
    sent.end(body);
  });
}
