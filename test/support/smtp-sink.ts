import type { AddressInfo } from 'node:net';
import { type ParsedMail, simpleParser } from 'mailparser';
import { SMTPServer } from 'smtp-server';

export interface SmtpSink {
  /** `smtp://127.0.0.1:<port>` */
  url: string;
  /** What was accepted, oldest first. */
  messages: ParsedMail[];
  /** Refuses the next `n` messages; 4xx asks the sender to try again (the default, 451), 5xx is final. */
  failNext(n: number, code?: number): void;
  stop(): Promise<void>;
}

/** A mail server that keeps what it is given. */
export async function startSmtpSink(): Promise<SmtpSink> {
  const messages: ParsedMail[] = [];
  let refusals = { left: 0, code: 451 };

  const server = new SMTPServer({
    disabledCommands: ['AUTH', 'STARTTLS'],
    disableReverseLookup: true,
    closeTimeout: 500,
    onData(stream, _session, callback) {
      simpleParser(stream).then((mail) => {
        if (refusals.left > 0) {
          refusals.left--;
          return callback(Object.assign(new Error('refused by the test'), { responseCode: refusals.code }));
        }
        messages.push(mail);
        callback();
      }, callback);
    },
  });
  // A sender that breaks off is what some tests are about; without a listener it would end the test run.
  server.on('error', () => undefined);

  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', () => resolve()));
  const { port } = server.server.address() as AddressInfo;

  return {
    url: `smtp://127.0.0.1:${port}`,
    messages,
    failNext: (n, code = 451) => (refusals = { left: n, code }),
    stop: () => new Promise((resolve) => server.close(() => resolve())),
  };
}
