import type { LoggerService } from '@nestjs/common';
import type { AppConfig } from '../config/app-config.js';
import { jsonLine } from './json-line.js';
import { toEntry, type Level, type LogEntry } from './log-entry.js';
import { prettyLine } from './pretty-line.js';

const SEVERITY = { debug: 0, log: 1, warn: 2, error: 3, fatal: 4 };

/** What the framework tells of itself at every start. Its warnings and errors are kept. */
const CHATTER = new Set([
  'BullModule',
  'InstanceLoader',
  'MiddlewareModule',
  'NestApplication',
  'NestApplicationContext',
  'NestFactory',
  'RouterExplorer',
  'RoutesResolver',
  'TypeOrmModule',
]);

export type AppLoggerOptions = AppConfig['log'] & {
  /** Where finished lines go; stdout where it is not given. */
  write?: (line: string) => void;
  /** Only for `pretty`; by default where stdout is a terminal that has them, and NO_COLOR is not set. */
  colours?: boolean;
};

/** Writes facts, one line an event: JSON for machines, short aligned lines for people. */
export class AppLogger implements LoggerService {
  readonly #level: AppConfig['log']['level'];
  readonly #render: (entry: LogEntry) => string;
  readonly #write: (line: string) => void;

  constructor({ level, format, write = toStdout, colours = stdoutHasColours() }: AppLoggerOptions) {
    const verbose = level === 'debug';
    this.#level = level;
    this.#write = write;
    this.#render = (entry) =>
      format === 'json' ? jsonLine(entry, verbose) : prettyLine(entry, { colours, verbose });
  }

  verbose(message: unknown, ...params: unknown[]): void {
    this.add('debug', message, params);
  }

  debug(message: unknown, ...params: unknown[]): void {
    this.add('debug', message, params);
  }

  log(message: unknown, ...params: unknown[]): void {
    this.add('log', message, params);
  }

  warn(message: unknown, ...params: unknown[]): void {
    this.add('warn', message, params);
  }

  error(message: unknown, ...params: unknown[]): void {
    this.add('error', message, params);
  }

  fatal(message: unknown, ...params: unknown[]): void {
    this.add('fatal', message, params);
  }

  private add(level: Level, message: unknown, params: unknown[]): void {
    if (SEVERITY[level] < SEVERITY[this.#level]) return;

    const entry = toEntry(level, message, params);
    if (SEVERITY[level] < SEVERITY.warn && CHATTER.has(entry.context ?? '')) return;
    this.#write(this.#render(entry));
  }
}

let held = '';

/** Lines of one turn of the event loop go out in one write: each would be a system call that the whole process waits for. */
function toStdout(line: string): void {
  if (held === '') {
    process.once('exit', release);
    setImmediate(release);
  }
  held += `${line}\n`;
}

function release(): void {
  process.off('exit', release);
  if (held !== '') process.stdout.write(held);
  held = '';
}

/** Node looks at NO_COLOR, FORCE_COLOR and TERM here. */
function stdoutHasColours(): boolean {
  return process.stdout.isTTY && process.stdout.hasColors();
}
