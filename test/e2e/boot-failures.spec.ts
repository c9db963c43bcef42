import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { createServer, type Server } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { Client } from 'pg';
import { EmbeddedPostgres } from '../../src/standalone/embedded-postgres.js';
import { freePort } from '../support/ports.js';
import { type PrivatePostgres, startPostgres } from '../support/postgres.js';
import { type ProcessOptions, startProcess, stopAll } from '../support/processes.js';

type Entry = ProcessOptions['entry'];
type Env = Record<string, string>;

/** Nobody listens there; a process that should not get so far as to need it would say so in vain. */
const REDIS_NOWHERE = 'redis://127.0.0.1:1';

let postgres: PrivatePostgres;
let folder: string;

beforeAll(async () => {
  folder = mkdtempSync(join(tmpdir(), 'jobs-boot-'));
  postgres = await startPostgres();
});
afterEach(stopAll);
afterAll(async () => {
  await postgres.stop();
  rmSync(folder, { recursive: true, force: true });
});

/** What a start comes to that must not succeed: its exit code, and all that a person reads beside the log. */
async function failureOf(entry: Entry, env: Env): Promise<{ code: number | null; says: string[] }> {
  const app = startProcess({
    entry,
    env: { PORT: '0', DATA_DIR: join(folder, 'data'), ...env },
    cwd: folder,
  });
  const timer = setTimeout(() => void app.kill(), 20_000);
  const code = await app.exited;
  clearTimeout(timer);

  const output = app.output();
  expect(output).not.toMatch(/^ {2,}at |\\n {2,}at |node:internal/m);
  expect(output).not.toMatch(/"level":"(?:error|fatal)"/);
  return { code, says: output.split('\n').filter((line) => line !== '' && !line.startsWith('{')) };
}

/** One clear line, and exit code 1. */
const oneLine = (text: string | RegExp) => ({
  code: 1,
  says: [typeof text === 'string' ? text : (expect.stringMatching(text) as string)],
});

async function migrated(env: Env = { QUEUE_BACKEND: 'postgres' }): Promise<string> {
  const url = await postgres.createDatabase();
  const { code } = await migrationOf(url, env);
  expect(code).toBe(0);
  return url;
}

async function migrationOf(url: string, env: Env): Promise<{ code: number | null; output: string }> {
  const migration = startProcess({ entry: 'migrate', env: { DATABASE_URL: url, ...env }, cwd: folder });
  return { code: await migration.exited, output: migration.output() };
}

async function query(url: string, ...statements: string[]): Promise<void> {
  const client = new Client(url);
  await client.connect();
  try {
    for (const statement of statements) await client.query(statement);
  } finally {
    await client.end();
  }
}

function listenOn(port: number): Promise<Server> {
  return new Promise((resolve) => {
    const server = createServer().listen(port, '127.0.0.1', () => resolve(server));
  });
}

describe('a port that is taken', () => {
  it.each<[Entry, Env]>([
    ['standalone', {}],
    ['main', { DATABASE_URL: 'postgres://nobody@127.0.0.1:1/jobs', REDIS_URL: REDIS_NOWHERE }],
  ])('stops %s, which names a free one', async (entry, env) => {
    const port = await freePort();
    const server = await listenOn(port);

    expect(await failureOf(entry, { ...env, PORT: String(port) })).toEqual(
      oneLine(new RegExp(`^Port ${port} is taken: try PORT=\\d+ npm start$`)),
    );
    server.close();
  });
});

describe('a data folder that is not writable', () => {
  // Not by its mode, which does not stop root.
  const below = () => {
    const file = join(folder, 'a-file');
    writeFileSync(file, '');
    return join(file, 'data');
  };

  it('stops standalone', async () => {
    const dataDir = below();
    expect(await failureOf('standalone', { DATA_DIR: dataDir })).toEqual(
      oneLine(new RegExp(`^DATA_DIR ${dataDir} is not writable: ENOTDIR`)),
    );
  });

  it('stops standalone on a PostgreSQL of its user too, since mail is kept there', async () => {
    const env = { DATA_DIR: below(), DATABASE_URL: await postgres.createDatabase() };
    expect(await failureOf('standalone', env)).toEqual(
      oneLine(new RegExp(`^DATA_DIR: ${env.DATA_DIR}/mail is not writable: ENOTDIR`)),
    );
  });
});

