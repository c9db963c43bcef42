import { Global, Module } from '@nestjs/common';
import { AppConfig } from '../config/app-config.js';
import { LoopLag } from './loop-lag.js';
import { LoadShedding } from './load-shedding.js';

/** What `configureHttp` needs to refuse work before it is read. */
@Global()
@Module({
  providers: [
    {
      provide: LoopLag,
      inject: [AppConfig],
      useFactory: ({ submit }: AppConfig) => new LoopLag(submit.maxLoopLag),
    },
    LoadShedding,
  ],
  exports: [LoopLag, LoadShedding],
})
export class SheddingModule {}
