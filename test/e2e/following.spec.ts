import { setTimeout as sleep } from 'node:timers/promises';
import { buildLedger } from '../support/extension.js';
import { type JobView, startPlatform, type TestPlatform } from '../support/platform.js';

interface StreamEvent {
  event: string;
  id: string;
  data: Record<string, unknown>;
}

describe('following a job', () => {
  let platform: TestPlatform;

  beforeAll(async () => {
    platform = await startPlatform({ apis: 2, env: { EXTENSIONS: buildLedger(), WORKER_CONCURRENCY: '10' } });
  });
  afterAll(() => platform?.stop());

  /** Reads a stream to its end, or as many events as are wanted. */
  async function events(id: string, lastEventId?: string, most = Infinity): Promise<StreamEvent[]> {
    const gone = new AbortController();
    const response = await fetch(`${platform.url}/jobs/${id}/events`, {
      headers: lastEventId === undefined ? {} : { 'Last-Event-ID': lastEventId },
      signal: gone.signal,
    });
    expect(response.headers.get('content-type')).toBe('text/event-stream; charset=utf-8');
    const seen: StreamEvent[] = [];
    let rest = '';
    for await (const chunk of response.body!.pipeThrough(new TextDecoderStream())) {
      rest += chunk;
      const blocks = rest.split('\n\n');
      rest = blocks.pop() ?? '';
      seen.push(...blocks.filter((block) => block.includes('event: ')).map(parsed));
      if (seen.length >= most) break;
    }
    gone.abort();
    return seen.slice(0, most);
  }

  describe('by its events', () => {
    it('tells of its states, its progress, every line, and its end', async () => {
      const { id } = await platform.submit(
        'demo',
        { durationMs: 1_500, steps: 3, result: 'done' },
        { delay: 600 },
      );

      const seen = await events(id);

      const of = (event: string) => seen.filter((each) => each.event === event).map(({ data }) => data);
      expect(of('state')[0]).toEqual({ status: 'delayed', run: 1, attemptsMade: 0, progress: null });
      expect(of('state').map(({ status }) => status)).toContain('active');
      expect(of('state').at(-1)).toMatchObject({
        status: 'completed',
        attemptsMade: 1,
        progress: { percent: 100 },
      });
      expect(of('log').map(({ line }) => line)).toEqual(await platform.logs(id));
      expect(of('log').length).toBeGreaterThan(0);
      expect(of('end')).toEqual([
        { status: 'completed', result: 'done', error: null, finishedAt: (await platform.job(id)).finishedAt },
      ]);
      expect(seen.at(-1)?.event).toBe('end');
    });

    it('goes on after the line that was seen last', async () => {
      const { id } = await platform.submit('demo', { durationMs: 0, steps: 5 });
      await platform.until(id, 'completed');
      const all = await events(id);
      const lines = all.filter(({ event }) => event === 'log');
      expect(lines.length).toBeGreaterThan(2);

      const rest = await events(id, lines[1]?.id);

      expect(rest).toEqual([...lines.slice(2), ...all.slice(lines.length)]);
      expect((await events(id, all.at(-1)?.id)).map(({ event }) => event)).toEqual(['state', 'end']);
    });

    it('takes nothing that a job says for a field of the stream', async () => {
      const hostile = 'a\n\nevent: end\ndata: {}\r\rid: 9\u2028retry: 0';
      const { id } = await platform.submit('demo', { durationMs: 0, result: hostile });

      const seen = await events(id);

      expect(seen.filter(({ event }) => event === 'end').map(({ data }) => data['result'])).toEqual([
        hostile,
      ]);
    });

    it.each(['1\t2', '-1', 'x', '9'.repeat(30)])('refuses the Last-Event-ID %j', async (lastEventId) => {
      const { id } = await platform.submit('demo', { durationMs: 0 });

      const { status, body } = await platform.request<{ errors: { path: string }[] }>(
        'GET',
        `/jobs/${id}/events`,
        undefined,
        { 'Last-Event-ID': lastEventId },
      );

      expect(status).toBe(400);
      expect(body.errors.map(({ path }) => path)).toEqual(['Last-Event-ID']);
    });

    it('answers 404 where there is no job', async () => {
      expect(
        (await platform.request('GET', '/jobs/01890000-0000-7000-8000-000000000000/events')).status,
      ).toBe(404);
    });
  });

  describe('by a long poll', () => {
    it('answers once the job is over', async () => {
      const { id } = await platform.submit('demo', { durationMs: 1_000, result: 7 });

      const since = performance.now();
      const { body } = await platform.request<JobView>('GET', `/jobs/${id}?wait=20`);

      expect(body).toMatchObject({ status: 'completed', result: 7, attempts: [{ outcome: 'completed' }] });
      expect(performance.now() - since).toBeLessThan(5_000);
    });

    it('answers how it stands when the time is over', async () => {
      const { id } = await platform.submit('demo', { durationMs: 0 }, { delay: 60_000 });

      const since = performance.now();
      const { status, body } = await platform.request<JobView>('GET', `/jobs/${id}?wait=1`);

      expect([status, body.status]).toEqual([200, 'delayed']);
      expect(performance.now() - since).toBeGreaterThan(950);
    });

    it.each(['0', '61', '1.5', 'x', ''])('refuses to wait %j seconds', async (wait) => {
      const { id } = await platform.submit('demo', { durationMs: 0 });
      expect((await platform.request('GET', `/jobs/${id}?wait=${wait}`)).status).toBe(400);
    });

    it('is for many at the same time', async () => {
      const jobs = await platform.submitMany(
        Array.from({ length: 100 }, () => ({
          type: 'demo',
          data: { durationMs: 0 },
          options: { delay: 2_000 },
        })),
      );

      const answers = await Promise.all(
        jobs.map(({ id }) => platform.request<JobView>('GET', `/jobs/${id}?wait=20`)),
      );

      expect(answers.map(({ body }) => body.status)).toEqual(jobs.map(() => 'completed'));
    });
  });

  it('does not keep an API from ending', async () => {
    const [, api] = platform.apis;
    const { id } = await platform.submit('demo', { durationMs: 0 }, { delay: 60_000 });
    const waiting = fetch(`${api!.url}/jobs/${id}?wait=60`);
    const stream = await fetch(`${api!.url}/jobs/${id}/events`);
    await sleep(500);

    const since = performance.now();
    expect(await api!.process.stop()).toBe(0);

    expect(performance.now() - since).toBeLessThan(8_000);
    expect(await (await waiting).json()).toMatchObject({ id, status: 'delayed' });
    expect(await stream.text()).not.toContain('event: end');
  });
});

function parsed(block: string): StreamEvent {
  const fields = block.split('\n').map((line) => line.split(/: (.*)/s));
  const field = (name: string): string => {
    const found = fields.filter(([key]) => key === name);
    expect(found).toHaveLength(1);
    return found[0]?.[1] ?? '';
  };
  return {
    event: field('event'),
    id: field('id'),
    data: JSON.parse(field('data')) as Record<string, unknown>,
  };
}