describe('a wrong DATABASE_URL', () => {
  const entries: Entry[] = ['standalone', 'main', 'worker', 'migrate'];

  it.each(entries)('stops %s where nobody listens', async (entry) => {
    const env = { DATABASE_URL: 'postgres://jobs:secret@127.0.0.1:1/jobs', QUEUE_BACKEND: 'postgres' };
    expect(await failureOf(entry, env)).toEqual(
      oneLine(
        'DATABASE_URL: cannot connect to PostgreSQL at 127.0.0.1:1/jobs: connect ECONNREFUSED 127.0.0.1:1',
      ),
    );
  });

  it('stops main where the host is unknown, silent, or says no', async () => {
    const env = { QUEUE_BACKEND: 'postgres' };
    const cannot = (where: string, why: string) =>
      oneLine(new RegExp(`^DATABASE_URL: cannot connect to PostgreSQL at ${where}: ${why}`));
    const silentPort = await freePort();
    const silent = await listenOn(silentPort);

    const [unknown, timedOut, noDatabase] = await Promise.all([
      failureOf('main', { ...env, DATABASE_URL: 'postgres://jobs:secret@nowhere.invalid/jobs' }),
      failureOf('main', { ...env, DATABASE_URL: `postgres://jobs:secret@127.0.0.1:${silentPort}/jobs` }),
      failureOf('main', { ...env, DATABASE_URL: postgres.url.replace(/postgres$/, 'missing') }),
    ]);
    expect(unknown).toEqual(cannot('nowhere.invalid/jobs', '.*nowhere.invalid|timeout'));
    expect(timedOut).toEqual(cannot(`127.0.0.1:${silentPort}/jobs`, '.*time-?out'));
    expect(noDatabase).toEqual(cannot('127.0.0.1:\\d+/missing', 'database "missing" does not exist'));
    silent.close();
  });

  it('stops main with a wrong password, which is not shown', async () => {
    const embedded = await EmbeddedPostgres.start(join(folder, 'with-password'));
    const url = embedded.url.replace(/:\w{48}@/, ':wrongsecret@');
    const failure = await failureOf('main', { DATABASE_URL: url, QUEUE_BACKEND: 'postgres' });
    await embedded.stop();

    expect(failure).toEqual(oneLine(/: password authentication failed for user "jobs"$/));
    expect(failure.says.join()).not.toContain('wrongsecret');
  });

  it.each<Entry>(['standalone', 'main'])('stops %s where it is no URL', async (entry) => {
    expect(await failureOf(entry, { DATABASE_URL: 'my secret', QUEUE_BACKEND: 'postgres' })).toEqual(
      oneLine(/^DATABASE_URL: expected a URL such as postgres:\/\/\S+; what was given is not shown$/),
    );
  });

  it.each<Entry>(['main', 'worker'])('stops %s where it is missing', async (entry) => {
    expect(await failureOf(entry, { QUEUE_BACKEND: 'postgres' })).toEqual(
      oneLine('DATABASE_URL: is not set, and this process cannot do without PostgreSQL'),
    );
  });
});

