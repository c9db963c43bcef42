import { randomUUID } from 'node:crypto';
import { Agent, request } from 'node:http';
import { setTimeout as sleep } from 'node:timers/promises';
import { startPlatform, type TestPlatform } from '../support/platform.js';

interface Seen {
  status: number;
  replayed: boolean;
  text: string;
}

describe('idempotency keys over two APIs', () => {
  let platform: TestPlatform;
  const agent = new Agent({ keepAlive: true, maxSockets: 100 });

  beforeAll(async () => {
    platform = await startPlatform({ apis: 2, workers: 1 });
  });
  afterAll(async () => {
    agent.destroy();
    await platform?.stop();
  });

  const jobOf = (key: string) => ({ type: 'demo', data: { durationMs: 0, result: key } });
  const idIn = ({ text }: Seen) => (JSON.parse(text) as { id: string }).id;
  const newKeys = (count: number): string[] => Array.from({ length: count }, () => randomUUID());
  const rowsOf = (keys: readonly string[]) =>
    platform.value<number>(`SELECT count(*)::int FROM jobs WHERE data->>'result' = ANY ($1)`, [keys]);

  /**
   * To the n-th API, and round again. Node's plain client: `fetch` opens a connection a request.
   * @param patience ms until the client hangs up
   */
  function send(n: number, key: string, job: unknown = jobOf(key), patience = 60_000): Promise<Seen> {
    const body = JSON.stringify(job);
    const url = `${platform.apis[n % 2]?.url}/jobs`;
    const headers = {
      'Content-Type': 'application/json',
      'Content-Length': Buffer.byteLength(body),
      'Idempotency-Key': `"${key}"`,
    };
    return new Promise((resolve, reject) => {
      const sent = request(url, { method: 'POST', headers, agent }, (response) => {
        let text = '';
        response.setEncoding('utf8').on('data', (chunk: string) => (text += chunk));
        response.on('error', reject).on('end', () => {
          const replayed = response.headers['idempotency-replayed'] === 'true';
          resolve({ status: response.statusCode ?? 0, replayed, text });
        });
      });
      const hangUp = setTimeout(() => sent.destroy(new Error('hung up')), patience);
      sent.on('error', reject).on('close', () => clearTimeout(hangUp));
      sent.end(body);
    });
  }

  it('make 20 jobs of 100 requests at the same time for each of 20 keys', async () => {
    const keys = newKeys(20);

    const answers = await Promise.all(
      Array.from({ length: 2_000 }, (_, n) => send(Math.floor(n / 20), keys[n % 20] ?? '')),
    );

    expect(new Set(answers.map(({ status }) => status))).toEqual(new Set([202]));
    expect(new Set(answers.map(({ text }) => text)).size).toBe(20);
    expect(answers.filter(({ replayed }) => !replayed)).toHaveLength(20);
    expect(await rowsOf(keys)).toBe(20);
    await Promise.all(answers.slice(0, 20).map((answer) => platform.until(idIn(answer), 'completed')));
  });

  it('answer at the second API with what the first one has accepted, and refuse another request', async () => {
    const key = randomUUID();
    const first = await send(0, key);
    await platform.until(idIn(first), 'completed');

    expect(await send(1, key)).toEqual({ ...first, replayed: true });
    expect(await send(1, key, jobOf('another'))).toMatchObject({ status: 422 });
  });

  it('make one job each of requests that are sent until they are accepted, while clients hang up and PostgreSQL crashes', async () => {
    const keys = newKeys(200);
    let tries = 0;
    let lost = 0;

    const untilAccepted = async (key: string) => {
      for (let n = 0; ; n++) {
        tries++;
        const answer = await send(n, key, jobOf(key), n === 0 ? 3 : undefined).catch(() => undefined);
        if (answer?.status === 202) {
          if (answer.replayed) lost++;
          return answer;
        }
        expect(answer?.status ?? 503).toBe(503);
        await sleep(50);
      }
    };
    const crashTwice = async () => {
      for (let time = 0; time < 2; time++) {
        await sleep(200);
        await platform.postgres.kill();
        await platform.postgres.start();
      }
    };
    const crashes = crashTwice();
    const answers = await Promise.all(keys.map((key, n) => sleep(n * 5).then(() => untilAccepted(key))));
    await crashes;

    process.stdout.write(`200 keys: ${tries} tries; ${lost} had been accepted when the answer was lost\n`);
    expect(lost).toBeGreaterThan(0);
    expect(new Set(answers.map(idIn)).size).toBe(200);
    const stored = (await platform.listAll('type=demo&limit=200')).filter(({ data }) =>
      keys.includes((data as { result: string }).result),
    );
    expect(stored).toHaveLength(200);
  });
});
