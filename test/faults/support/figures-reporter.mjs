import { existsSync, mkdirSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { cpus } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { format } from 'prettier';

const root = fileURLToPath(new URL('../../..', import.meta.url));
const folder = join(root, 'node_modules/.cache/fault-figures');
const page = join(root, 'docs/reliability.md');
const [BEGIN, END] = ['<!-- figures: written by `npm run test:faults` -->', '<!-- end of figures -->'];

/** Writes what the scenarios have measured into docs/reliability.md, once the full run is over. */
export default class FiguresReporter {
  constructor(config) {
    this.wholeSuite = config.testPathPatterns.patterns.length === 0 && !config.testNamePattern;
  }

  onRunStart() {
    rmSync(folder, { recursive: true, force: true });
    mkdirSync(folder, { recursive: true });
  }

  async onRunComplete() {
    if (process.env.FAULTS !== 'full' || !existsSync(page)) return;
    const rows = readdirSync(folder)
      .sort()
      .map((file) => JSON.parse(readFileSync(join(folder, file), 'utf8')))
      .filter(({ scale }) => scale === 'full');
    const text = readFileSync(page, 'utf8');
    const [before, rest] = text.split(BEGIN);
    const after = rest?.split(END)[1];
    if (after === undefined) throw new Error(`${page} has no place for the figures`);

    // A part of the suite replaces its own rows alone.
    const kept = this.wholeSuite ? [] : linesIn(rest);
    const lines = new Map([...kept, ...rows.map(line)].map((each) => [subjectOf(each), each]));
    const block = `${BEGIN}\n\n${about(rows, lines.size)}\n\n${table([...lines.values()])}\n\n${END}`;
    writeFileSync(page, await format(before + block + after, { parser: 'markdown', printWidth: 110 }));
  }
}

function about(rows, count) {
  const versions = rows[0]?.versions ?? {};
  const [cpu] = cpus();
  return `${cpus().length} cores (${cpu?.model.trim() ?? 'unknown'}), Node ${process.version}, PostgreSQL ${versions.postgres ?? '?'} with \`fsync=off\`, Redis ${rows.find(({ versions: { redis } }) => redis)?.versions.redis ?? '?'}. ${count} scenarios; the four counts are lost / stuck / doubled / illegal.`;
}

function table(lines) {
  const head =
    '| fault | queue | accepted | faults | counts | beside it | took | day, seed |\n| --- | --- | --- | --- | --- | --- | --- | --- |';
  return [head, ...lines.sort()].join('\n');
}

/** The rows of a table, without its head and the line below that. */
function linesIn(block) {
  return block
    .split(END)[0]
    .split('\n')
    .filter((each) => each.startsWith('|'))
    .slice(2);
}

/** A fault on a queue has one line. */
function subjectOf(tableLine) {
  const [, fault, queue] = tableLine.split('|');
  return `${fault.trim()}|${queue.trim()}`;
}

function line({ name, backend, accepted, faults, verdict, bars, seconds, at, seed }) {
  const counts = ['lost', 'stuck', 'doubled', 'illegal'].map((kind) => verdict[kind]).join(' / ');
  const beside = bars.map(
    ({ what, seen, bound, holds }) =>
      `${what}: ${seen}${bound && bound !== seen ? ` (${bound})` : ''}${holds ? '' : ' **broken**'}`,
  );
  const cells = [
    name,
    backend,
    accepted,
    faults,
    counts,
    beside.join('; '),
    `${Math.round(seconds)} s`,
    `${at.slice(0, 10)}, ${seed}`,
  ];
  return `| ${cells.map((cell) => String(cell).replaceAll('|', '\\|')).join(' | ')} |`;
}
