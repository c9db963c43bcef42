import { mkdtemp, readdir, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { simpleParser } from 'mailparser';
import type { JobContext } from '../job-type.js';
import { jobTypeOptionsOf } from '../job-type.js';
import { JobTypeRegistry } from '../job-type-registry.js';
import { FileMailer } from './file-mailer.js';
import { mailerFor } from './mail.module.js';
import { SendEmail } from './send-email.job-type.js';
import { SmtpMailer } from './smtp-mailer.js';

const JOB = '0192f3a4-5b6c-7d8e-9f00-112233445566';
const welcome = { to: 'john@example.com', subject: 'Hello', body: 'Welcome!' };
const definition = new JobTypeRegistry([SendEmail]).get('send_email');

function contextWith(signal = new AbortController().signal): JobContext {
  const nothing = () => undefined;
  return {
    jobId: JOB,
    tenant: 'default',
    run: 1,
    attempt: 1,
    attempts: 5,
    signal,
    progress: nothing,
    log: nothing,
  };
}

describe('into files', () => {
  let directory: string;
  let sendEmail: SendEmail;

  beforeEach(async () => {
    directory = join(await mkdtemp(join(tmpdir(), 'mail-')), 'made', 'on', 'demand');
    sendEmail = new SendEmail(new FileMailer(directory, 'Jobs <jobs@example.org>'));
  });

  afterEach(() => rm(join(directory, '../../..'), { recursive: true }));

  it('writes the message under the id of its job', async () => {
    sendEmail.onModuleInit();
    const sent = await sendEmail.run({ ...welcome, subject: 'Grüße', body: 'Schön.\n.\nBye' }, contextWith());

    const file = join(directory, `${JOB}.eml`);
    expect(sent).toEqual({ messageId: `<${JOB}@example.org>`, file });
    expect(await simpleParser(await readFile(file))).toMatchObject({
      messageId: `<${JOB}@example.org>`,
      subject: 'Grüße',
      text: expect.stringMatching(/^Schön\.\n\.\nBye\s*$/),
      to: { text: 'john@example.com' },
      from: { value: [{ address: 'jobs@example.org', name: 'Jobs' }] },
    });
  });

  it('leaves one message however often the job is run', async () => {
    await Promise.all([sendEmail.run(welcome, contextWith()), sendEmail.run(welcome, contextWith())]);
    await sendEmail.run(welcome, contextWith());

    expect(await readdir(directory)).toEqual([`${JOB}.eml`]);
  });

  it('writes nothing once its signal is aborted', async () => {
    const reason = new Error('timeout');

    await expect(sendEmail.run(welcome, contextWith(AbortSignal.abort(reason)))).rejects.toBe(reason);
    await expect(readdir(directory)).rejects.toMatchObject({ code: 'ENOENT' });
  });
});

describe('the way of sending', () => {
  const from = 'jobs@localhost';

  it('is the SMTP server where there is one, else the folder', () => {
    expect(mailerFor({ mail: { from, smtpUrl: 'smtp://mail', directory: '/tmp/x' } })).toBeInstanceOf(
      SmtpMailer,
    );
    expect(mailerFor({ mail: { from, directory: '/tmp/x' } })).toBeInstanceOf(FileMailer);
  });

  it('stops the boot where there is neither', () => {
    const sendEmail = new SendEmail(mailerFor({ mail: { from } }));

    expect(() => sendEmail.onModuleInit()).toThrow(
      'SMTP_URL is not set: a worker that serves send_email needs it',
    );
  });
});

describe('its data', () => {
  it('is stored as it was sent', () => {
    expect(definition.check(welcome)).toBe(welcome);
    expect(definition.example).toEqual(welcome);
    expect(definition).toMatchObject({ queue: 'default', defaults: { attempts: 5, timeout: 30_000 } });
    expect(jobTypeOptionsOf(SendEmail)?.backoff).toEqual({
      kind: 'exponential',
      delay: 2_000,
      cap: 3_600_000,
    });
  });

  it.each([
    ['data.to', { ...welcome, to: 'john' }],
    ['data.to', { ...welcome, to: 'john@example.com\nBcc: all@example.com' }],
    ['data.to', { ...welcome, to: 'john@example.com, jane@example.com' }],
    ['data.subject', { ...welcome, subject: 'Hello\r\nBcc: all@example.com' }],
    ['data.subject', { ...welcome, subject: 'Hello\n' }],
    ['data.subject', { ...welcome, subject: '' }],
    ['data.subject', { ...welcome, subject: 'x'.repeat(201) }],
    ['data.body', { to: welcome.to, subject: welcome.subject }],
    ['data.body', { ...welcome, body: 1 }],
    ['data.cc', { ...welcome, cc: 'jane@example.com' }],
    [
      'data.__proto__',
      JSON.parse('{"to":"john@example.com","subject":"Hello","body":"","__proto__":{"cc":1}}'),
    ],
    ['data', null],
  ])('is refused with the field named: %s', (path, data) => {
    expect(() => definition.check(data)).toThrow(
      expect.objectContaining({ code: 'VALIDATION_FAILED', errors: [expect.objectContaining({ path })] }),
    );
  });
});
