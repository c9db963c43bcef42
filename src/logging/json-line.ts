import { errorText, type Fact, type LogEntry } from './log-entry.js';

/** One object a line, for machines. @param verbose adds the stacks of expected errors */
export function jsonLine({ at, level, context, message, facts, stack }: LogEntry, verbose: boolean): string {
  const line: Record<string, unknown> = {
    time: at.toISOString(),
    level: level === 'log' ? 'info' : level,
    context,
    message,
  };
  // The entry's own fields stand first, and no fact replaces them.
  for (const [name, fact] of Object.entries(facts))
    if (!Object.hasOwn(line, name)) line[name] = jsonValue(fact, verbose);
  line['stack'] = stack;
  return JSON.stringify(line);
}

function jsonValue(fact: Fact, verbose: boolean): unknown {
  if (typeof fact === 'bigint') return String(fact);
  if (!(fact instanceof Error)) return fact;

  const code = 'code' in fact ? fact.code : undefined;
  return { name: fact.name, code, message: errorText(fact), stack: verbose ? fact.stack : undefined };
}
