import { setTimeout as sleep } from 'node:timers/promises';
import { buildFaults } from '../../support/extension.js';
import { type PlatformOptions, startPlatform, type TestPlatform } from '../../support/platform.js';
import { freePort } from '../../support/ports.js';
import { Post } from './crew.js';
import { keepFigures, tableRow, type Bar, type Figures } from './figures.js';
import { EFFECTS_TABLE, verdictOf, type Verdict } from './history.js';
import { Load, type LoadOptions, type Submission } from './load.js';
import { Random, SEED } from './random.js';
import { redisVersion } from './redis-view.js';
import { ALL, FULL, SCALE, scale } from './scale.js';
import { within } from '../../../src/queue/within.js';

export type Backend = 'redis' | 'postgres';

export interface ScenarioOptions extends Pick<PlatformOptions, 'shards' | 'settings' | 'masters'> {
  backends?: readonly Backend[];
  /** Those that `npm test` runs as well; the others run where FAULTS is set. */
  short?: readonly Backend[];
  env?: Record<string, string>;
  /** How long what is accepted may take to end once the faults are over, in ms. */
  drain?: number;
  /** How long all of it may take, in ms. */
  limit?: number;
}

const LONGEST = scale({ full: 900_000, short: 170_000 });

let extension: string | undefined;

/** One fault, from a fresh installation to the verdict on its history. Its schedule follows from the seed. */
export function scenario(name: string, options: ScenarioOptions, run: (trial: Trial) => Promise<void>): void {
  const { backends = ['redis'], short = backends, limit = LONGEST } = options;
  for (const backend of backends) {
    if (!ALL && !short.includes(backend)) continue;
    const title = `${name} (${backend}, scale ${SCALE})`;
    it(title, async () => {
      const trial = await Trial.start(name, backend, options);
      try {
        // Before Jest's own time-out, which would not tell what has been done.
        await within(
          limit,
          run(trial).then(() => trial.close()),
        );
      } catch (error) {
        throw trial.explained(error);
      } finally {
        await trial.end();
      }
    });
  }
}

/** What a scenario works with: an installation without processes, chance, and notes of what was done. */
export class Trial {
  readonly random: Random;
  readonly #accepted: string[] = [];
  readonly #loads: Load[] = [];
  readonly #posts: Post[] = [];
  #apis = 0;
  #workers = 0;
  readonly #started = performance.now();
  readonly #notes: string[] = [];
  readonly #bars: Bar[] = [];
  #faults = 0;

  private constructor(
    readonly name: string,
    readonly backend: Backend,
    readonly platform: TestPlatform,
    private readonly drainTime: number,
  ) {
    this.random = new Random(`${name} ${backend}`);
  }

  static async start(name: string, backend: Backend, options: ScenarioOptions): Promise<Trial> {
    const { env = {}, shards = 1, settings, masters, drain = 60_000 } = options;
    extension ??= buildFaults();
    const platform = await startPlatform({
      apis: 0,
      workers: 0,
      backend,
      settings,
      masters,
      shards: backend === 'postgres' ? 1 : shards,
      env: { EXTENSIONS: extension, UI: 'off', LOG_LEVEL: 'log', ...env },
    });
    await platform.sql(EFFECTS_TABLE);
    return new Trial(name, backend, platform, drain);
  }

  /** Starts an API that can be started again at the same place. @param env for all processes there @param first for the first */
  async api(env: Record<string, string> = {}, first: Record<string, string> = {}): Promise<Post> {
    const post = Post.api(this.platform, `API ${++this.#apis}`, await freePort(), env);
    this.#posts.push(post);
    await post.fill(first);
    return post;
  }

  async worker(env: Record<string, string> = {}, first: Record<string, string> = {}): Promise<Post> {
    const post = Post.worker(this.platform, `worker ${++this.#workers}`, env);
    this.#posts.push(post);
    await post.fill(first);
    return post;
  }

  /** Begins at once. What it is promised belongs to what the verdict is about. */
  load(options: LoadOptions): Load {
    const load = new Load(options);
    this.#loads.push(load);
    return load;
  }

  /** A process of the next release, which knows one more job type, gets this beside its environment. */
  get nextRelease(): Record<string, string> {
    const built = this.platform.env['EXTENSIONS'] ?? '';
    return { EXTENSIONS: `${built},${built.replace('faults.module', 'newcomer.module')}` };
  }

  /** Bulk submits, 500 jobs a request. @returns the ids */
  async submit(jobs: Iterable<Submission>): Promise<string[]> {
    const bodies = [...jobs].map(({ body }) => body as { type: string; data: unknown });
    const ids: string[] = [];
    for (let n = 0; n < bodies.length; n += 500) {
      ids.push(...(await this.platform.submitMany(bodies.slice(n, n + 500))).map(({ id }) => id));
    }
    this.#accepted.push(...ids);
    return ids;
  }

