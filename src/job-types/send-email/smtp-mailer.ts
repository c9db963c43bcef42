import type { OnApplicationShutdown } from '@nestjs/common';
import { createTransport } from 'nodemailer';
import { PermanentFailure } from '../../jobs/job.errors.js';
import { Mailer, messageId, type Mail, type SentMail } from './mailer.js';

/** Sends over a pool of connections to one SMTP server. */
export class SmtpMailer extends Mailer implements OnApplicationShutdown {
  readonly #transport;

  /** @param url `smtp://` or `smtps://`, with options of nodemailer's pool in its query */
  constructor(
    url: string,
    private readonly from: string,
  ) {
    super();
    this.#transport = createTransport({
      pool: true,
      url,
      connectionTimeout: 10_000,
      greetingTimeout: 10_000,
      socketTimeout: 20_000,
      disableFileAccess: true,
      disableUrlAccess: true,
    });
  }

  async send({ id, to, subject, body }: Mail, signal: AbortSignal): Promise<SentMail> {
    const message = { messageId: messageId(id, this.from), from: this.from, to, subject, text: body, signal };
    try {
      const sent = await this.#transport.sendMail(message);
      return { messageId: sent.messageId, accepted: sent.accepted.map(String) };
    } catch (error) {
      signal.throwIfAborted();
      throw isRefusal(error) ? new PermanentFailure(error.message, 'MAIL_REFUSED', { cause: error }) : error;
    }
  }

  assertReady(): void {
    // The server may well come later: a job waits for it with its back-off.
  }

  onApplicationShutdown(): void {
    this.#transport.close();
  }
}

/**
 * A 5yz reply to the recipient or the message is final (RFC 5321, 4.2.1), but for 503, which is about the session.
 * The same reply to a login or the sender is our own fault, which may be mended while the job waits.
 */
function isRefusal(error: unknown): error is Error {
  if (!(error instanceof Error) || !('responseCode' in error) || !('command' in error)) return false;

  const { responseCode, command } = error;
  const final = typeof responseCode === 'number' && responseCode >= 500 && responseCode !== 503;
  return final && (command === 'RCPT TO' || command === 'DATA');
}
