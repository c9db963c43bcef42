import { setTimeout as sleep } from 'node:timers/promises';
import { childrenOf } from '../support/child.js';
import { startPlatform, type TestPlatform } from '../support/platform.js';

const ENV = {
  PROCESSES: '2',
  DATABASE_POOL_SIZE: '4',
  RATE_LIMIT_PER_MINUTE: '10000',
  SHUTDOWN_GRACE: '500',
};

describe('an API and a worker of several processes', () => {
  let platform: TestPlatform;

  beforeAll(async () => {
    platform = await startPlatform({ apis: 1, workers: 1, env: ENV });
  });

  afterAll(() => platform.stop());

  const api = () => platform.apis[0]!;
  /** How often the processes of an entry point have come up. */
  const ups = (process: { output(): string }, what: 'listening' | 'consuming') =>
    process.output().split(`"${what}"`).length - 1;

  it('share a port, and every process answers', async () => {
    await until(() => ups(api().process, 'listening') === 2);

    // A connection belongs to one process, each of these requests opens one, and each process counts by itself.
    const left: number[] = [];
    for (let n = 0; n < 4; n++) {
      const answer = await fetch(`${api().url}/jobs`, { headers: { connection: 'close' } });
      await answer.arrayBuffer();
      left.push(Number(answer.headers.get('x-ratelimit-remaining')));
    }
    expect(Math.max(...left) - Math.min(...left)).toBeLessThan(left.length - 1);
  });

  it('run jobs side by side, each with its own place among the workers', async () => {
    await until(() => ups(platform.workers[0]!, 'consuming') === 2);
    const { body } = await platform.request<{ items: { pid: number }[] }>('GET', '/workers');

    expect(body.items.map(({ pid }) => pid).sort()).toEqual(childrenOf(platform.workers[0]!.pid).sort());
  });

  it('a process that is killed is replaced, and nothing is lost', async () => {
    const [victim] = childrenOf(platform.workers[0]!.pid);
    await platform.submitMany(
      Array.from({ length: 60 }, () => ({ type: 'demo', data: { durationMs: 100 } })),
    );
    process.kill(victim!, 'SIGKILL');
    process.kill(childrenOf(api().process.pid)[0]!, 'SIGKILL');

    await until(() => ups(platform.workers[0]!, 'consuming') === 3 && ups(api().process, 'listening') === 3);
    expect(platform.workers[0]!.output()).toMatch(/"a process died".*"pid":\d+.*"signal":"SIGKILL"/);
    await platform.untilSql(`SELECT count(*)::int FROM jobs WHERE status = 'completed'`, 60, 40_000);
  });

  it('drain when the one that watches over them is killed', async () => {
    const [worker] = platform.workers;
    const children = childrenOf(worker!.pid);
    const { id } = await platform.submit('demo', { durationMs: 60_000 });
    await platform.untilSql('SELECT count(*)::int FROM dispatch WHERE token IS NOT NULL', 1);

    await worker!.kill();
    await until(() => !children.some(isThere));
    const events = await platform.sql('SELECT kind FROM job_events WHERE job_id = $1', [id]);
    expect(events).toEqual([{ kind: 'released' }]);
    await platform.startWorker();
  });

  it('end together at a signal, with code 0', async () => {
    const worker = platform.workers.at(-1)!;
    const children = [...childrenOf(api().process.pid), ...childrenOf(worker.pid)];

    expect(await Promise.all([api().process.stop(), worker.stop('SIGINT')])).toEqual([0, 0]);
    expect(children.filter(isThere)).toEqual([]);
  });
});

async function until(condition: () => boolean): Promise<void> {
  const deadline = Date.now() + 30_000;
  while (!condition()) {
    if (Date.now() > deadline) throw new Error(`not within 30 s: ${String(condition)}`);
    await sleep(30);
  }
}

function isThere(pid: number): boolean {
  try {
    process.kill(pid, 0);
    return true;
  } catch {
    return false;
  }
}
