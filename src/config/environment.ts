import { z } from 'zod';
import {
  apiKeys,
  bytes,
  choice,
  corsOrigins,
  destinations,
  files,
  flag,
  hosts,
  integer,
  queuePrefix,
  redis,
  sender,
  servedQueues,
  statusDays,
  text,
  url,
  MOST_DAYS,
  type Parser,
} from './parsers.js';

/** What people read about a variable: `.env.example` and `docs/configuration.md` repeat it, and a test compares. */
export interface VariableNotes {
  /** As it would be written; empty where there is none. */
  default: string;
  doc: string;
  /** Its value is never shown. */
  secret?: boolean;
}

const notes = z.registry<VariableNotes>();

const postgresUrl = url(['postgres', 'postgresql'], 'postgres://user:password@host:5432/name');
const smtpUrl = url(['smtp', 'smtps'], 'smtp://user:password@host:587 or smtps://host:465');
const publicUrl = url(['http', 'https'], 'https://jobs.example.com').transform((given) =>
  given.replace(/\/+$/, ''),
);
const backend = choice('redis', 'postgres');
const logLevel = choice('debug', 'log', 'warn', 'error');
const logFormat = choice('pretty', 'json');

/** Every variable that the platform reads, in the order of the documentation. */
export const environment = z.object({
  HOST: variable('127.0.0.1', 'Address that the HTTP server listens on; 0.0.0.0 in a container.', text),
  PORT: variable('3000', 'Port of the HTTP server.', integer(0, 65_535)),
  PROCESSES: variable('1', 'Processes that an API or a worker is made of, one a core.', integer(1, 64)),
  DATA_DIR: variable('./data', 'Folder for what npm start keeps: its PostgreSQL and its mail files.', text),

  DATABASE_URL: secret('PostgreSQL 15 or newer, the record of all jobs; npm start has its own.', postgresUrl),
  DATABASE_READ_URL: secret('A replica of it, which GET /jobs is read from; empty: the record.', postgresUrl),
  DATABASE_POOL_SIZE: variable('10', 'Connections to PostgreSQL a process.', integer(1, 1_000)),
  RETENTION_DAYS: variable('0', 'Days that finished jobs are kept; 0: for ever.', integer(0, MOST_DAYS)),
  RETENTION_STATUS_DAYS: optional('What differs by status, such as failed:90,cancelled:0.', statusDays),

  REDIS_URL: secret('Redis 6.2 or newer, which delivers jobs: a server, or nodes of a Cluster.', redis),
  QUEUE_BACKEND: optional('What delivers jobs: redis, or postgres to do without Redis.', backend),
  QUEUE_PREFIX: variable('jobs', 'What the names of all queues start with.', queuePrefix),
  QUEUE_SHARDS: variable('1', 'Shards a queue, 1 to 64; more than 1 needs Redis.', integer(1, 64)),

  WORKER_CONCURRENCY: variable('20', 'Jobs at once a queue; WORKER_QUEUES overrides it.', integer(1, 1_000)),
  WORKER_QUEUES: optional('Queues served here, such as default:50; empty: all.', servedQueues),
  SHUTDOWN_GRACE: variable('5000', 'ms that running jobs get to end at shutdown.', integer(0, 600_000)),
  SANDBOX_THREADS: optional('Threads for sandboxed job types; empty: one less than cores.', integer(1, 256)),
  SANDBOX_MEMORY: variable('512', 'MB of heap that each of these threads may use.', integer(16, 65_536)),

  SMTP_URL: secret('Mail server for send_email; without it npm start writes files.', smtpUrl),
  MAIL_FROM: variable('jobs@localhost', 'Sender of mail: an address, with or without a name.', sender),
  HTTP_REQUEST_ALLOW: optional('Private hosts, host:port or networks that requests may reach.', destinations),

  CORS_ORIGINS: optional('Origins that browsers may call the API from, or *; empty: none.', corsOrigins),
  RATE_LIMIT_PER_MINUTE: variable('6000', 'Requests a minute a client; 0: no limit.', integer(0, 10_000_000)),
  TRUST_PROXY: variable('0', 'How many proxies stand before the API.', integer(0, 100)),
  BODY_LIMIT: variable('1mb', 'Largest request body, such as 512kb, 1mb or 65536.', bytes),
  BODY_TOTAL_LIMIT: variable('64mb', 'Request bodies that a process holds at once, together.', bytes),
  API_KEYS: secret('Accepted API keys, at least 16 characters each; empty: no key is asked for.', apiKeys),
  ALLOWED_HOSTS: optional('Names that the API answers to where it has no keys, besides local ones.', hosts),
  API_PUBLIC_URL: optional('Where clients reach the API; only the dashboard process asks for it.', publicUrl),
  IDEMPOTENCY_TTL: variable('86400000', 'ms that an Idempotency-Key is kept.', integer(1_000, 2_592_000_000)),
  QUEUE_MAX_DEPTH: variable(
    '0',
    'Waiting jobs past which a queue is full; 0: no limit.',
    integer(0, 1_000_000_000),
  ),
  QUEUE_MAX_AGE: variable(
    '0',
    'ms that its oldest waiting job may be due; 0: no limit.',
    integer(0, 2_592_000_000),
  ),
  SUBMIT_MAX_LAG: variable(
    '500',
    'ms that the API may be late and go on taking jobs; 0: no limit.',
    integer(0, 60_000),
  ),
  UI: variable('on', 'Swagger UI and Bull Board in the API: on or off.', flag),

  LOG_LEVEL: variable('log', 'Least severe level written: debug, log, warn or error.', logLevel),
  LOG_FORMAT: optional('pretty or json; empty: pretty on a terminal, json elsewhere.', logFormat),

  EXTENSIONS: optional('Files that each export a Nest module as default.', files),
});

export type Environment = z.output<typeof environment>;

/** The same variables with what is written about them. */
export const variables = Object.entries(environment.shape).map(([name, schema]) => ({
  name,
  ...(notes.get(schema) ?? { default: '', doc: '' }),
}));

/** Has a default, so it always has a value. */
function variable<Value>(byDefault: string, doc: string, parser: Parser<Value>) {
  return z.string().default(byDefault).pipe(parser).register(notes, { default: byDefault, doc });
}

/** May be absent. */
function optional<Value>(doc: string, parser: Parser<Value>) {
  return parser.optional().register(notes, { default: '', doc });
}

/** May be absent, and is never shown. */
function secret<Value>(doc: string, parser: Parser<Value>) {
  return parser.optional().register(notes, { default: '', doc, secret: true });
}
