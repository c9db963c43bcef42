import { errorText, type Fact, type LogEntry } from './log-entry.js';

/** One object a line, for machines. @param verbose adds the stacks of expected errors */
export function jsonLine({ at, level, context, message, facts, stack }: LogEntry, verbose: boolean): string {
  const own = { time: at.toISOString(), level: level === 'log' ? 'info' : level, context, message };
  const values = Object.entries(facts).map(([name, fact]) => [name, jsonValue(fact, verbose)] as const);

  // The entry's own fields stand first, and no fact replaces them.
  return JSON.stringify({ ...own, ...Object.fromEntries(values), ...own, stack });
}

function jsonValue(fact: Fact, verbose: boolean): unknown {
  if (typeof fact === 'bigint') return String(fact);
  if (!(fact instanceof Error)) return fact;

  const code = 'code' in fact ? fact.code : undefined;
  return { name: fact.name, code, message: errorText(fact), stack: verbose ? fact.stack : undefined };
}
