import { availableParallelism } from 'node:os';
import type { AppConfig } from './app-config.js';
import { ConfigError } from './config-error.js';
import { environment, variables, type Environment } from './environment.js';

/** The process that is about to start: what it cannot do without differs. */
export type Entry = 'main' | 'worker' | 'dashboard' | 'standalone' | 'migrate' | 'set-topology';

type Given = Readonly<Record<string, string>>;

/**
 * Everything a process is told, checked before anything starts.
 * For `standalone` without DATABASE_URL, `database.url` stays empty until `withDatabaseUrl`.
 * @throws ConfigError that names every wrong variable at once
 */
export function parseConfig(env: NodeJS.ProcessEnv, entry: Entry): AppConfig {
  const given = withoutEmpty(env);
  const parsed = environment.safeParse(given);
  const wrong = parsed.error?.issues.map(({ path, message }) => [String(path[0]), message] as const) ?? [];
  const problems = new Map(wrong.map(([name, expected]) => [name, refusal(name, expected, given)]));

  for (const [name, problem] of contradictions(given, entry)) {
    if (!problems.has(name)) problems.set(name, problem);
  }
  if (!parsed.success || problems.size > 0) throw new ConfigError(problems);

  return deepFreeze(configOf(parsed.data, entry));
}

/** The same configuration, with the server that standalone has started. */
export function withDatabaseUrl(config: AppConfig, url: string): AppConfig {
  return deepFreeze({ ...config, database: { ...config.database, url } });
}

/** `NAME=` in a file or a manifest means that nothing is said. */
function withoutEmpty(env: NodeJS.ProcessEnv): Given {
  return Object.fromEntries(
    Object.entries(env).flatMap(([name, value]) =>
      value === undefined || value === '' ? [] : [[name, value]],
    ),
  );
}

function refusal(name: string, expected: string, given: Given): string {
  const secret = variables.find((variable) => variable.name === name)?.secret;
  const value = given[name] ?? '';
  const shown = value.length > 80 ? `${value.slice(0, 80)}…` : value;
  return `expected ${expected}; ${secret ? 'what was given is not shown' : `got ${JSON.stringify(shown)}`}`;
}

/** What is wrong between variables that are each fine. Judged by what was given, so that all of it is found at once. */
function* contradictions(given: Given, entry: Entry): Generator<[name: string, problem: string]> {
  const { DATABASE_URL, DATABASE_READ_URL, REDIS_URL, QUEUE_BACKEND, QUEUE_SHARDS, API_PUBLIC_URL } = given;
  const embedded = entry === 'standalone';
  const deliversByPostgres = QUEUE_BACKEND === 'postgres' || (embedded && !REDIS_URL && !QUEUE_BACKEND);

  if (!DATABASE_URL && !embedded)
    yield ['DATABASE_URL', 'is not set, and this process cannot do without PostgreSQL'];
  if (!DATABASE_URL && embedded && DATABASE_READ_URL)
    yield [
      'DATABASE_READ_URL',
      'is set while DATABASE_URL is not; expected a replica of the server it names',
    ];
  if (entry === 'set-topology') return; // between two topologies the others may say either

  if (REDIS_URL && QUEUE_BACKEND === 'postgres') {
    yield ['QUEUE_BACKEND', 'is postgres while REDIS_URL is set; expected only one of them'];
  } else if (!REDIS_URL && QUEUE_BACKEND === 'redis' && entry !== 'migrate') {
    yield ['REDIS_URL', 'is not set while QUEUE_BACKEND is redis'];
  } else if (!REDIS_URL && !QUEUE_BACKEND && entry !== 'migrate' && !embedded) {
    yield ['REDIS_URL', 'is not set; expected a Redis server, or QUEUE_BACKEND=postgres to do without'];
  }
  if (entry === 'dashboard' && !API_PUBLIC_URL) {
    yield ['API_PUBLIC_URL', 'is not set; expected where the API is, such as https://jobs.example.com'];
  }
  if (deliversByPostgres && Number(QUEUE_SHARDS ?? 1) !== 1) {
    yield ['QUEUE_SHARDS', `is ${QUEUE_SHARDS}; expected 1 where jobs are delivered by PostgreSQL`];
  }
}

function configOf(env: Environment, entry: Entry): AppConfig {
  const embedded = entry === 'standalone';
  return {
    processes: entry === 'main' || entry === 'worker' ? env.PROCESSES : 1,
    http: {
      host: env.HOST,
      port: env.PORT,
      bodyLimit: env.BODY_LIMIT,
      bodyTotalLimit: env.BODY_TOTAL_LIMIT,
      corsOrigins: env.CORS_ORIGINS ?? [],
      rateLimitPerMinute: env.RATE_LIMIT_PER_MINUTE,
      trustProxy: env.TRUST_PROXY,
      apiPublicUrl: entry === 'dashboard' ? env.API_PUBLIC_URL : undefined,
      ui: env.UI || entry === 'dashboard',
      apiKeys: env.API_KEYS ?? [],
      allowedHosts: env.ALLOWED_HOSTS ?? [],
    },
    database: {
      url: env.DATABASE_URL ?? '',
      poolSize: env.DATABASE_POOL_SIZE,
      readUrl: entry === 'main' || embedded ? env.DATABASE_READ_URL : undefined,
    },
    retention: { days: env.RETENTION_DAYS, statusDays: env.RETENTION_STATUS_DAYS ?? {} },
    submit: {
      idempotencyTtl: env.IDEMPOTENCY_TTL,
      maxDepth: env.QUEUE_MAX_DEPTH,
      maxAge: env.QUEUE_MAX_AGE,
      maxLoopLag: env.SUBMIT_MAX_LAG,
    },
    queue: {
      backend: env.QUEUE_BACKEND ?? (embedded && !env.REDIS_URL ? 'postgres' : 'redis'),
      redis: env.REDIS_URL,
      prefix: env.QUEUE_PREFIX,
      shards: env.QUEUE_SHARDS,
    },
    worker: {
      queues: env.WORKER_QUEUES ?? [],
      concurrency: env.WORKER_CONCURRENCY,
      shutdownGrace: env.SHUTDOWN_GRACE,
    },
    sandbox: {
      threads: env.SANDBOX_THREADS ?? Math.max(1, availableParallelism() - 1),
      memory: env.SANDBOX_MEMORY,
    },
    mail: {
      smtpUrl: env.SMTP_URL,
      directory: embedded && !env.SMTP_URL ? `${env.DATA_DIR}/mail` : undefined,
      from: env.MAIL_FROM,
    },
    outbound: { allowed: env.HTTP_REQUEST_ALLOW ?? [] },
    log: { level: env.LOG_LEVEL, format: env.LOG_FORMAT ?? (process.stdout.isTTY ? 'pretty' : 'json') },
    extensions: env.EXTENSIONS ?? [],
    dataDir: env.DATA_DIR,
  };
}

function deepFreeze<Value extends object>(value: Value): Value {
  const parts: unknown[] = Object.values(value);
  for (const part of parts) if (typeof part === 'object' && part !== null) deepFreeze(part);
  return Object.freeze(value);
}
