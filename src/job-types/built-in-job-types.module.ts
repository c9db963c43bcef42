import { Module } from '@nestjs/common';
import { OutboundModule } from '../outbound/outbound.module.js';
import { Demo } from './demo/demo.job-type.js';
import { HttpRequest } from './http-request/http-request.job-type.js';
import { JobTypesModule } from './job-types.module.js';
import { MailModule } from './send-email/mail.module.js';
import { SendEmail } from './send-email/send-email.job-type.js';

/** The job types that come with the platform: one line each. */
@Module({
  imports: [
    JobTypesModule.register({ types: [SendEmail, Demo], imports: [MailModule] }),
    JobTypesModule.register({ types: [HttpRequest], imports: [OutboundModule] }),
  ],
})
export class BuiltInJobTypesModule {}
