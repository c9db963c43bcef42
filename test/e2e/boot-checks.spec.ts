import { Client } from 'pg';
import { startIntermediary, startTransactionPooler } from '../support/intermediary.js';
import { freePort } from '../support/ports.js';
import { type PrivatePostgres, startPostgres } from '../support/postgres.js';
import { type AppProcess, type ProcessOptions, startProcess, stopAll } from '../support/processes.js';
import { type PrivateRedis, startRedis } from '../support/redis.js';

type Entry = ProcessOptions['entry'];
type Env = Record<string, string>;

const ENTRIES: [Entry, RegExp][] = [
  ['main', /"listening"/],
  ['worker', /"consuming"/],
  ['dashboard', /"listening"/],
  ['standalone', /A first job/],
];

/** Stores as they should be: durable. */
let postgres: PrivatePostgres;
let redis: PrivateRedis;
let env: { DATABASE_URL: string; REDIS_URL: string };

beforeAll(async () => {
  [postgres, redis] = await Promise.all([
    startPostgres({ settings: { fsync: 'on', full_page_writes: 'on' } }),
    startRedis({ appendonly: true }),
  ]);
  env = { DATABASE_URL: await migrated(), REDIS_URL: redis.url };
});
afterEach(stopAll);
afterAll(() => Promise.all([postgres.stop(), redis.stop()]));

function start(entry: Entry, env: Env): AppProcess {
  return startProcess({
    entry,
    env: { PORT: '0', SMTP_URL: 'smtp://127.0.0.1:1', API_PUBLIC_URL: 'http://127.0.0.1:1', ...env },
  });
}

async function migrated(server = postgres): Promise<string> {
  const url = await server.createDatabase();
  expect(await start('migrate', { DATABASE_URL: url }).exited).toBe(0);
  return url;
}

async function alter(url: string, setting: string): Promise<void> {
  await query(url, `ALTER DATABASE "${new URL(url).pathname.slice(1)}" SET ${setting}`);
}

async function query(url: string, ...statements: string[]): Promise<void> {
  const client = new Client(url);
  await client.connect();
  for (const statement of statements) await client.query(statement);
  await client.end();
}

/** The warnings and errors of a process that has started, and lives on. */
async function complaintsOf(entry: Entry, started: RegExp, env: Env): Promise<string[]> {
  const app = start(entry, env);
  await app.ready(started);
  const complaints = complaintsIn(app);
  expect(await app.stop()).toBe(0);
  return complaints;
}

function complaintsIn(app: AppProcess): string[] {
  return app
    .output()
    .split('\n')
    .filter((line) => /"level":"(?:warn|error|fatal)"/.test(line))
    .map((line) => (JSON.parse(line) as { message: string }).message);
}

/** One clear line beside the log, and exit code 1. */
async function refusalOf(entry: Entry, env: Env): Promise<string> {
  const app = start(entry, env);
  expect(await app.exited).toBe(1);
  expect(complaintsIn(app)).toEqual([]);
  const says = app
    .output()
    .split('\n')
    .filter((line) => line !== '' && !line.startsWith('{'));
  expect(says).toHaveLength(1);
  return says[0] ?? '';
}

const at = (url: string, port: number): string => {
  const other = new URL(url);
  other.port = String(port);
  return other.href;
};

it.each(ENTRIES)('%s says nothing of stores that are as they should be', async (entry, started) => {
  expect(await complaintsOf(entry, started, env)).toEqual([]);
});

it.each(ENTRIES)('%s warns once of stores that are careless', async (entry, started) => {
  const [disk, memory] = await Promise.all([
    startPostgres({ settings: { fsync: 'off', full_page_writes: 'off' } }),
    startRedis({ settings: { 'maxmemory-policy': 'allkeys-lru' } }),
  ]);
  const app = start(entry, { DATABASE_URL: await migrated(disk), REDIS_URL: memory.url });
  await app.ready(started);
  await memory.kill();
  await app.ready(/The queue does not answer/);
  await memory.start();
  await app.ready(/The queue answers again/);

  expect(complaintsIn(app).filter((line) => !line.includes('does not answer'))).toEqual([
    expect.stringMatching(/fsync is off.*may lose accepted jobs.*set fsync = on/),
    expect.stringMatching(/full_page_writes is off.*set full_page_writes = on/),
    expect.stringMatching(/maxmemory-policy is allkeys-lru.*set maxmemory-policy noeviction/),
    expect.stringMatching(/appendonly is no.*nothing is lost.*set appendonly yes/),
  ]);
  expect(await app.stop()).toBe(0);
  await Promise.all([disk.stop(), memory.stop()]);
});

