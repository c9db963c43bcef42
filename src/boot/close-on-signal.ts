/** Whatever hangs, the process ends: `docker stop` and systemd kill after 10 s or more. */
const LONGEST_CLOSE = 9_500;

/**
 * SIGINT and SIGTERM drain and end the process with code 0. A second one ends it at once; so does a close that takes too
 * long. Nest's own shutdown hooks would raise the signal again, and the code would not be 0.
 */
export function closeOnSignal(close: () => Promise<void>): void {
  let closing = false;
  const end = (signal: NodeJS.Signals) => {
    if (closing) process.exit(signal === 'SIGINT' ? 130 : 143);
    closing = true;
    setTimeout(() => process.exit(1), LONGEST_CLOSE).unref();
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
}
