import { readFileSync, writeFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { format } from 'prettier';
import { chart } from './chart.js';
import type { Machine } from './machine.js';
import { POSTGRES_SETTINGS, REDIS_SETTINGS } from './bench.js';
import { type Result, valuesOf } from './results.js';
import type { Unit } from './scenario.js';
import { spreadOf } from './statistics.js';
import { type Verdict, verdictsOf } from './verdict.js';

const docs = new URL('../../docs/', import.meta.url);
const page = fileURLToPath(new URL('benchmarks.md', docs));
const image = fileURLToPath(new URL('images/benchmarks.svg', docs));

/** Writes what was measured into the page, between its marks, and the chart beside it. */
export async function writePage(results: readonly Result[]): Promise<void> {
  writeFileSync(image, chart(results));
  await replaceBetween('figures', figuresOf(results));
}

/** @param name of the marks @param text Markdown */
export async function replaceBetween(name: string, text: string): Promise<void> {
  const [begin, end] = [`<!-- ${name}: written by \`npm run bench\` -->`, `<!-- end of ${name} -->`];
  const [before, rest] = readFileSync(page, 'utf8').split(begin);
  const after = rest?.split(end)[1];
  if (before === undefined || after === undefined) throw new Error(`${page} has no place for the ${name}`);

  const whole = `${before}${begin}\n\n${text}\n\n${end}${after}`;
  writeFileSync(page, await format(whole, { parser: 'markdown', printWidth: 110 }));
}

/** The tables alone, as Markdown. */
export function figuresOf(results: readonly Result[]): string {
  return [
    ...(results[0] ? [about(results[0].machine)] : []),
    '![Medians of the rounds, with the least and the most](images/benchmarks.svg)',
    '### Bars',
    'The median of the ratios of paired rounds, or of the figure itself, with the least and the most. Where no bar stands, it is measured and told.',
    barTable(results),
    ...results.flatMap(section),
  ].join('\n\n');
}

function about({ cpu, cores, memoryGiB, system, node, postgres, redis, packages }: Machine): string {
  const settings = (of: Record<string, string>): string =>
    Object.entries(of)
      .map(([name, value]) => `\`${name} ${value}\``)
      .join(', ');
  const versions = Object.entries(packages).map(([name, version]) => `${name} ${version}`);
  return `${cores} cores (${cpu}), ${memoryGiB} GiB, ${system}; servers, contestants and clients share them. Node ${node}; PostgreSQL ${postgres} with ${settings(POSTGRES_SETTINGS)}; Redis ${redis} with \`appendonly yes\`, ${settings(REDIS_SETTINGS)}; ${versions.join(', ')}.`;
}

function barTable(results: readonly Result[]): string {
  const head = '| what | reached | bar | stretch | met |\n| --- | --- | --- | --- | --- |';
  const rows = results.flatMap((result) => verdictsOf(result).map((verdict) => barRow(result, verdict)));
  return [head, ...rows].join('\n');
}

function barRow({ title, figures: known }: Result, verdict: Verdict): string {
  const { figure, of, against, better, reached, bar, stretch } = verdict;
  const unit = against === undefined ? known.find(({ name }) => name === figure)?.unit : undefined;
  const shown = (value: number): string => (unit ? inUnit(value, unit) : `${value.toFixed(2)} ×`);
  const asked = (value: number | undefined): string =>
    value === undefined ? '' : `${better === 'higher' ? '≥' : '≤'} ${unit ? inUnit(value, unit) : value}`;
  const what = `${title}: ${figure}, ${of}${against === undefined ? '' : ` / ${against}`}`;
  const spread = `**${shown(reached.median)}** (${shown(reached.min)} to ${shown(reached.max)})`;
  return `| ${what} | ${spread} | ${asked(bar)} | ${asked(stretch)} | ${met(verdict)} |`;
}

function met({ met: bar, stretched }: Verdict): string {
  if (stretched) return bar === undefined ? 'stretch' : 'bar and stretch';
  if (bar === undefined) return stretched === false ? '**no**' : '';
  return bar ? 'bar' : '**no**';
}

function section(result: Result): string[] {
  const { title, about: text, note, samples, seconds, machine } = result;
  const rounds = Math.max(...Object.values(samples).map(({ length }) => length));
  const busy =
    machine.load >= 1 ? ` The machine had other work: a load of ${machine.load.toFixed(1)} just before.` : '';
  const run = `${rounds} rounds of ${seconds} s, ${machine.date}, the source as of ${machine.source}.${busy}`;
  const told = [text.replaceAll('\n', ' '), note, run].filter(Boolean).join(' ');
  return [`### ${title}`, told, sampleTable(result)];
}

function sampleTable(result: Result): string {
  const names = Object.keys(result.samples);
  const shown = result.figures.filter(({ name }) =>
    names.some((who) => valuesOf(result, who, name).length > 0),
  );
  const head = `| | ${shown.map(({ name, unit }) => `${name} (${unit})`).join(' | ')} |`;
  const rows = names.map((who) => {
    const cells = shown.map(({ name, unit }) => {
      const values = valuesOf(result, who, name);
      if (values.length === 0) return '';
      const { median, min, max } = spreadOf(values);
      return `${number(median, unit)} (${number(min, unit)} to ${number(max, unit)})`;
    });
    return `| ${who} | ${cells.join(' | ')} |`;
  });
  return [head, `| --- |${' --- |'.repeat(shown.length)}`, ...rows].join('\n');
}

function inUnit(value: number, unit: Unit): string {
  return unit === '/s' ? `${number(value, unit)}/s` : `${number(value, unit)} ${unit}`;
}

function number(value: number, unit: Unit): string {
  if (unit === 'ms' && Math.abs(value) < 100) return value.toFixed(1);
  return Math.round(value).toLocaleString('en-US');
}
