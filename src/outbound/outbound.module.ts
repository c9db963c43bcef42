import { Module } from '@nestjs/common';
import { AppConfig } from '../config/app-config.js';
import { Destinations } from './destinations.js';
import { OutboundHttp } from './outbound-http.js';

/** Requests to the outside, within what the configuration permits. */
@Module({
  providers: [
    {
      provide: OutboundHttp,
      inject: [AppConfig],
      useFactory: ({ outbound }: AppConfig) => new OutboundHttp(new Destinations(outbound.allowed)),
    },
  ],
  exports: [OutboundHttp],
})
export class OutboundModule {}
