import { existsSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { execFile } from 'node:child_process';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { promisify, stripVTControlCharacters } from 'node:util';
import { EmbeddedPostgres } from '../../src/standalone/embedded-postgres.js';
import { allEnded, killIfThere } from '../support/child.js';
import { groupRuns, Installation, type JobSeen } from '../support/installation.js';
import { freePort } from '../support/ports.js';
import { type AppProcess, startProcess, stopAll } from '../support/processes.js';

const execute = promisify(execFile);
const repository = fileURLToPath(new URL('../..', import.meta.url));
const CTRL_C = '\x03';

/** The last thing that is printed. */
const READY = /A first job:\r?\n +curl .*\\\r?\n.*'\r?\n/;

const AN_EMAIL = { to: 'john@example.com', subject: 'Hello', body: 'Welcome!' };

/** Ms that a slow machine is given for what takes a moment. */
const PATIENCE = 20_000;

const isCompleted = ({ status }: JobSeen) => status === 'completed';
const isActive = ({ status }: JobSeen) => status === 'active';

let installation: Installation;
beforeEach(async () => (installation = await Installation.make()));
afterEach(async () => {
  await stopAll();
  await installation.remove();
});

/** Ctrl-C, as the terminal sends it: to the whole process group. */
const interrupt = (app: AppProcess) => process.kill(-app.pid, 'SIGINT');

const interrupted = async (app: AppProcess): Promise<{ code: number | null; ms: number }> => {
  const since = performance.now();
  interrupt(app);
  const code = await app.exited;
  return { code, ms: performance.now() - since };
};

const linesOf = (output: string): string[] => output.split(/\r?\n/).filter((line) => line !== '');

/** Standalone writes its log as JSON where it does not write to a terminal. */
const logOf = (app: AppProcess): Record<string, unknown>[] =>
  linesOf(app.output())
    .filter((line) => line.startsWith('{'))
    .map((line) => JSON.parse(line) as Record<string, unknown>);

describe('npm start on a machine that has only Node', () => {
  it('is ready within 20 s, prints where everything is, and runs a first job', async () => {
    const app = installation.start();
    const [firstJob] = await app.ready(READY, 20_000);

    const { url, port, dataDir } = installation;
    const output = app.output();
    const last = output.slice(output.indexOf('\nThe job queue runs'));
    expect(last).toContain(`port ${port}`);
    for (const page of ['/', '/docs', '/admin/queues']) expect(last).toContain(`${url}${page}\n`);
    expect(last).toContain(`curl -i ${url}/jobs`);
    expect(last).not.toContain('"level"');
    expect(logOf(app).map(({ context }) => context)).toEqual(['Standalone', 'Standalone', 'Worker']);

    const { stdout: accepted } = await execute('sh', ['-c', firstJob.slice(firstJob.indexOf('curl'))]);
    expect(accepted).toMatch(/^HTTP\/1\.1 202 /);
    const [, id = ''] = /^Location: \/jobs\/([0-9a-f-]{36})\r$/im.exec(accepted) ?? [];

    const time = expect.stringMatching(/^\d{4}-\d\d-\d\dT[\d:.]+Z$/) as string;
    const [job] = await installation.until([id], isCompleted, PATIENCE);
    expect(job).toMatchObject({
      type: 'send_email',
      data: AN_EMAIL,
      attemptsMade: 1,
      error: null,
      result: { messageId: `<${id}@localhost>`, file: join(dataDir, 'mail', `${id}.eml`) },
      attempts: [{ number: 1, outcome: 'completed' }],
      createdAt: time,
      enqueuedAt: time,
      startedAt: time,
      finishedAt: time,
    });
    const mail = readFileSync(join(dataDir, 'mail', `${id}.eml`), 'utf8');
    expect(mail).toMatch(/^To: john@example\.com\r$/m);
    expect(mail).toMatch(/^Subject: Hello\r$/m);
    expect(mail).toMatch(/^Welcome!/m);

    // A line a job.
    await app.ready(new RegExp(`"completed".*"${id}".*\n`));
    expect(logOf(app).filter(({ jobId }) => jobId === id)).toEqual([
      expect.objectContaining({
        level: 'info',
        message: 'completed',
        type: 'send_email',
        run: 1,
        attempt: 1,
      }),
    ]);

    for (const page of ['/', '/docs', '/docs-json', '/admin/queues', '/health/ready']) {
      const answer = await fetch(`${url}${page}`);
      expect([page, answer.status]).toEqual([page, 200]);
      if (page === '/') {
        const html = await answer.text();
        for (const link of ['/docs', '/admin/queues', '/jobs']) expect(html).toContain(`href="${link}"`);
      }
    }

    const { code, ms } = await interrupted(app);
    expect(code).toBe(0);
    expect(ms).toBeLessThan(10_000);
    expect(groupRuns(app.pid)).toBe(false);
    expect(installation.postgresProcesses()).toEqual([]);
    expect(readdirSync(dataDir).sort()).toEqual(['mail', 'postgres', 'postgres.log']);
  });

  it('starts once in a folder, and says so rather than that the port is taken', async () => {
    const first = installation.start();
    await first.ready(READY);

    const second = installation.start();
    expect(await second.exited).toBe(1);
    expect(second.output()).toBe(
      `Already running in ${installation.dataDir} (pid ${first.pid}): stop it first, or set another DATA_DIR and PORT\n`,
    );
    expect((await interrupted(first)).code).toBe(0);
  });

  it('hands running jobs back at Ctrl-C, and the next start completes them without a burned attempt', async () => {
    const app = installation.start();
    await app.ready(READY);
    const short = await installation.submitMany('demo', 10, { durationMs: 3_000, result: 'short' });
    const long = await installation.submitMany('demo', 10, { durationMs: 60_000 });
    const waiting = await installation.submitMany('demo', 5, { durationMs: 10, result: 'waited' });
    await installation.until([...short, ...long], isActive, PATIENCE);

    const { code, ms } = await interrupted(app);
    expect(code).toBe(0);
    expect(ms).toBeLessThan(10_000);
    expect(groupRuns(app.pid)).toBe(false);
    expect(installation.postgresProcesses()).toEqual([]);

    const left = await seenByTheApiAlone([...short, ...long, ...waiting]);
    expect(left.map(({ status, attemptsMade, attempts }) => [status, attemptsMade, attempts])).toEqual(
      left.map(() => ['waiting', 0, []]),
    );

    const again = installation.start();
    await again.ready(READY);
    await installation.until(long, isActive, PATIENCE);
    const ended = await installation.until([...short, ...waiting], isCompleted, 20_000);
    expect(ended.map(attemptNumbers)).toEqual(ended.map(() => [1]));
    expect((await interrupted(again)).code).toBe(0);
  });

  it('ends within 10 s of Ctrl-C while a job ignores that it should stop', async () => {
    const app = installation.start({ EXTENSIONS: stubbornExtension() });
    await app.ready(READY);
    const stubborn = await installation.submitMany('stubborn', 3, {});
    await installation.until(stubborn, isActive, PATIENCE);

    const { code, ms } = await interrupted(app);
    expect(code).toBe(0);
    expect(ms).toBeLessThan(10_000);
    expect(installation.postgresProcesses()).toEqual([]);
    const left = await seenByTheApiAlone(stubborn, { EXTENSIONS: stubbornExtension() });
    expect(left.map(({ status, attemptsMade }) => [status, attemptsMade])).toEqual(
      left.map(() => ['waiting', 0]),
    );
  });

  it('leaves nothing behind when Ctrl-C comes while it starts', async () => {
    const early = installation.start();
    while (!existsSync(installation.dataDir)) await sleep(5);
    await sleep(300);
    const first = await interrupted(early);
    expect(first.code).toBe(0);
    expect(installation.postgresProcesses()).toEqual([]);

    const later = installation.start();
    await later.ready(/PostgreSQL ready/);
    const second = await interrupted(later);
    expect(second.code).toBe(0);
    expect(later.output()).not.toContain('curl');
    expect(installation.postgresProcesses()).toEqual([]);
  });

  it.each([
    ['it was killed', []],
    ['it and its PostgreSQL were killed', ['postmaster']],
  ])('recovers by itself after %s, with every job still there', async (_, andItsPostgres) => {
    const app = installation.start();
    await app.ready(READY);
    const running = await installation.submitMany('demo', 20, { durationMs: 4_000, result: 'ran' });
    await installation.until(running, isActive, PATIENCE);
    const waiting = await installation.submitMany('demo', 100, { durationMs: 20, result: 'waited' });

    const orphans = installation.postgresProcesses();
    expect(orphans.length).toBeGreaterThan(0);
    if (andItsPostgres.length > 0) killIfThere(installation.postmaster());
    await app.kill();

    const again = installation.start();
    await again.ready(READY, 20_000);
    const ready = Date.now();
    await allEnded(orphans);

    await installation.until(waiting, isCompleted, 30_000);
    const ended = await installation.until([...running, ...waiting], isCompleted, 40_000);
    expect(ended.map(attemptNumbers)).toEqual(ended.map(() => [1]));
    const lastPickUp = Math.max(...ended.map(({ startedAt }) => Date.parse(startedAt ?? '')));
    expect(lastPickUp - ready).toBeLessThan(30_000);
    expect((await interrupted(again)).code).toBe(0);
    expect(installation.postgresProcesses()).toEqual([]);
  });

  it('tells people in a terminal and stops at a typed Ctrl-C', async () => {
    const { app, type } = installation.startInTerminal(`exec node ${join(repository, 'dist/standalone.js')}`);
    await app.ready(READY);
    const { id } = (await (await installation.submit('send_email', AN_EMAIL)).json()) as JobSeen;
    await installation.until([id], isCompleted, PATIENCE);
    await app.ready(new RegExp(`${id}[^\n]*\n`)); // told after it is on record

    const plain = stripVTControlCharacters(app.output());
    expect(plain).not.toContain('{"time"');
    expect(plain).not.toMatch(/Nest|LOG \[/);
    expect(linesOf(plain)[0]).toMatch(/^\d\d:\d\d:\d\d {2}\S/);
    expect(linesOf(plain).filter((line) => line.includes(id))).toEqual([
      expect.stringMatching(
        /^\d\d:\d\d:\d\d {2}completed {3}send_email {6}\S+ {2}run 1 {2}attempt 1 {2}\d+ ms$/,
      ),
    ]);

    type(CTRL_C);
    expect(await app.exited).toBe(0);
    expect(installation.postgresProcesses()).toEqual([]);
  });

  it('drains when its terminal is closed', async () => {
    const { app } = installation.startInTerminal(
      `PORT=0 exec node ${join(repository, 'dist/standalone.js')}`,
    );
    await app.ready(READY);
    expect(app.output()).toMatch(/on port [1-9]\d+\./);
    const orphans = installation.postgresProcesses();

    await app.kill();
    await allEnded(orphans, 10_000);
    expect(installation.postgresProcesses()).toEqual([]);
  });

  it('starts by `npm start`, and one Ctrl-C ends npm and all below it with code 0', async () => {
    const { app, type } = installation.startInTerminal('exec npm start', repository);
    await app.ready(READY, 240_000); // it builds first
    const ids = await installation.submitMany('demo', 5, { durationMs: 60_000 });
    await installation.until(ids, isActive, PATIENCE);

    type(CTRL_C);
    expect(await app.exited).toBe(0);
    expect(installation.postgresProcesses()).toEqual([]);
    const left = await seenByTheApiAlone(ids);
    expect(left.map(({ status, attemptsMade }) => [status, attemptsMade])).toEqual(
      left.map(() => ['waiting', 0]),
    );
  }, 300_000);
});

function attemptNumbers({ attempts }: JobSeen): number[] {
  return attempts.map(({ number }) => number);
}

/** How the jobs stand between two starts: asked of an API without a worker, on the same data. */
async function seenByTheApiAlone(ids: string[], env: Record<string, string> = {}): Promise<JobSeen[]> {
  const postgres = await EmbeddedPostgres.start(installation.dataDir);
  const port = await freePort();
  const api = startProcess({
    entry: 'main',
    env: { DATABASE_URL: postgres.url, QUEUE_BACKEND: 'postgres', PORT: String(port), ...env },
  });
  try {
    await api.ready(/listening/);
    return await installation.jobs(ids, `http://127.0.0.1:${port}`);
  } finally {
    await api.stop();
    await postgres.stop();
  }
}

/** A job type that never looks at its signal. */
function stubbornExtension(): string {
  const file = join(installation.folder, 'stubborn.mjs');
  writeFileSync(
    file,
    `import { z } from ${JSON.stringify(join(repository, 'node_modules/zod/index.js'))};
     import { JobType, JobTypesModule } from ${JSON.stringify(join(repository, 'dist/extension.js'))};
     class Stubborn { run() { return new Promise((resolve) => setTimeout(resolve, 60_000)); } }
     JobType({ name: 'stubborn', description: 'Never stops.', data: z.strictObject({}), example: {} })(Stubborn);
     export default JobTypesModule.register({ types: [Stubborn] });`,
  );
  return file;
}
