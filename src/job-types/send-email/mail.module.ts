import { Module } from '@nestjs/common';
import { AppConfig } from '../../config/app-config.js';
import { FileMailer } from './file-mailer.js';
import { Mailer } from './mailer.js';
import { SmtpMailer } from './smtp-mailer.js';
import { UnsetMailer } from './unset-mailer.js';

/** Provides the way of sending that the configuration names. */
@Module({
  providers: [{ provide: Mailer, inject: [AppConfig], useFactory: mailerFor }],
  exports: [Mailer],
})
export class MailModule {}

export function mailerFor({ mail }: Pick<AppConfig, 'mail'>): Mailer {
  if (mail.smtpUrl) return new SmtpMailer(mail.smtpUrl, mail.from);
  if (mail.directory) return new FileMailer(mail.directory, mail.from);
  return new UnsetMailer();
}