describe('a database that does not fit', () => {
  it.each<Entry>(['standalone', 'main', 'worker', 'migrate'])(
    'stops %s where it is too old',
    async (entry) => {
      const url = await postgres.createDatabase();
      // No old server is at hand: this database says that it is one.
      await query(
        url,
        `CREATE SCHEMA old`,
        `CREATE FUNCTION old.current_setting(text) RETURNS text LANGUAGE sql AS
         $$ SELECT CASE $1 WHEN 'server_version_num' THEN '140012' ELSE '14.12' END $$`,
        `ALTER DATABASE "${new URL(url).pathname.slice(1)}" SET search_path = old, pg_catalog, public`,
      );

      expect(await failureOf(entry, { DATABASE_URL: url, QUEUE_BACKEND: 'postgres' })).toEqual(
        oneLine('PostgreSQL 14.12 is too old: 15 or newer is needed'),
      );
    },
  );

  it.each<Entry>(['main', 'worker'])(
    'stops %s where migrations are missing, naming the command',
    async (entry) => {
      const env = { DATABASE_URL: await postgres.createDatabase(), REDIS_URL: REDIS_NOWHERE };
      expect(await failureOf(entry, env)).toEqual(oneLine(/`npm run migration:run`/));
    },
  );

  it.each<Entry>(['main', 'worker'])("stops %s where only BullMQ's migrations are missing", async (entry) => {
    const url = await migrated({});
    const env = { DATABASE_URL: url, QUEUE_BACKEND: 'postgres', SMTP_URL: 'smtp://127.0.0.1:1' };
    expect(await failureOf(entry, env)).toEqual(
      oneLine(/^The queue's tables in PostgreSQL are at version 0 .*: run /),
    );

    await migrationOf(url, { QUEUE_BACKEND: 'postgres' });
    const app = startProcess({ entry, env: { ...env, PORT: '0' }, cwd: folder });
    await app.ready(entry === 'main' ? /listening/ : /consuming/);
    expect(await app.stop()).toBe(0);
  });

  it.each<Entry>(['main', 'worker'])(
    'stops %s once, however many processes it is to be made of',
    async (entry) => {
      const env = { DATABASE_URL: await postgres.createDatabase(), REDIS_URL: REDIS_NOWHERE, PROCESSES: '3' };
      expect(await failureOf(entry, { ...env, SMTP_URL: 'smtp://127.0.0.1:1' })).toEqual(
        oneLine(/`npm run migration:run`/),
      );
    },
  );

  it('stops a process for which it has too few connections', async () => {
    const env = { DATABASE_URL: await migrated(), QUEUE_BACKEND: 'postgres', DATABASE_POOL_SIZE: '500' };
    expect(await failureOf('main', env)).toEqual(
      oneLine(/^This process may open 50\d connections, .*DATABASE_POOL_SIZE/),
    );
  });
});

describe('migrate', () => {
  it('runs five times at once on an empty database, and each ends well', async () => {
    const url = await postgres.createDatabase();
    const runs = await Promise.all(
      Array.from({ length: 5 }, () => migrationOf(url, { QUEUE_BACKEND: 'postgres' })),
    );

    expect(
      runs.map(({ code, output }) => [code, /^(?:Applied: |The schema is up to date)/.test(output)]),
    ).toEqual(runs.map(() => [0, true]));
    expect(runs.filter(({ output }) => output.startsWith('Applied')).length).toBe(1);
  });
});

describe('what delivers jobs', () => {
  it.each<Entry>(['main', 'worker'])('must be said to %s', async (entry) => {
    expect(await failureOf(entry, { DATABASE_URL: postgres.url })).toEqual(
      oneLine('REDIS_URL: is not set; expected a Redis server, or QUEUE_BACKEND=postgres to do without'),
    );
  });

  it('must be the same in all processes of an installation', async () => {
    const DATABASE_URL = await migrated();
    const first = startProcess({
      entry: 'main',
      env: { DATABASE_URL, QUEUE_BACKEND: 'postgres', PORT: '0' },
      cwd: folder,
    });
    await first.ready(/listening/);

    const [prefix, backend] = await Promise.all([
      failureOf('worker', { DATABASE_URL, QUEUE_BACKEND: 'postgres', QUEUE_PREFIX: 'other' }),
      failureOf('main', { DATABASE_URL, REDIS_URL: REDIS_NOWHERE, QUEUE_SHARDS: '2' }),
    ]);
    expect(prefix).toEqual(
      oneLine(
        'QUEUE_PREFIX is other, the installation uses jobs (to change the installation, stop all of it and run `npm run topology:set -- --prefix other`)',
      ),
    );
    expect(backend).toEqual(
      oneLine(
        'QUEUE_BACKEND is redis, the installation uses postgres; QUEUE_SHARDS is 2, the installation uses 1 (to change the installation, stop all of it and run `npm run topology:set -- --backend redis --shards 2`)',
      ),
    );
    expect(await first.stop()).toBe(0);
  });

  it.each<[Entry, RegExp]>([
    ['main', /listening/],
    ['worker', /consuming/],
    ['standalone', /A first job/],
  ])('may be a Redis that is down while %s starts, which it says once', async (entry, started) => {
    const env: Env = {
      DATABASE_URL: await migrated({}),
      REDIS_URL: `redis://127.0.0.1:${await freePort()}`,
      SMTP_URL: 'smtp://127.0.0.1:1',
      PORT: '0',
    };
    const app = startProcess({ entry, env, cwd: folder });
    await app.ready(started, 20_000);
    await sleep(4_000);

    const complaints = app
      .output()
      .split('\n')
      .filter((line) => /"level":"(?!info)/.test(line) && !line.includes('"Database"'));
    expect(complaints).toEqual([expect.stringMatching(/The queue does not answer.*ECONNREFUSED/)]);
    expect(await app.stop()).toBe(0);
  });
});

describe('a worker', () => {
  const env = async (): Promise<Env> => ({ DATABASE_URL: await migrated(), QUEUE_BACKEND: 'postgres' });

  it.each<Entry>(['worker', 'standalone'])(
    '(%s) does not start for a queue that no job type uses',
    async (entry) => {
      const failure = await failureOf(entry, { ...(await env()), WORKER_QUEUES: 'default:5,emials:10' });
      expect(failure).toEqual(
        oneLine('WORKER_QUEUES: names the queue "emials", which no job type uses; known: default'),
      );
    },
  );

  it('does not start without a mail server where it serves send_email', async () => {
    expect(await failureOf('worker', await env())).toEqual(
      oneLine('SMTP_URL is not set: a worker that serves send_email needs it'),
    );
  });
});

describe('EXTENSIONS', () => {
  const file = (name: string, content: string) => {
    writeFileSync(join(folder, name), content);
    return name;
  };
  const failureWith = (entry: Entry, EXTENSIONS: string) =>
    failureOf(entry, { DATABASE_URL: postgres.url, QUEUE_BACKEND: 'postgres', EXTENSIONS });

  it.each<Entry>(['standalone', 'main', 'worker'])('stop %s where a file is missing', async (entry) => {
    expect(await failureWith(entry, './missing.js')).toEqual(
      oneLine(/^EXTENSIONS: \.\/missing\.js cannot be loaded: Cannot find module/),
    );
  });

  it('stop main where a file cannot be used', async () => {
    const failures = await Promise.all([
      failureWith('main', file('broken.mjs', 'export default {')),
      failureWith('main', file('needy.cjs', 'require("./gone")')),
      failureWith('main', file('empty.mjs', 'export default 7')),
    ]);
    expect(failures).toEqual([
      oneLine(/^EXTENSIONS: broken\.mjs cannot be loaded: Unexpected end of input$/),
      oneLine(/^EXTENSIONS: needy\.cjs cannot be loaded: Cannot find module '.\/gone'$/),
      oneLine('EXTENSIONS: empty.mjs has no Nest module as its default export'),
    ]);
  });
});
