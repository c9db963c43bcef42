import type { OnModuleInit } from '@nestjs/common';
import { z } from 'zod';
import { exponential } from '../backoff.js';
import { JobType, type JobContext, type JobHandler } from '../job-type.js';
import { Mailer, type SentMail } from './mailer.js';

const data = z.strictObject({
  to: z.email(),
  // A line break would let the sender write headers.
  subject: z
    .string()
    .min(1)
    .max(200)
    .regex(/^[^\r\n]*$/, 'must be one line'),
  body: z.string(),
});

/** Sends one message over SMTP. Safe to repeat: the message id is derived from the job id. */
@JobType({
  name: 'send_email',
  description: 'Sends one message over SMTP.',
  data,
  example: { to: 'john@example.com', subject: 'Hello', body: 'Welcome!' },
  attempts: 5,
  backoff: exponential('2s'),
  timeout: '30s',
})
export class SendEmail implements JobHandler<typeof data>, OnModuleInit {
  constructor(private readonly mailer: Mailer) {}

  onModuleInit(): void {
    this.mailer.assertReady();
  }

  async run({ to, subject, body }: z.output<typeof data>, { jobId, signal }: JobContext): Promise<SentMail> {
    return this.mailer.send({ id: jobId, to, subject, body }, signal);
  }
}
