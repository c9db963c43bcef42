import { availableParallelism } from 'node:os';
import { ConfigError } from './config-error.js';
import { parseConfig, withDatabaseUrl, type Entry } from './parse-config.js';

const stores = { DATABASE_URL: 'postgres://db/jobs', REDIS_URL: 'redis://queue:6379' };

function refusal(env: NodeJS.ProcessEnv, entry: Entry = 'main'): string {
  try {
    parseConfig(env, entry);
  } catch (error) {
    if (error instanceof ConfigError) return error.message;
    throw error;
  }
  throw new Error('nothing was refused');
}

describe('what is parsed', () => {
  it('fills in every default', () => {
    expect(parseConfig(stores, 'main')).toEqual({
      processes: 1,
      http: {
        host: '127.0.0.1',
        port: 3000,
        bodyLimit: 1_048_576,
        bodyTotalLimit: 67_108_864,
        corsOrigins: [],
        rateLimitPerMinute: 6000,
        trustProxy: 0,
        ui: true,
        apiKeys: [],
        allowedHosts: [],
      },
      database: { url: 'postgres://db/jobs', poolSize: 10 },
      retention: { days: 0, statusDays: {} },
      submit: { idempotencyTtl: 86_400_000, maxDepth: 0, maxAge: 0, maxLoopLag: 500 },
      queue: { backend: 'redis', redis: { url: 'redis://queue:6379' }, prefix: 'jobs', shards: 1 },
      worker: { queues: [], concurrency: 20, shutdownGrace: 5000 },
      sandbox: { threads: Math.max(1, availableParallelism() - 1), memory: 512 },
      mail: { smtpUrl: undefined, directory: undefined, from: 'jobs@localhost' },
      outbound: { allowed: [] },
      log: { level: 'log', format: process.stdout.isTTY ? 'pretty' : 'json' },
      extensions: [],
      dataDir: './data',
    });
  });

  it('takes what is given', () => {
    const config = parseConfig(
      {
        ...stores,
        PORT: '0',
        QUEUE_BACKEND: 'redis',
        QUEUE_SHARDS: '64',
        WORKER_QUEUES: 'default:50, emails:10',
        CORS_ORIGINS: 'https://app.example.com,http://localhost:5173',
        API_KEYS: '0123456789abcdef,fedcba9876543210',
        ALLOWED_HOSTS: 'jobs.example.com',
        HTTP_REQUEST_ALLOW:
          'Hooks.internal, localhost:8080,10.0.0.5:443,10.1.0.0/16,fd00::/8,::1,[fd00::5]:8080,[fd00::6]',
        UI: 'off',
        RETENTION_DAYS: '30',
        RETENTION_STATUS_DAYS: 'failed:90, cancelled:0',
        LOG_FORMAT: 'pretty',
        MAIL_FROM: 'Job Queue <jobs@example.com>',
        EXTENSIONS: './a.js,/opt/b.js',
      },
      'worker',
    );

    expect(config).toMatchObject({
      http: {
        port: 0,
        corsOrigins: ['https://app.example.com', 'http://localhost:5173'],
        apiKeys: ['0123456789abcdef', 'fedcba9876543210'],
        allowedHosts: ['jobs.example.com'],
        ui: false,
      },
      retention: { days: 30, statusDays: { failed: 90, cancelled: 0 } },
      queue: { shards: 64 },
      worker: {
        queues: [
          { name: 'default', concurrency: 50 },
          { name: 'emails', concurrency: 10 },
        ],
      },
      outbound: {
        allowed: [
          { host: 'hooks.internal' },
          { host: 'localhost', port: 8080 },
          { host: '10.0.0.5', port: 443 },
          { host: '10.1.0.0', prefix: 16 },
          { host: 'fd00::', prefix: 8 },
          { host: '::1' },
          { host: 'fd00::5', port: 8080 },
          { host: 'fd00::6' },
        ],
      },
      log: { format: 'pretty' },
      mail: { from: 'Job Queue <jobs@example.com>' },
      extensions: ['./a.js', '/opt/b.js'],
    });
  });

  it.each([
    ['512kb', 524_288],
    ['1mb', 1_048_576],
    ['1MB', 1_048_576],
    ['65536', 65_536],
  ])('reads a body limit of %s', (given, size) => {
    expect(parseConfig({ ...stores, BODY_LIMIT: given }, 'main').http.bodyLimit).toBe(size);
  });

  it('counts an empty value as absent', () => {
    const config = parseConfig(
      { ...stores, PORT: '', WORKER_QUEUES: '', QUEUE_BACKEND: '', API_KEYS: '' },
      'main',
    );

    expect(config).toEqual(parseConfig(stores, 'main'));
  });

  it('accepts a PostgreSQL URL with a socket folder', () => {
    const DATABASE_URL = 'postgresql://jobs@/jobs?host=/run/postgresql';

    expect(parseConfig({ ...stores, DATABASE_URL }, 'main').database.url).toBe(DATABASE_URL);
  });

  it('cannot be changed afterwards, at any depth', () => {
    const config = parseConfig({ ...stores, WORKER_QUEUES: 'default:50' }, 'main');

    expect(
      [config, config.http, config.http.corsOrigins, config.worker.queues[0]].every(Object.isFrozen),
    ).toBe(true);
  });
});

