import type { AppConfig } from './config/app-config.js';
import { BuiltInJobTypesModule } from './job-types/built-in-job-types.module.js';
import { queuesIn, type ModuleImport } from './job-types/job-types.module.js';

/** What a process is made of, decided before Nest: the configuration, and the modules that declare job types. */
export interface Platform {
  config: AppConfig;
  features: readonly ModuleImport[];
  queues: string[];
}

/** @param extensions modules of other teams, beside the built-in job types */
export function platformOf(config: AppConfig, extensions: readonly ModuleImport[]): Platform {
  const features = [BuiltInJobTypesModule, ...extensions];
  return { config, features, queues: queuesIn(features) };
}
