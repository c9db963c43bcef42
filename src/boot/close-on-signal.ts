import type { AppConfig } from '../config/app-config.js';

/** What closing takes beyond the grace that running jobs get, at the worst (ms). */
const BEYOND_GRACE = 4_500;
/** npm passes a signal on that the terminal has sent to this process as well: so soon it is no second Ctrl-C. */
const SAME_SIGNAL = 500;

/** As a shell tells the signal that ended a process. */
const EXIT_CODES = { SIGHUP: 129, SIGINT: 130, SIGTERM: 143 };

/**
 * SIGINT, SIGTERM and a closed terminal drain and end the process with code 0. A second signal ends it at once; so does a
 * close that hangs. Nest's own shutdown hooks would raise the signal again, and the code would not be 0.
 * @returns aborted as soon as the first signal comes
 */
export function closeOnSignal(
  { worker }: Pick<AppConfig, 'worker'>,
  close: () => Promise<void>,
): AbortSignal {
  const first = new AbortController();
  let since = 0;
  const end = (signal: keyof typeof EXIT_CODES) => {
    if (first.signal.aborted) {
      if (performance.now() - since > SAME_SIGNAL) process.exit(EXIT_CODES[signal]);
      return;
    }
    since = performance.now();
    first.abort();
    setTimeout(() => process.exit(1), worker.shutdownGrace + BEYOND_GRACE).unref();
    close().then(
      () => process.exit(0),
      (error: unknown) => {
        process.stderr.write(`Shutdown failed: ${error instanceof Error ? error.message : String(error)}\n`);
        process.exit(1);
      },
    );
  };
  process.on('SIGINT', end);
  process.on('SIGTERM', end);
  process.on('SIGHUP', end);

  // A terminal that is gone refuses what is written, and that must not end what is draining.
  process.stdout.on('error', () => undefined);
  process.stderr.on('error', () => undefined);
  return first.signal;
}
