import { Mailer, type SentMail } from './mailer.js';

/** Stands where nobody said how to send: a process that serves `send_email` does not start with it. */
export class UnsetMailer extends Mailer {
  async send(): Promise<SentMail> {
    return this.assertReady();
  }

  assertReady(): never {
    throw new Error('SMTP_URL is not set: a worker that serves send_email needs it');
  }
}
