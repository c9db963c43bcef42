import { startEntry, storesOf } from '../support/entry.js';
import { type JobView, startPlatform, type TestPlatform } from '../support/platform.js';
import { freePort } from '../support/ports.js';
import { startSmtpSink } from '../support/smtp-sink.js';

const HOUR = 3_600_000;

/** A platform on which there is something to see: a job in every state. */
export interface Scene {
  platform: TestPlatform;
  jobs: {
    email: JobView;
    /** Completed on its third attempt. */
    retried: JobView;
    failed: JobView;
    /** Its first attempt has failed, the second is in an hour. */
    backingOff: JobView;
    delayed: JobView;
    active: JobView;
    waiting: JobView;
  };
  /** Starts a dashboard process on the same stores. @returns its URL */
  startDashboard(env: Record<string, string>): Promise<string>;
  stop(): Promise<void>;
}

/** @param env for every process of the platform, beside what it needs */
export async function startScene(env: Record<string, string> = {}): Promise<Scene> {
  const sink = await startSmtpSink();
  const platform = await startPlatform({ env: { SMTP_URL: sink.url, WORKER_QUEUES: 'default:2', ...env } });
  const stop = async () => void (await Promise.all([platform.stop(), sink.stop()]));
  try {
    const jobs = await populate(platform);
    return { platform, jobs, startDashboard: (env) => startDashboard(platform, env), stop };
  } catch (error) {
    await stop();
    throw error;
  }
}

async function populate(platform: TestPlatform): Promise<Scene['jobs']> {
  const email = (to: string, subject: string, options = {}) =>
    platform.submit('send_email', { to: `${to}@example.com`, subject, body: 'Welcome!' }, options);
  const demo = (data: object, options = {}) => platform.submit('demo', data, options);
  const backoff = (delay: number) => ({ kind: 'fixed', delay });

  const [first, ...others] = await Promise.all(
    ['ada', 'grace', 'edsger', 'barbara', 'donald'].map((to) => email(to, 'Your account is ready')),
  );
  const retried = await demo(
    { durationMs: 300, steps: 3, failAttempts: 2, result: { answer: 42 } },
    { attempts: 3, backoff: backoff(50) },
  );
  const failed = await demo(
    { durationMs: 100, steps: 2, failAttempts: 9 },
    { attempts: 2, backoff: backoff(50) },
  );
  const backingOff = await demo({ durationMs: 0, failAttempts: 1 }, { attempts: 3, backoff: backoff(HOUR) });
  const delayed = await email('alan', 'How was your first hour?', { delay: HOUR });
  await Promise.all([first, ...others].map((job) => platform.until(job?.id ?? '', 'completed')));
  const ended = {
    email: await platform.until(first?.id ?? '', 'completed'),
    retried: await platform.until(retried.id, 'completed'),
    failed: await platform.until(failed.id, 'failed'),
    backingOff: await platform.until(backingOff.id, 'delayed'),
    delayed,
  };

  // From here on both places of the worker are taken.
  const [active] = await platform.submitMany(
    [100, 50].map((steps) => ({ type: 'demo', data: { durationMs: 600_000, steps } })),
  );
  await platform.untilSql('SELECT count(*)::int FROM dispatch WHERE token IS NOT NULL', 2);
  const waiting = await email('tim', 'Your account is ready');
  await platform.untilSql(
    'SELECT count(*)::int FROM dispatch WHERE pushed_at IS NOT NULL AND token IS NULL',
    1,
  );
  return { ...ended, active: await platform.job(active?.id ?? ''), waiting };
}

async function startDashboard(platform: TestPlatform, env: Record<string, string>): Promise<string> {
  const port = await freePort();
  const dashboard = startEntry('dashboard', { ...(await storesOf(platform)), ...env, PORT: String(port) });
  await dashboard.ready(/"listening"/);
  return `http://127.0.0.1:${port}`;
}
