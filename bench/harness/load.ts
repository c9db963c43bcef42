import type { Bench, BenchOptions } from './bench.js';

export interface Target {
  url: string;
  /** Sent in turn. With `copies` the body is a bulk of so many of it. */
  requests: { method: 'GET' | 'POST'; path: string; body?: object; copies?: number }[];
  connections: number;
}

/** What the connections saw while they were measured. Times in ms. */
export interface Seen {
  answers: number;
  seconds: number;
  p50: number;
  p99: number;
  /** What the client itself took of the processors. */
  cpuSeconds: number;
  /** Those of the warm-up. */
  answersBefore: number;
}

/** Each connection sends its next request as soon as the last one is answered. @throws Error where one is refused */
export async function load(
  bench: Bench,
  target: Target,
  { warmUp, seconds }: Pick<BenchOptions, 'warmUp' | 'seconds'> = bench.options,
): Promise<Seen> {
  const output = await bench.output('harness/load.mjs', [JSON.stringify({ ...target, warmUp, seconds })]);
  return JSON.parse(output.trim().split('\n').at(-1) ?? '') as Seen;
}

/**
 * Every accepted request must have left its rows. When time is up, each connection may have one under way, in the warm-up
 * and in the measurement: those may have left theirs too.
 * @throws Error where rows are missing, or too many
 */
export function assertOnRecord(
  rows: number,
  { answers, answersBefore }: Seen,
  { connections }: Target,
  jobsARequest = 1,
): void {
  const accepted = (answers + answersBefore) * jobsARequest;
  const underWay = 2 * connections * jobsARequest;
  if (rows < accepted || rows > accepted + underWay)
    throw new Error(`${accepted} jobs were accepted, and ${rows} are on record`);
}
