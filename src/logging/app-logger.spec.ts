import { Logger } from '@nestjs/common';
import { AppLogger, type AppLoggerOptions } from './app-logger.js';

const JOB = '0192f3a4-5b6c-7d8e-9f00-112233445566';
const facts = { jobId: JOB, type: 'send_email', attempt: 1, durationMs: 34 };

beforeEach(() => {
  jest.useFakeTimers({ now: new Date(2026, 10, 24, 12, 0, 1) });
});

afterEach(() => {
  jest.useRealTimers();
});

function setup(options: Partial<AppLoggerOptions> = {}) {
  const lines: string[] = [];
  const write = (line: string) => void lines.push(line);
  const logger = new AppLogger({ level: 'log', format: 'json', colours: false, write, ...options });
  const objects = () => lines.map((line) => JSON.parse(line) as Record<string, unknown>);
  return { logger, lines, objects };
}

describe('as JSON', () => {
  it('writes one object a line, with the facts beside the message', () => {
    const { logger, lines } = setup();

    logger.log('completed', facts, 'JobsProcessor');

    expect(lines).toEqual([
      `{"time":"${new Date().toISOString()}","level":"info","context":"JobsProcessor","message":"completed",` +
        `"jobId":"${JOB}","type":"send_email","attempt":1,"durationMs":34}`,
    ]);
  });

  it('keeps its own fields whatever the facts are called', () => {
    const { logger, objects } = setup();

    logger.warn('slow', { level: 'info', message: 'fine', time: 'never' });

    expect(objects()).toEqual([{ time: new Date().toISOString(), level: 'warn', message: 'slow' }]);
  });

  it('stays one line, and writes what JSON does not know', () => {
    const { logger, lines, objects } = setup();

    logger.log('two\nlines', { count: 10n, at: new Date(0), nothing: null });

    expect(lines[0]).not.toContain('\n');
    expect(objects()[0]).toMatchObject({ count: '10', at: '1970-01-01T00:00:00.000Z', nothing: null });
  });
});

describe('pretty', () => {
  it('writes one short, aligned line', () => {
    const { logger, lines } = setup({ format: 'pretty' });

    logger.log('completed', facts, 'JobsProcessor');
    logger.log('started', { type: 'demo', jobId: JOB, attempt: 2 }, 'JobsProcessor');
    logger.log('listening', { url: 'http://127.0.0.1:3000' });

    expect(lines).toEqual([
      `12:00:01  completed   send_email      ${JOB}  attempt 1  34 ms`,
      `12:00:01  started     demo            ${JOB}  attempt 2`,
      `12:00:01  listening   url http://127.0.0.1:3000`,
    ]);
  });

  it('says how severe a line is and where it comes from when it is not ordinary', () => {
    const { logger, lines } = setup({ format: 'pretty' });

    logger.warn('queue down', { error: new Error('connect ECONNREFUSED') }, 'OutboxRelay');

    expect(lines).toEqual(['12:00:01  warn  queue down  connect ECONNREFUSED  OutboxRelay']);
  });

  it('has colours only when told so', () => {
    const { logger, lines } = setup({ format: 'pretty', colours: true });

    logger.log('completed');

    expect(lines[0]).toContain('\u001b[32mcompleted');
  });

  it('obeys no control code that an error message carries', () => {
    const { logger, lines } = setup({ format: 'pretty' });

    logger.warn('failed', { error: new Error('\u001b[2J\r\nforged  line') });

    expect(lines[0]).toMatch(/^12:00:01 {2}warn {2}failed [\P{Cc}]*$/u);
  });
});

