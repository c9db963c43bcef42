import type { DataSource } from 'typeorm';
import { InMemoryStatisticsRepository } from '../../src/jobs/statistics/in-memory-statistics-repository.js';
import { TypeOrmStatisticsRepository } from '../../src/persistence/typeorm-statistics-repository.js';
import { startPostgres, systemPostgresAvailable, type PrivatePostgres } from '../support/postgres.js';
import { connect, connectMigrated, untilAnswers } from '../support/record-on-postgres.js';
import { describeStatistics } from './statistics-repository.contract.js';

describeStatistics('InMemoryStatisticsRepository', async () => {
  const statistics = new InMemoryStatisticsRepository();
  return {
    statistics,
    other: statistics,
    age: async (minutes) => statistics.advance(minutes * 60_000),
    goDown: async () => statistics.goDown(),
    comeBack: async () => statistics.comeBack(),
  };
});

describeOnPostgres('embedded PostgreSQL', 'embedded');
if (systemPostgresAvailable()) describeOnPostgres('PostgreSQL 15', 'system');

function describeOnPostgres(server: string, binaries: 'embedded' | 'system'): void {
  describe(`TypeOrmStatisticsRepository on ${server}`, () => {
    let postgres: PrivatePostgres;
    let database: DataSource;
    let neighbour: DataSource;

    beforeAll(async () => {
      postgres = await startPostgres({ binaries });
      const url = await postgres.createDatabase();
      database = await connectMigrated(url);
      neighbour = await connect(url);
    });

    afterAll(async () => {
      await database.destroy();
      await neighbour.destroy();
      await postgres.stop();
    });

    describeStatistics('as any', async () => ({
      statistics: new TypeOrmStatisticsRepository(database),
      other: new TypeOrmStatisticsRepository(neighbour),
      age: async (minutes) => {
        await database.query(`UPDATE job_statistics SET minute = minute - $1 * interval '1 minute'`, [
          minutes,
        ]);
      },
      goDown: () => postgres.kill(),
      comeBack: async () => {
        await postgres.start();
        await Promise.all([untilAnswers(database), untilAnswers(neighbour)]);
      },
    }));
  });
}
