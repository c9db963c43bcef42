import { AppLogger } from '../logging/app-logger.js';

/** What Nest calls itself when it reports why it does not start. `run` says the same in one line. */
const REPORTER = 'ExceptionHandler';

/** The logger that Nest is given: without the stack of a failed start, unless LOG_LEVEL=debug asks for it. */
export class BootLogger extends AppLogger {
  readonly #debug: boolean;

  constructor(options: ConstructorParameters<typeof AppLogger>[0]) {
    super(options);
    this.#debug = options.level === 'debug';
  }

  override error(message: unknown, ...params: unknown[]): void {
    if (this.#debug || params.at(-1) !== REPORTER) super.error(message, ...params);
  }
}