describe('what each process needs', () => {
  it.each<Entry>(['main', 'worker'])('%s needs a database and something that delivers', (entry) => {
    expect(refusal({}, entry).split('\n')).toEqual([
      'DATABASE_URL: is not set, and this process cannot do without PostgreSQL',
      'REDIS_URL: is not set; expected a Redis server, or QUEUE_BACKEND=postgres to do without',
    ]);
  });

  it.each<Entry>(['main', 'worker', 'standalone', 'migrate'])(
    '%s delivers by PostgreSQL when told so',
    (entry) => {
      const config = parseConfig({ DATABASE_URL: stores.DATABASE_URL, QUEUE_BACKEND: 'postgres' }, entry);

      expect(config.queue).toEqual({ backend: 'postgres', redis: undefined, prefix: 'jobs', shards: 1 });
    },
  );

  it('dashboard needs both, and where the API is; its UIs are on whatever is said', () => {
    expect(refusal({}, 'dashboard').split('\n')).toEqual([
      'DATABASE_URL: is not set, and this process cannot do without PostgreSQL',
      'REDIS_URL: is not set; expected a Redis server, or QUEUE_BACKEND=postgres to do without',
      'API_PUBLIC_URL: is not set; expected where the API is, such as https://jobs.example.com',
    ]);
    expect(
      parseConfig({ ...stores, API_PUBLIC_URL: 'https://jobs.example.com/', UI: 'off' }, 'dashboard').http,
    ).toMatchObject({ apiPublicUrl: 'https://jobs.example.com', ui: true });
    expect(
      parseConfig({ ...stores, API_PUBLIC_URL: 'https://jobs.example.com' }, 'main').http.apiPublicUrl,
    ).toBe(undefined);
  });

  it('migrate needs the database alone, and prepares for Redis unless told otherwise', () => {
    expect(refusal({}, 'migrate')).toMatch(/^DATABASE_URL: .*$/);
    expect(parseConfig({ DATABASE_URL: stores.DATABASE_URL }, 'migrate').queue.backend).toBe('redis');
    expect(
      parseConfig({ DATABASE_URL: stores.DATABASE_URL, QUEUE_BACKEND: 'redis' }, 'migrate').queue.backend,
    ).toBe('redis');
  });

  it('standalone needs nothing: PostgreSQL is to come, delivers, and mail goes to files', () => {
    expect(parseConfig({}, 'standalone')).toMatchObject({
      database: { url: '' },
      queue: { backend: 'postgres', shards: 1 },
      mail: { smtpUrl: undefined, directory: './data/mail' },
    });
  });

  it('set-topology needs the record alone, and asks for no agreement between two topologies', () => {
    const { DATABASE_URL } = stores;

    expect(refusal({}, 'set-topology')).toMatch(/^DATABASE_URL: is not set/);
    for (const env of [
      {},
      { QUEUE_BACKEND: 'redis' },
      { ...stores, QUEUE_BACKEND: 'postgres', QUEUE_SHARDS: '4' },
    ])
      expect(parseConfig({ DATABASE_URL, ...env }, 'set-topology').database.url).toBe(DATABASE_URL);
  });

  it('standalone takes the servers that it is given', () => {
    expect(parseConfig({ ...stores, SMTP_URL: 'smtps://mail:465' }, 'standalone')).toMatchObject({
      database: { url: stores.DATABASE_URL },
      queue: { backend: 'redis', redis: { url: stores.REDIS_URL } },
      mail: { smtpUrl: 'smtps://mail:465', directory: undefined },
    });
  });

  it('gets the URL of the server that standalone has started', () => {
    const config = withDatabaseUrl(
      parseConfig({ DATABASE_POOL_SIZE: '7' }, 'standalone'),
      'postgres://embedded',
    );

    expect(config.database).toEqual({ url: 'postgres://embedded', poolSize: 7 });
    expect(Object.isFrozen(config.database)).toBe(true);
  });
});

