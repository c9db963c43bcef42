/**
 * The line of a PostgreSQL program's output that says why it ended: its last error, else its last line.
 * Refusals of clients that came too early ("the database system is starting up") say nothing.
 */
export function tellingLine(output: string): string {
  const lines = output.trim().split('\n');
  const says = lines.filter((line) => !/FATAL:\s+the database system is /.test(line));
  const telling = says.findLast((line) => /FATAL:|PANIC:|error:/.test(line)) ?? says.at(-1) ?? '';
  return telling.replace(/^.*(FATAL|PANIC|error):\s*/, '').trim() || 'no reason given';
}
