import { Agent, request, type IncomingMessage } from 'node:http';
import { setTimeout as sleep } from 'node:timers/promises';

/** A request that lasts longer is broken off: whoever hangs must not hang the test. */
const LONGEST_REQUEST = 15_000;

export interface Submission {
  body: unknown;
  headers?: Record<string, string>;
}

export interface LoadOptions {
  urls: readonly string[];
  submissions: Iterable<Submission>;
  /** Each sends one request at a time; requests go to the APIs in turn, and after a failure to the next one. */
  connections?: number;
  /** Between an answer and the next request of a connection, in ms. */
  pause?: number;
  /** How often a request that is not answered by 2xx or 4xx is sent again. */
  retries?: number;
  retryAfter?: number;
  /** Submissions bear the same Idempotency-Key, so an id may be told more than once. */
  repeats?: boolean;
}

/** A request without an answer. */
export class Broken extends Error {
  constructor(
    readonly code: string,
    /** It was sent over a connection that the server had kept open and not announced to close. */
    readonly kept: boolean,
  ) {
    super(code);
  }
}

/** Keep-alive clients that submit jobs, and remember what they were promised. */
export class Load {
  /** Ids that were answered with 202. */
  readonly accepted: string[] = [];
  /** ms of each request that was answered with 202, in their order. */
  readonly latencies: number[] = [];
  readonly statuses = new Map<number, number>();
  /** Answers of 429 and 503 that do not say when to come again. */
  unexplained = 0;
  readonly broken: Broken[] = [];
  /** Submissions that were never accepted, all retries included. */
  refused = 0;
  readonly done: Promise<void>;

  readonly #agent: Agent;
  readonly #submissions: Iterator<Submission>;
  readonly #waiting: { count: number; resolve: () => void }[] = [];
  #stopped = false;
  #aborted = false;
  #turn = 0;

  constructor(private readonly options: LoadOptions) {
    const { connections = 64, submissions } = options;
    this.#agent = new Agent({ keepAlive: true, maxSockets: connections, maxFreeSockets: connections });
    this.#submissions = submissions[Symbol.iterator]();
    this.done = this.run(connections);
  }

  /** Of the jobs that clients were told of, each one that is a promise of its own. */
  get promised(): readonly string[] {
    return this.options.repeats ? [...new Set(this.accepted)] : this.accepted;
  }

  /** Waits for so many accepted jobs, or for the end of the load. */
  async reaches(count: number): Promise<void> {
    if (this.accepted.length >= count) return;
    await Promise.race([
      this.done,
      new Promise<void>((resolve) => this.#waiting.push({ count, resolve })), //
    ]);
  }

  /** Ends an endless load once so many jobs are accepted, and the requests under way are over. */
  async finish(count = 0): Promise<void> {
    await this.reaches(count);
    this.#stopped = true;
    await this.done;
  }

  /** Ends it at once, whatever is under way. */
  abort(): void {
    this.#stopped = true;
    this.#aborted = true;
    this.#agent.destroy();
  }

  /** Answers of 500 and more. */
  get serverErrors(): number {
    return [...this.statuses].reduce((sum, [status, count]) => sum + (status >= 500 ? count : 0), 0);
  }

  private async run(connections: number): Promise<void> {
    await Promise.all(Array.from({ length: connections }, () => this.connection()));
    this.#agent.destroy();
  }

  private async connection(): Promise<void> {
    const { pause = 0 } = this.options;
    while (!this.#stopped) {
      const next = this.#submissions.next();
      if (next.done) return;
      await this.submit(next.value);
      if (pause > 0) await sleep(pause);
    }
  }

  private async submit(submission: Submission): Promise<void> {
    const { urls, retries = 0, retryAfter = 100 } = this.options;
    for (let tries = 0; tries <= retries && !this.#aborted; tries++) {
      if (tries > 0) await sleep(retryAfter);
      const status = await this.post(urls[this.#turn++ % urls.length] ?? '', submission);
      if (status === 202) return;
      if (status !== undefined && status < 500) break;
    }
    this.refused++;
  }

  private async post(url: string, submission: Submission): Promise<number | undefined> {
    const started = performance.now();
    try {
      const { status, body, retryAfter } = await send(`${url}/jobs`, submission, this.#agent);
      this.statuses.set(status, (this.statuses.get(status) ?? 0) + 1);
      if ([429, 503].includes(status) && !(Number(retryAfter) >= 1)) this.unexplained++;
      if (status === 202) this.accept((JSON.parse(body) as { id: string }).id, performance.now() - started);
      return status;
    } catch (error) {
      this.broken.push(error as Broken);
      return undefined;
    }
  }

  private accept(id: string, latency: number): void {
    this.accepted.push(id);
    this.latencies.push(latency);
    for (const { count, resolve } of this.#waiting) if (this.accepted.length >= count) resolve();
  }
}

/** Node's plain client: `fetch` costs several times as much. @throws Broken */
function send(
  url: string,
  { body, headers }: Submission,
  agent: Agent,
): Promise<{ status: number; body: string; retryAfter?: string }> {
  const text = JSON.stringify(body);
  return new Promise((resolve, reject) => {
    const sent = request(url, {
      method: 'POST',
      agent,
      timeout: LONGEST_REQUEST,
      headers: { 'Content-Type': 'application/json', 'Content-Length': Buffer.byteLength(text), ...headers },
    });
    const fail = (error: NodeJS.ErrnoException) =>
      reject(new Broken(error.code ?? error.message, sent.reusedSocket));
    sent.on('error', fail);
    sent.on('timeout', () => sent.destroy(new Error('no answer in time')));
    sent.on('response', (response: IncomingMessage) => {
      let answer = '';
      response.setEncoding('utf8');
      response.on('data', (chunk: string) => (answer += chunk));
      response.on('error', fail);
      response.on('end', () => {
        const retryAfter = response.headers['retry-after'];
        resolve({ status: response.statusCode ?? 0, body: answer, retryAfter });
      });
    });
    sent.end(text);
  });
}

/** The value that the share `p` of all values does not exceed. */
export function percentile(values: readonly number[], p: number): number {
  const sorted = [...values].sort((a, b) => a - b);
  return sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * p))] ?? NaN;
}

/** Jobs that write a row as they run; every third one in the transaction of its settlement. @param dataOf the n-th job's data */
export function* mixedJobs(count: number, dataOf: (n: number) => object = () => ({})): Iterable<Submission> {
  for (let n = 0; n < count; n++) {
    yield { body: { type: n % 3 === 0 ? 'fenced_effects' : 'effects', data: dataOf(n) } };
  }
}

/** Jobs of one type. @param dataOf the n-th job's data */
export function* effectsJobs(
  count: number,
  dataOf: (n: number) => object = () => ({}),
  options?: object,
): Iterable<Submission> {
  for (let n = 0; n < count; n++) yield { body: { type: 'effects', data: dataOf(n), options } };
}
