import { Module, type DynamicModule } from '@nestjs/common';
import { APP_GUARD } from '@nestjs/core';
import { ThrottlerGuard, ThrottlerModule } from '@nestjs/throttler';
import type { AppConfig } from '../config/app-config.js';
import { FixedWindows } from './fixed-windows.js';

/** Limits requests a minute a client, over all routes that do not carry `@SkipThrottle()`. A limit of 0 mounts nothing. */
@Module({})
export class ThrottlingModule {
  static forRoot({ http }: AppConfig): DynamicModule {
    if (http.rateLimitPerMinute === 0) return { module: ThrottlingModule };

    const throttler = ThrottlerModule.forRoot({
      throttlers: [{ ttl: 60_000, limit: http.rateLimitPerMinute }],
      storage: new FixedWindows(),
      generateKey: (_context, client) => client,
      errorMessage: `More than ${http.rateLimitPerMinute} requests a minute. Try again when Retry-After is over.`,
    });
    return {
      module: ThrottlingModule,
      imports: [throttler],
      providers: [{ provide: APP_GUARD, useClass: ThrottlerGuard }],
    };
  }
}
