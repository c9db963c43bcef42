import type { AddressInfo } from 'node:net';
import { simpleParser, type ParsedMail } from 'mailparser';
import { SMTPServer, type SMTPServerOptions } from 'smtp-server';
import { PermanentFailure } from '../../jobs/job.errors.js';
import { SmtpMailer } from './smtp-mailer.js';

const mail = {
  id: '0192f3a4-5b6c-7d8e-9f00-112233445566',
  to: 'john@example.com',
  subject: 'Hello',
  body: 'Welcome!',
};
const never = new AbortController().signal;
const stop: (() => void | Promise<void>)[] = [];

afterEach(async () => {
  for (const step of stop.splice(0)) await step();
});

async function setup(behaviour: SMTPServerOptions = {}) {
  const messages: ParsedMail[] = [];
  const server = new SMTPServer({
    disabledCommands: ['AUTH', 'STARTTLS'],
    disableReverseLookup: true,
    closeTimeout: 100,
    onData(stream, _session, done) {
      simpleParser(stream).then((message) => {
        messages.push(message);
        done();
      }, done);
    },
    ...behaviour,
  });
  server.on('error', () => undefined);
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const { port } = server.server.address() as AddressInfo;

  const mailer = new SmtpMailer(`smtp://127.0.0.1:${port}`, 'Jobs <jobs@example.org>');
  stop.push(
    () => mailer.onApplicationShutdown(),
    () => new Promise<void>((resolve) => server.close(resolve)),
  );
  return { mailer, messages };
}

function refuse(responseCode: number) {
  return (...args: unknown[]) => {
    const done = args.at(-1) as (error: Error) => void;
    done(Object.assign(new Error('refused by the test'), { responseCode }));
  };
}

it('sends the message, named by the job', async () => {
  const { mailer, messages } = await setup();

  expect(await mailer.send(mail, never)).toEqual({
    messageId: `<${mail.id}@example.org>`,
    accepted: [mail.to],
  });
  expect(messages).toMatchObject([
    { messageId: `<${mail.id}@example.org>`, subject: 'Hello', text: 'Welcome!\n', to: { text: mail.to } },
  ]);
});

it('names every attempt of a job alike', async () => {
  const { mailer, messages } = await setup();

  await Promise.all([mailer.send(mail, never), mailer.send(mail, never)]);

  expect(messages[0]?.messageId).toBe(messages[1]?.messageId);
});

it('takes the final refusal of a recipient for final', async () => {
  const { mailer } = await setup({ onRcptTo: refuse(550) });

  const failure = mailer.send(mail, never);

  await expect(failure).rejects.toBeInstanceOf(PermanentFailure);
  await expect(failure).rejects.toMatchObject({ code: 'MAIL_REFUSED' });
});

it('takes the final refusal of a message for final', async () => {
  const { mailer } = await setup({
    onData: (stream, session, done) => stream.resume().on('end', () => refuse(554)(session, done)),
  });

  await expect(mailer.send(mail, never)).rejects.toMatchObject({ code: 'MAIL_REFUSED' });
});

it.each<[string, SMTPServerOptions]>([
  ['a recipient refused for now', { onRcptTo: refuse(451) }],
  ['a sender refused for good, which is our own fault', { onMailFrom: refuse(550) }],
  ['a server that lets nobody in', { onConnect: refuse(554) }],
])('leaves to the next attempt: %s', async (_case, behaviour) => {
  const { mailer } = await setup(behaviour);

  const failure = mailer.send(mail, never);

  await expect(failure).rejects.toBeInstanceOf(Error);
  await expect(failure).rejects.not.toBeInstanceOf(PermanentFailure);
});

it('leaves to the next attempt: a server that is not there', async () => {
  const mailer = new SmtpMailer('smtp://127.0.0.1:1', 'jobs@example.org');
  stop.push(() => mailer.onApplicationShutdown());

  await expect(mailer.send(mail, never)).rejects.toMatchObject({ code: 'ESOCKET' });
});

it('gives up a server that hangs as soon as its signal is aborted, and serves the others', async () => {
  const { mailer, messages } = await setup({
    onRcptTo: ({ address }, _session, done) => (address === 'hang@example.com' ? undefined : done()),
  });
  const controller = new AbortController();
  const reason = new Error('timeout');

  const hanging = mailer.send({ ...mail, to: 'hang@example.com' }, controller.signal);
  setTimeout(() => controller.abort(reason), 50);

  await expect(hanging).rejects.toBe(reason);
  await mailer.send(mail, never);
  expect(messages).toHaveLength(1);
});

it('sends nothing once it is closed, and says so', async () => {
  const { mailer } = await setup();
  mailer.onApplicationShutdown();

  await expect(mailer.send(mail, never)).rejects.toThrow('closed');
});
