import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import type { Verdict } from './history.js';

/** Something that a scenario measured, and the bound where there is one. */
export interface Bar {
  what: string;
  holds: boolean;
  seen: string;
  bound?: string;
}

/** One scenario's line in the table. */
export interface Figures {
  name: string;
  backend: string;
  scale: string;
  seed: number;
  versions: { postgres: string; redis?: string };
  faults: number;
  accepted: number;
  seconds: number;
  verdict: Verdict;
  bars: Bar[];
}

/** Where figures lie until the whole run is over: figures-reporter.mjs reads them there. */
const folder = fileURLToPath(new URL('../../../node_modules/.cache/fault-figures', import.meta.url));

export function keepFigures(figures: Figures): void {
  mkdirSync(folder, { recursive: true });
  const file = `${figures.name} ${figures.backend}`.replaceAll(/[^A-Za-z0-9]+/g, '-');
  writeFileSync(join(folder, `${file}.json`), JSON.stringify({ ...figures, at: new Date().toISOString() }));
}

/** As it is printed after each scenario. */
export function tableRow({
  name,
  backend,
  scale,
  faults,
  accepted,
  seconds,
  verdict,
  bars,
}: Figures): string {
  const { lost, stuck, doubled, illegal, rows, effects, attempts, reaped, released, quarantined } = verdict;
  return [
    `| ${name} | ${backend} | scale ${scale} | ${accepted} accepted | ${faults} faults |`,
    `lost/stuck/doubled/illegal ${lost}/${stuck}/${doubled}/${illegal} |`,
    `${rows} rows, ${attempts} attempts, ${effects} effects, ${reaped} reaped, ${released} released, ${quarantined} quarantined |`,
    `${bars.map(({ what, seen, bound }) => `${what} ${seen}${bound ? ` (${bound})` : ''}`).join('; ')} |`,
    `${seconds.toFixed(1)} s |`,
  ].join(' ');
}
