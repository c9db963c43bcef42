import { errorText } from '../logging/log-entry.js';

/**
 * Runs an entry point. What stops a start is told in one line (a stack helps nobody who mistyped a variable; with
 * LOG_LEVEL=debug the log has it), and the exit code is 1.
 */
export async function run(start: () => Promise<void>): Promise<void> {
  try {
    await start();
  } catch (error) {
    process.stderr.write(`${error instanceof Error ? errorText(error) : String(error)}\n`);
    process.exit(1);
  }
}
