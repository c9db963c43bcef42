import { mkdirSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import type { Machine } from './machine.js';
import type { Bar, Figure, Sample, Scenario } from './scenario.js';

const folder = fileURLToPath(new URL('../results', import.meta.url));

/** What a scenario came to: all that the page tells of it. */
export interface Result extends Pick<Scenario, 'key' | 'title' | 'about' | 'note' | 'charted'> {
  figures: Figure[];
  bars: Bar[];
  /** By contestant: a sample a round, in the rounds' order. */
  samples: Record<string, Sample[]>;
  seconds: number;
  machine: Machine;
}

/** Kept with the sources, so that a part of them can be measured again, wherever. */
export function keepResult(result: Result): void {
  mkdirSync(folder, { recursive: true });
  writeFileSync(join(folder, `${result.key}.json`), `${JSON.stringify(result, undefined, 1)}\n`);
}

export function forgetResults(): void {
  rmSync(folder, { recursive: true, force: true });
}

/** @param keys of the scenarios, in the page's order */
export function keptResults(keys: readonly string[]): Result[] {
  mkdirSync(folder, { recursive: true });
  const there = new Set(readdirSync(folder));
  return keys.flatMap((key) => {
    const name = `${key}.json`;
    return there.has(name) ? [JSON.parse(readFileSync(join(folder, name), 'utf8')) as Result] : [];
  });
}

/** One figure of a contestant, round by round; nothing where it has none. */
export function valuesOf({ samples }: Result, contestant: string, figure: string): number[] {
  return (samples[contestant] ?? []).flatMap((sample) => sample[figure] ?? []);
}
