import { Module } from '@nestjs/common';
import { JobsModule, JobTypesModule } from 'job-queue-platform/extension';
import { AlwaysFails, LogIn, RecordEffect, RecordInLine, RecordOnce, Stubborn } from './job-types.js';
import { Ledger } from './ledger.js';
import { LedgerController } from './ledger.controller.js';

/** What the handlers need; loaded in workers alone. */
@Module({ providers: [Ledger], exports: [Ledger] })
class LedgerStoreModule {}

/** Another team's part: job types with a store of their own, and a route that submits. */
@Module({
  imports: [
    JobsModule,
    JobTypesModule.register({
      types: [RecordEffect, RecordInLine, RecordOnce, Stubborn, AlwaysFails, LogIn],
      imports: [LedgerStoreModule],
    }),
  ],
  controllers: [LedgerController],
})
export default class LedgerModule {}
