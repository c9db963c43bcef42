import { errorText, type Fact, type LogEntry } from './log-entry.js';

const COLOURS = { debug: 90, log: 32, warn: 33, error: 31, fatal: 31 };
const DIM = 90;

export interface PrettyOptions {
  colours: boolean;
  /** Adds the stacks of expected errors. */
  verbose: boolean;
}

/** `12:00:01  completed   send_email      <job id>  run 1  attempt 1  34 ms`: one short line, for people. */
export function prettyLine(entry: LogEntry, { colours, verbose }: PrettyOptions): string {
  const paint = (colour: number, text: string) =>
    colours && text ? `\u001b[${colour}m${text}\u001b[39m` : text;
  const colour = COLOURS[entry.level];
  const { type, jobId, ...others } = entry.facts;

  const parts = [
    paint(DIM, entry.at.toTimeString().slice(0, 8)),
    paint(colour, entry.level === 'log' ? '' : entry.level),
    paint(colour, oneLine(entry.message).padEnd(10)),
    type === undefined ? '' : value(type).padEnd(14),
    value(jobId),
    ...Object.entries(others).map(([name, fact]) => namedFact(name, fact)),
    entry.level === 'log' ? '' : paint(DIM, entry.context ?? ''),
  ];
  const line = parts.filter(Boolean).join('  ').trimEnd();

  return [line, ...stacks(entry, verbose).map((stack) => paint(DIM, stack))].join('\n');
}

function namedFact(name: string, fact: Fact): string {
  if (fact === undefined || fact === null) return '';
  if (name === 'durationMs') return `${value(fact)} ms`;
  return fact instanceof Error ? value(fact) : `${name} ${value(fact)}`;
}

function value(fact: Fact): string {
  if (fact === undefined || fact === null) return '';
  if (fact instanceof Date) return fact.toISOString();
  return oneLine(fact instanceof Error ? errorText(fact) : String(fact));
}

/** Messages of foreign errors may hold line breaks, and control codes that a terminal would obey. */
function oneLine(text: string): string {
  return text.replace(/\p{Cc}+/gu, ' ');
}

function stacks({ stack, facts }: LogEntry, verbose: boolean): string[] {
  const expected = Object.values(facts).map((fact) =>
    verbose && fact instanceof Error ? fact.stack : undefined,
  );
  return [stack, ...expected]
    .filter((text) => text !== undefined)
    .map((text) => text.replace(/[^\P{Cc}\n]+/gu, ' '));
}
