import { Agent, request } from 'node:http';
import { setTimeout as sleep } from 'node:timers/promises';

/** A job that was submitted, and when it was sent, in ms since 1970. */
export interface Arrival {
  id: string;
  at: number;
}

/** Of the moments: the same for everybody, each time. */
const SEED = 12_345;

/**
 * Submits whether or not answers come, so that a slow answer cannot hide the ones behind it ("coordinated omission"); at
 * random moments, as clients that know nothing of each other (Poisson), so that nobody's timers keep step with them.
 * @param rate a second, on the average
 * @throws Error where a request is not accepted
 */
export async function arrivals(url: string, job: object, rate: number, seconds: number): Promise<Arrival[]> {
  const agent = new Agent({ keepAlive: true, maxSockets: 256 });
  const body = Buffer.from(JSON.stringify(job));
  const clock = wallClock();
  const start = clock();
  const count = Math.max(1, Math.round(rate * seconds));

  const sent: Promise<Arrival>[] = [];
  const gap = gaps(1_000 / rate);
  for (let index = 0, due = start; index < count; index++, due += gap()) {
    const early = due - clock();
    if (early > 0) await sleep(early);
    const at = clock();
    sent.push(submit(agent, `${url}/jobs`, body).then((id) => ({ id, at })));
  }
  const arrived = await Promise.all(sent);
  agent.destroy();
  return arrived;
}

/** Exponentially distributed, in ms. */
function gaps(mean: number): () => number {
  let state = SEED;
  return () => {
    state = (state * 48_271) % 0x7fffffff; // Lehmer's generator
    return -Math.log(state / 0x7fffffff) * mean;
  };
}

/** ms since 1970 with their fractions, as PostgreSQL has them: aligned with a tick of the system's clock. */
function wallClock(): () => number {
  const before = Date.now();
  while (Date.now() === before);
  const offset = Date.now() - performance.now();
  return () => offset + performance.now();
}

function submit(agent: Agent, url: string, body: Buffer): Promise<string> {
  return new Promise((resolve, reject) => {
    const headers = { 'content-type': 'application/json', 'content-length': body.length };
    const sent = request(url, { method: 'POST', agent, headers }, (response) => {
      const chunks: Buffer[] = [];
      response.on('data', (chunk: Buffer) => chunks.push(chunk));
      response.on('error', reject);
      response.on('end', () => {
        const text = Buffer.concat(chunks).toString();
        if (response.statusCode !== 202) reject(new Error(`${response.statusCode}: ${text}`));
        else resolve((JSON.parse(text) as { id: string }).id);
      });
    });
    sent.on('error', reject);
    sent.end(body);
  });
}