describe('a replica for lists', () => {
  const DATABASE_READ_URL = 'postgres://replica/jobs';

  it.each<[Entry, string | undefined]>([
    ['main', DATABASE_READ_URL],
    ['standalone', DATABASE_READ_URL],
    ['worker', undefined],
    ['dashboard', undefined],
    ['migrate', undefined],
  ])('%s reads from %s', (entry, readUrl) => {
    const env = { ...stores, DATABASE_READ_URL, API_PUBLIC_URL: 'https://jobs.example.com' };

    expect(parseConfig(env, entry).database.readUrl).toBe(readUrl);
  });

  it('is refused where the primary is the one that standalone starts', () => {
    expect(refusal({ DATABASE_READ_URL }, 'standalone')).toBe(
      'DATABASE_READ_URL: is set while DATABASE_URL is not; expected a replica of the server it names',
    );
  });
});

describe('what contradicts itself', () => {
  it.each<Entry>(['main', 'worker', 'standalone', 'migrate'])(
    '%s refuses Redis on the PostgreSQL backend',
    (entry) => {
      expect(refusal({ ...stores, QUEUE_BACKEND: 'postgres' }, entry)).toBe(
        'QUEUE_BACKEND: is postgres while REDIS_URL is set; expected only one of them',
      );
    },
  );

  it.each<Entry>(['main', 'worker', 'standalone'])('%s refuses the Redis backend without Redis', (entry) => {
    expect(refusal({ DATABASE_URL: stores.DATABASE_URL, QUEUE_BACKEND: 'redis' }, entry)).toBe(
      'REDIS_URL: is not set while QUEUE_BACKEND is redis',
    );
  });

  it.each<[Entry, NodeJS.ProcessEnv]>([
    ['main', { DATABASE_URL: stores.DATABASE_URL, QUEUE_BACKEND: 'postgres' }],
    ['standalone', {}],
  ])('%s refuses more than one shard on the PostgreSQL backend', (entry, env) => {
    expect(refusal({ ...env, QUEUE_SHARDS: '2' }, entry)).toBe(
      'QUEUE_SHARDS: is 2; expected 1 where jobs are delivered by PostgreSQL',
    );
  });
});