describe('levels', () => {
  it.each([
    ['debug', ['debug', 'debug', 'info', 'warn', 'error', 'fatal']],
    ['log', ['info', 'warn', 'error', 'fatal']],
    ['warn', ['warn', 'error', 'fatal']],
    ['error', ['error', 'fatal']],
  ] as const)('%s writes that and everything more severe', (level, written) => {
    const { logger, objects } = setup({ level });

    logger.verbose('a');
    logger.debug('a');
    logger.log('a');
    logger.warn('a');
    logger.error('a');
    logger.fatal('a');

    expect(objects().map((entry) => entry['level'])).toEqual(written);
  });

  it('drops what the framework tells of itself, but not its warnings', () => {
    const { logger, objects } = setup({ level: 'debug' });

    for (const context of [
      'NestFactory',
      'InstanceLoader',
      'RoutesResolver',
      'RouterExplorer',
      'BullModule',
    ]) {
      logger.log('starting', context);
      logger.debug('starting', context);
      logger.warn('odd', context);
    }

    expect(objects().map((entry) => entry['message'])).toEqual(Array(5).fill('odd'));
  });
});

describe('errors', () => {
  it('that were put into words show their message and code, and no stack', () => {
    const { logger, objects } = setup();

    logger.error('push failed', { error: Object.assign(new Error('gone'), { code: 'ECONNRESET' }) });

    expect(objects()[0]).toMatchObject({ error: { name: 'Error', code: 'ECONNRESET', message: 'gone' } });
    expect(objects()[0]).not.toHaveProperty('error.stack');
  });

  it.each(['json', 'pretty'] as const)('show their stacks on debug (%s)', (format) => {
    const { logger, lines } = setup({ format, level: 'debug' });

    logger.error('push failed', { error: new Error('gone') });

    expect(lines[0]).toContain('app-logger.spec');
  });

  it.each(['json', 'pretty'] as const)('that nobody expected show their stack (%s)', (format) => {
    const { logger, lines } = setup({ format });

    logger.error(new TypeError('x is not a function'), undefined, 'ExceptionsHandler');

    expect(lines[0]).toContain('x is not a function');
    expect(lines[0]).toContain('app-logger.spec');
  });

  it('name their cause, and what an AggregateError is made of', () => {
    const { logger, objects } = setup();

    logger.error('a', { error: new Error('not written', { cause: new Error('ECONNREFUSED') }) });
    logger.error('b', {
      error: new AggregateError([new Error('connect ::1'), new Error('connect 127.0.0.1')]),
    });

    expect(objects()).toMatchObject([
      { error: { message: 'not written (ECONNREFUSED)' } },
      { error: { message: 'connect ::1' } },
    ]);
  });
});

describe('what Nest passes', () => {
  it('reads a stack and a context behind the message', () => {
    const { logger, objects } = setup();
    const stack = 'Error: gone\n    at somewhere (file.ts:1:1)';

    logger.error('Unable to connect', stack, 'TypeOrmModule');
    logger.error('Unable to connect', stack);

    expect(objects()).toMatchObject([
      { message: 'Unable to connect', stack, context: 'TypeOrmModule' },
      { message: 'Unable to connect', stack },
    ]);
  });

  it('joins several messages', () => {
    const { logger, objects } = setup();

    logger.log('one', 'two', 3, 'Context');

    expect(objects()[0]).toMatchObject({ message: 'one two 3', context: 'Context' });
  });

  it('leaves out payloads, and whatever else is no fact', () => {
    const { logger, lines } = setup();

    logger.log('submitted', { jobId: JOB, data: { secret: 1 }, list: ['secret'], secret: () => 1 });

    expect(lines[0]).not.toContain('secret');
  });

  it('serves the loggers of a process', () => {
    const { logger, objects } = setup();
    Logger.overrideLogger(logger);

    new Logger('OutboxRelay').log('pushed', { count: 3 });
    new Logger('OutboxRelay').error('push failed', { error: new Error('gone') });
    Logger.warn('alone');
    Logger.overrideLogger(false);

    expect(objects()).toMatchObject([
      { message: 'pushed', context: 'OutboxRelay', count: 3 },
      { message: 'push failed', context: 'OutboxRelay', error: { message: 'gone' } },
      { message: 'alone', level: 'warn' },
    ]);
  });
});
