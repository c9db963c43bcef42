import { DataSource } from 'typeorm';
import { parseConfig } from '../config/parse-config.js';
import { processEnvironment } from '../config/process-environment.js';
import { dataSourceOptions } from './data-source-options.js';

/** For TypeORM's command line alone. */
export default new DataSource(dataSourceOptions(parseConfig(processEnvironment(), 'migrate')));
