import { Module } from '@nestjs/common';
import { z } from 'zod';
import { JobType, type JobContext, type JobHandler } from '../../../src/job-types/job-type.js';
import { JobTypesModule } from '../../../src/job-types/job-types.module.js';
import { Effects, EffectsStoreModule } from './effects.js';

const nothing = z.strictObject({});

/** A type that the next release brings: processes of this one have never heard of it. */
@JobType({ name: 'newcomer_effects', data: nothing, example: {} })
export class NewcomerEffects implements JobHandler<typeof nothing> {
  constructor(private readonly effects: Effects) {}

  async run(_data: z.output<typeof nothing>, context: JobContext): Promise<void> {
    await this.effects.write(context);
  }
}

@Module({ imports: [JobTypesModule.register({ types: [NewcomerEffects], imports: [EffectsStoreModule] })] })
export default class NewcomerModule {}
