import type { DataSource } from 'typeorm';
import { checkAgainstModel, freshScene } from '../contracts/job-model.js';
import { startPostgres } from '../support/postgres.js';
import { age, connectMigrated, repositoryOn } from '../support/record-on-postgres.js';
import { SEED } from './support/random.js';
import { scale } from './support/scale.js';

const RUNS = scale({ full: 10_000, short: 500 });

describe('the record in PostgreSQL', () => {
  let database: DataSource;

  beforeAll(async () => {
    const postgres = await startPostgres();
    database = await connectMigrated(await postgres.createDatabase());
  });

  afterAll(() => database.destroy());

  it(`does what the state machine says, whatever is done in whatever order (${RUNS} runs)`, async () => {
    const jobs = repositoryOn(database);
    const open = () => ({ jobs, advance: (ms: number) => age(database, ms), ...freshScene() });
    await checkAgainstModel(open, RUNS, SEED);
  });
});