  /** Ids that clients hold a 202 for. */
  get accepted(): string[] {
    return [...this.#accepted, ...this.#loads.flatMap(({ promised }) => promised)];
  }

  /** Notes what is done to the installation, with its time. */
  fault(what: string): void {
    this.#faults++;
    this.note(what);
  }

  note(what: string): void {
    this.#notes.push(`${this.elapsed()}  ${what}`);
  }

  lastNote(): string {
    return this.#notes.at(-1)?.trim() ?? '';
  }

  /** Since the scenario began. */
  elapsed(): string {
    return `${((performance.now() - this.#started) / 1_000).toFixed(2).padStart(8)} s`;
  }

  /** What must hold beside the history. All bars are looked at before one fails the scenario. */
  atMost(what: string, value: number, most: number, unit = ''): void {
    this.bar(what, value <= most, `${shown(value)}${unit}`, `≤ ${shown(most)}${unit}`);
  }

  atLeast(what: string, value: number, least: number, unit = ''): void {
    this.bar(what, value >= least, `${shown(value)}${unit}`, `≥ ${shown(least)}${unit}`);
  }

  exactly(what: string, value: unknown, wanted: unknown): void {
    const [seen, bound] = [JSON.stringify(value), JSON.stringify(wanted)];
    this.bar(what, seen === bound, seen, bound);
  }

  /** A figure without a bound. */
  figure(what: string, seen: string): void {
    this.#bars.push({ what, holds: true, seen });
    this.note(`${what}: ${seen}`);
  }

  private bar(what: string, holds: boolean, seen: string, bound: string): void {
    this.#bars.push({ what, holds, seen, bound });
    this.note(`${what}: ${seen} (${bound})${holds ? '' : '  <-- broken'}`);
  }

  /** s until a query's only value is `wanted`; the time is over at `most` s, and is then what it says. */
  async secondsUntil(sql: string, wanted: unknown, most: number, since = performance.now()): Promise<number> {
    for (;;) {
      const value = await this.platform.value(sql).catch(() => undefined);
      const seconds = (performance.now() - since) / 1_000;
      if (value === wanted || seconds > most) return seconds;
      await sleep(50);
    }
  }

  /** Waits until nothing is live; the verdict tells whether it came so far. */
  async drain(): Promise<void> {
    const seconds = await this.secondsUntil('SELECT count(*)::int FROM dispatch', 0, this.drainTime / 1_000);
    this.note(`drained for ${seconds.toFixed(1)} s`);
  }

  /** Drains, judges, prints, keeps the figures, and fails where anything is not as it must be. */
  async close(): Promise<void> {
    await this.drain();
    const verdict = await verdictOf(this.platform, this.accepted);
    const figures = await this.figures(verdict);
    process.stdout.write(`${tableRow(figures)}\n`);
    keepFigures(figures);

    const broken = this.#bars.filter(({ holds }) => !holds);
    expect({ ...counted(verdict), broken }).toEqual({
      lost: 0,
      stuck: 0,
      doubled: 0,
      illegal: 0,
      breaches: [],
      broken: [],
    });
  }

  /** The error, with all that is needed to see what went before it and to do it again. */
  explained(error: unknown): Error {
    const text = error instanceof Error ? error.message : String(error);
    const schedule = this.#notes.join('\n');
    const explained = new Error(
      `${text}\n\n${this.name} (${this.backend}), again with FAULT_SEED=${SEED}${FULL ? ' FAULTS=full' : ''}\n${schedule}`,
    );
    const frames = /\n {4}at [^]*/.exec((error instanceof Error && error.stack) || '');
    explained.stack = `${explained.message}${frames?.[0] ?? ''}`;
    return explained;
  }

  /** Ends all that runs. */
  async end(): Promise<void> {
    for (const post of this.#posts) post.close();
    for (const load of this.#loads) load.abort();
    await this.platform.stop();
  }

  private async figures(verdict: Verdict): Promise<Figures> {
    return {
      versions: {
        postgres: await this.platform.value<string>('SHOW server_version'),
        redis: this.backend === 'redis' ? await redisVersion(this.platform) : undefined,
      },
      name: this.name,
      backend: this.backend,
      scale: SCALE,
      seed: SEED,
      faults: this.#faults,
      accepted: this.accepted.length,
      seconds: (performance.now() - this.#started) / 1_000,
      verdict,
      bars: this.#bars,
    };
  }
}

function counted({ lost, stuck, doubled, illegal, breaches }: Verdict): object {
  return { lost, stuck, doubled, illegal, breaches };
}

function shown(value: number): string {
  return Number.isInteger(value) ? String(value) : value.toFixed(1);
}
