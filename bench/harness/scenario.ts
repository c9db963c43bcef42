import type { Bench } from './bench.js';

export type Unit = '/s' | 'ms' | 'MiB' | 'B';

/** Something that is measured of each contestant, such as `p99` in ms. */
export interface Figure {
  name: string;
  unit: Unit;
}

/** What one contestant did in one round, by the figure's name. */
export type Sample = Record<string, number>;

export interface Contestant {
  name: string;
  /** Left out of `--quick`. */
  slow?: boolean;
  /** From an empty installation to what was measured; leaves no process behind. */
  measure: (bench: Bench) => Promise<Sample>;
}

/** What a contestant should reach: as a ratio to another one in the same round, or by itself. */
export interface Bar {
  figure: string;
  of: string;
  /** Without it the figure itself is held against the bar. */
  against?: string;
  better: 'higher' | 'lower';
  /** Without it the figure is told, and nothing asked of it. */
  bar?: number;
  stretch?: number;
}

/** One question, put to all contestants in turn, round after round. */
export interface Scenario {
  /** Its name on the command line and in file names. */
  key: string;
  title: string;
  /** Markdown: what is done, and what the figures mean. */
  about: string;
  figures: Figure[];
  contestants: Contestant[];
  bars: Bar[];
  /** The figure that the chart shows, if any. */
  charted?: string;
  slow?: boolean;
  /** Where nobody is compared, fewer will do. */
  rounds?: number;
  /** What was found out on the way. */
  note?: string;
  /** Before the first round: warms up, and finds out how much fills a round. */
  prepare?(bench: Bench): Promise<void>;
}
