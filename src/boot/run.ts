/**
 * Runs an entry point. What stops a start is told in one line (a stack helps nobody who mistyped a variable; LOG_LEVEL=debug
 * adds it), and the exit code is 1.
 */
export async function run(start: () => Promise<void>, debug = false): Promise<void> {
  try {
    await start();
  } catch (error) {
    process.stderr.write(`${linesOf(error, debug)}\n`);
    process.exit(1);
  }
}

function linesOf(error: unknown, debug: boolean): string {
  if (!(error instanceof Error)) return String(error);
  return debug && error.stack ? error.stack : error.message;
}
