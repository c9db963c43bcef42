import { Controller, Get, Header, Req } from '@nestjs/common';
import { ApiExcludeController } from '@nestjs/swagger';
import type { Request } from 'express';
import { AppConfig } from '../config/app-config.js';
import { VERSION } from '../health/version.js';
import { firstJobCommand } from '../job-types/first-job.js';
import { JobTypeRegistry } from '../job-types/job-type-registry.js';
import { homePage } from './home-page.js';

/** The front door for people. */
@ApiExcludeController()
@Controller()
export class HomeController {
  constructor(
    private readonly types: JobTypeRegistry,
    private readonly config: AppConfig,
  ) {}

  @Get()
  @Header('Content-Type', 'text/html; charset=utf-8')
  home(@Req() request: Request): string {
    const { apiPublicUrl, apiKeys } = this.config.http;
    const origin = apiPublicUrl ?? `${request.protocol}://${request.get('host') ?? 'localhost'}`;
    return homePage({
      version: VERSION,
      api: apiPublicUrl ?? '',
      firstJob: firstJobCommand(this.types, origin, apiKeys.length > 0),
    });
  }
}