describe('a PostgreSQL', () => {
  /** A database of its own, which says that its clock is another. */
  const skewed = async (offset: string) => {
    const DATABASE_URL = await migrated();
    await query(
      DATABASE_URL,
      `CREATE SCHEMA skewed`,
      `CREATE FUNCTION skewed.clock_timestamp() RETURNS timestamptz LANGUAGE sql AS
       $$ SELECT pg_catalog.clock_timestamp() + interval '${offset}' $$`,
    );
    await alter(DATABASE_URL, 'search_path = public, skewed, pg_catalog');
    return { ...env, DATABASE_URL };
  };

  it.each([
    ['behind', '90 s', /is (?:8[89]|9[01])(?:\.\d)? s behind the database's/],
    ['ahead', '-5 s', /is [456](?:\.\d)? s ahead of the database's/],
  ])('that this process is %s of by %s is warned of', async (_, offset, warning) => {
    expect(await complaintsOf('main', /"listening"/, await skewed(offset))).toEqual([
      expect.stringMatching(warning),
    ]);
  });

  it('whose clock differs by half a second is not warned of', async () => {
    expect(await complaintsOf('main', /"listening"/, await skewed('0.5 s'))).toEqual([]);
  });

  it('that commits without its disk is not warned of: what must last asks for it', async () => {
    const DATABASE_URL = await migrated();
    await alter(DATABASE_URL, 'synchronous_commit = off');

    expect(await complaintsOf('main', /"listening"/, { ...env, DATABASE_URL })).toEqual([]);
  });

  it('that can only be read is refused', async () => {
    const DATABASE_URL = await migrated();
    await alter(DATABASE_URL, 'default_transaction_read_only = on');

    expect(await refusalOf('main', { ...env, DATABASE_URL })).toMatch(
      /can only be read \(default_transaction_read_only is on\)/,
    );
  });

  it('that is a standby is refused', async () => {
    const standby = await startPostgres();
    const DATABASE_URL = await standby.createDatabase();
    await standby.becomeStandby();

    const entries: Entry[] = ['main', 'worker', 'dashboard', 'standalone', 'migrate'];
    const refusals = await Promise.all(entries.map((entry) => refusalOf(entry, { ...env, DATABASE_URL })));
    expect(new Set(refusals)).toEqual(
      new Set(['DATABASE_URL names a standby, which can only be read: let it name the primary server']),
    );
    await standby.stop();
  });
});

describe('a connection pooler', () => {
  it('in transaction mode is refused', async () => {
    const { DATABASE_URL } = env;
    const pooler = await startTransactionPooler(Number(new URL(DATABASE_URL).port));
    const pooled = { ...env, DATABASE_URL: at(DATABASE_URL, pooler.port) };

    const entries: Entry[] = ['main', 'worker', 'dashboard', 'standalone', 'migrate'];
    for (const entry of entries) {
      expect(await refusalOf(entry, pooled)).toMatch(
        /^DATABASE_URL names a connection pooler .*pool_mode = session\)$/,
      );
    }
    await pooler.stop();
  });

  it('that refuses what a session is given at its start is told what to ignore', async () => {
    const url = env.DATABASE_URL;
    const pooler = await startIntermediary(Number(new URL(url).port), () => {
      const text = 'SFATAL\0C08P01\0Munsupported startup parameter: statement_timeout\0\0';
      const length = Buffer.alloc(4);
      length.writeInt32BE(text.length + 4);
      return Buffer.concat([Buffer.from('E'), length, Buffer.from(text)]);
    });

    expect(await refusalOf('main', { ...env, DATABASE_URL: at(url, pooler.port) })).toMatch(
      /unsupported startup parameter: statement_timeout: .*ignore_startup_parameters = statement_timeout,lock_timeout,idle_in_transaction_session_timeout$/,
    );
    await pooler.stop();
  });
});

it('main warns once of a replica for lists that is away, and starts', async () => {
  const DATABASE_READ_URL = 'postgres://nobody@127.0.0.1:1/jobs';

  expect(await complaintsOf('main', /"listening"/, { ...env, DATABASE_READ_URL })).toEqual([
    expect.stringMatching(/^Lists are read from the primary, since DATABASE_READ_URL does not answer: .+:1$/),
  ]);
});

describe('a Redis', () => {
  it('that does not let itself be asked is taken as it is', async () => {
    const managed = await startRedis();
    await managed.forbid('info');
    await managed.forbid('config');

    expect(await complaintsOf('main', /"listening"/, { ...env, REDIS_URL: managed.url })).toEqual([]);
    await managed.stop();
  });

  /** No old server is at hand: this one says that it is one. Both versions are of one length, as the protocol wants it. */
  const old = async () => {
    const modern = await startRedis();
    const intermediary = await startIntermediary(modern.port, (said) =>
      Buffer.from(
        said
          .toString('latin1')
          .replace(/redis_version:\d[\d.]*/, (version) => 'redis_version:6.0.'.padEnd(version.length, '1')),
        'latin1',
      ),
    );
    return { modern, url: `redis://127.0.0.1:${intermediary.port}`, stop: () => intermediary.stop() };
  };

  it.each(ENTRIES)('that is too old is refused by %s', async (entry) => {
    const { modern, url, stop } = await old();

    expect(await refusalOf(entry, { ...env, REDIS_URL: url })).toMatch(
      /^Redis 6\.0\.1+ is too old: 6\.2 or newer is needed$/,
    );
    await stop();
    await modern.stop();
  });

  it('that is too old, and comes up after the start, is an error in the log', async () => {
    const port = await freePort();
    const app = start('main', { ...env, REDIS_URL: `redis://127.0.0.1:${port}` });
    await app.ready(/"listening"/);

    const { modern, url, stop } = await old();
    const late = await startIntermediary(Number(new URL(url).port), undefined, port);
    await app.ready(/"level":"error".*is too old: 6\.2 or newer is needed/);
    await late.stop();
    await stop();
    await modern.stop();
  });
});