describe('what is refused', () => {
  it.each([
    ['PORT', '65536'],
    ['PORT', '3000 '],
    ['PORT', '-1'],
    ['PORT', '0x10'],
    ['DATABASE_POOL_SIZE', '0'],
    ['QUEUE_BACKEND', 'memory'],
    ['QUEUE_PREFIX', 'my:jobs'],
    ['QUEUE_PREFIX', '{jobs}'],
    ['QUEUE_SHARDS', '0'],
    ['QUEUE_SHARDS', '65'],
    ['WORKER_CONCURRENCY', '1.5'],
    ['RETENTION_DAYS', '3651'],
    ['RETENTION_STATUS_DAYS', 'failed'],
    ['RETENTION_STATUS_DAYS', 'waiting:1'],
    ['RETENTION_STATUS_DAYS', 'failed:1,failed:2'],
    ['WORKER_QUEUES', 'default'],
    ['WORKER_QUEUES', 'default:0'],
    ['WORKER_QUEUES', 'default:5,'],
    ['WORKER_QUEUES', 'default:5,default:6'],
    ['WORKER_QUEUES', 'Default:5'],
    ['SHUTDOWN_GRACE', '5s'],
    ['MAIL_FROM', 'jobs'],
    ['MAIL_FROM', 'Jobs\nBcc: x <jobs@example.com>'],
    ['CORS_ORIGINS', 'https://app.example.com/'],
    ['CORS_ORIGINS', 'app.example.com'],
    ['CORS_ORIGINS', '*,https://app.example.com'],
    ['RATE_LIMIT_PER_MINUTE', 'none'],
    ['TRUST_PROXY', 'true'],
    ['BODY_LIMIT', '1gb'],
    ['BODY_LIMIT', '0'],
    ['BODY_LIMIT', '101mb'],
    ['HTTP_REQUEST_ALLOW', 'http://hooks.internal'],
    ['HTTP_REQUEST_ALLOW', 'hooks.internal/path'],
    ['HTTP_REQUEST_ALLOW', 'hooks.internal/8'],
    ['HTTP_REQUEST_ALLOW', 'hooks.internal:0'],
    ['HTTP_REQUEST_ALLOW', 'hooks.internal:65536'],
    ['HTTP_REQUEST_ALLOW', '*.internal'],
    ['HTTP_REQUEST_ALLOW', '127.1'],
    ['HTTP_REQUEST_ALLOW', '0x7f000001'],
    ['HTTP_REQUEST_ALLOW', '010.0.0.1'],
    ['HTTP_REQUEST_ALLOW', '10.0.0.0/33'],
    ['HTTP_REQUEST_ALLOW', '10.0.0.0/8:80'],
    ['HTTP_REQUEST_ALLOW', 'fd00::/129'],
    ['HTTP_REQUEST_ALLOW', 'fe80::1%eth0'],
    ['HTTP_REQUEST_ALLOW', '[10.0.0.1]:80'],
    ['HTTP_REQUEST_ALLOW', '[hooks]:80'],
    ['HTTP_REQUEST_ALLOW', '10.0.0.1,'],
    ['UI', 'yes'],
    ['UI', 'constructor'],
    ['LOG_LEVEL', 'info'],
    ['LOG_FORMAT', 'text'],
    ['EXTENSIONS', './a.js,,./b.js'],
  ])('%s=%j, in one line that names and shows it', (name, given) => {
    const message = refusal({ ...stores, [name]: given });

    expect(message).toMatch(new RegExp(`^${name}: expected .+; got .+$`));
    expect(message).toContain(JSON.stringify(given));
  });

  it.each([
    ['DATABASE_URL', 'mysql://root:hunter2@db/jobs'],
    ['DATABASE_URL', 'hunter2'],
    ['DATABASE_READ_URL', 'hunter2'],
    ['REDIS_URL', 'http://:hunter2@queue:6379'],
    ['REDIS_URL', 'redis://:hunter2@a:6379,redis://:hunter3@b:6379'],
    ['SMTP_URL', 'mail://me:hunter2@mail'],
    ['API_KEYS', 'hunter2'],
    ['API_KEYS', 'hunter2hunter2hunter2,'],
    ['API_KEYS', 'hunter2 hunter2 hunter2'],
    ['API_KEYS', ','],
  ])('%s=%j, without showing it', (name, given) => {
    const message = refusal({ ...stores, [name]: given });

    expect(message).toMatch(new RegExp(`^${name}: expected .+; what was given is not shown$`));
    expect(message).not.toContain('hunter2');
  });

  it('everything at once, with one line for each variable', () => {
    const message = refusal({
      REDIS_URL: 'queue',
      PORT: 'web',
      QUEUE_BACKEND: 'postgres',
      QUEUE_SHARDS: '100',
    });

    expect(
      message
        .split('\n')
        .map((line) => line.split(':')[0])
        .sort(),
    ).toEqual(['DATABASE_URL', 'PORT', 'QUEUE_BACKEND', 'QUEUE_SHARDS', 'REDIS_URL']);
  });

  it('shows only the start of a long value', () => {
    expect(refusal({ ...stores, PORT: '9'.repeat(5_000) }).length).toBeLessThan(200);
  });
});
