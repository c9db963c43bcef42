import { Module } from '@nestjs/common';
import { JobTypesModule } from 'job-queue-platform/extension';
import { ArithmeticModule, Compute, Misplaced } from './job-types.js';

@Module({
  imports: [
    JobTypesModule.register({ types: [Compute], imports: [ArithmeticModule] }),
    JobTypesModule.register({ types: [Misplaced] }),
  ],
})
export default class SandboxedModule {}
