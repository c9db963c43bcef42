import { randomUUID } from 'node:crypto';
import { RecordUnavailable } from '../../src/jobs/job.errors.js';
import type { Activity, StatisticsRepository } from '../../src/jobs/statistics/statistics-repository.js';

/** One implementation, and what happens around it. */
export interface StatisticsUnderTest {
  statistics: StatisticsRepository;
  /** The same, seen from another process. */
  other: StatisticsRepository;
  /** Makes all that is kept so many minutes older. */
  age(minutes: number): Promise<void>;
  goDown(): Promise<void>;
  /** Returns when it answers again. */
  comeBack(): Promise<void>;
}

/** The promises of StatisticsRepository. */
export function describeStatistics(name: string, setup: () => Promise<StatisticsUnderTest>): void {
  describe(name, () => {
    let under: StatisticsUnderTest;
    let tenant: string;
    let queue: string;

    beforeAll(async () => {
      under = await setup();
    });
    beforeEach(() => {
      tenant = `tenant-${randomUUID()}`;
      queue = `queue-${randomUUID()}`;
    });

    const some = (more: Partial<Activity> = {}): Activity => ({
      ...{ tenant, queue, type: 'demo', submitted: 3, completed: 2, failed: 1, retried: 4 },
      ...{ deliveries: 7, slotMs: 70.5, wait: [1, 0, 2], run: [0, 5] },
      ...more,
    });
    const typesOf = async (whose = tenant) => (await under.statistics.read(whose, 5)).types;

    it('tells what was added', async () => {
      await under.statistics.add([some()]);

      const { tenant: _tenant, ...expected } = some();
      expect(await typesOf()).toEqual([expected]);
    });

    it('adds up what several processes add, slot by slot', async () => {
      await Promise.all([
        under.statistics.add([some({ wait: [1], run: [] })]),
        under.other.add([some({ wait: [0, 0, 0, 9], run: [] })]),
        under.statistics.add([some({ wait: [0, 2], run: [] })]),
      ]);

      expect(await typesOf()).toEqual([
        {
          ...{ queue, type: 'demo', submitted: 9, completed: 6, failed: 3, retried: 12 },
          ...{ deliveries: 21, slotMs: 211.5, wait: [1, 2, 0, 9], run: [] },
        },
      ]);
    });

    it('loses nothing where many add at once, in whatever order', async () => {
      const types = ['a', 'b', 'c', 'd'];
      const batch = types.map((type) => some({ type }));

      await Promise.all(
        Array.from({ length: 40 }, (_, n) =>
          (n % 2 ? under.statistics : under.other).add(n % 3 ? batch : batch.toReversed()),
        ),
      );

      expect((await typesOf()).map(({ type, submitted }) => [type, submitted])).toEqual(
        types.map((type) => [type, 120]),
      );
    });

    it('keeps types, queues and tenants apart', async () => {
      await under.statistics.add([some(), some({ type: 'other' }), some({ queue: `${queue}-2` })]);
      await under.statistics.add([some({ tenant: `${tenant}-2` })]);

      expect((await typesOf()).map(({ queue, type }) => [queue, type])).toEqual([
        [queue, 'demo'],
        [queue, 'other'],
        [`${queue}-2`, 'demo'],
      ]);
      expect(await typesOf(`${tenant}-2`)).toHaveLength(1);
      expect(await typesOf('nobody')).toEqual([]);
    });

    it('sums over the minutes that are asked for, and says how long they are', async () => {
      await under.statistics.add([some()]);
      await under.age(3);

      expect((await under.statistics.read(tenant, 1)).types).toEqual([]);
      const { seconds, types } = await under.statistics.read(tenant, 10);
      expect(types).toMatchObject([{ submitted: 3 }]);
      expect(seconds).toBeGreaterThanOrEqual(600);
      expect(seconds).toBeLessThan(660);
    });

    it('tells the pace of a queue, whoever its jobs belong to', async () => {
      await under.statistics.add([some(), some({ tenant: `${tenant}-2`, deliveries: 3, slotMs: 29.5 })]);
      await under.statistics.add([some({ queue: `${queue}-2` })]);

      expect(await under.statistics.pace(queue, 5)).toEqual({ deliveries: 10, slotMs: 100 });
      expect(await under.statistics.pace('nothing', 5)).toEqual({ deliveries: 0, slotMs: 0 });
    });

    it('deletes what is older than it is told, once', async () => {
      await under.statistics.add([some()]);
      await under.age(30);
      expect(await under.statistics.prune(40)).toBe(0);
      expect((await under.statistics.read(tenant, 60)).types).toHaveLength(1);

      const gone = await Promise.all([under.statistics.prune(20), under.other.prune(20)]);

      expect(gone[0] + gone[1]).toBeGreaterThanOrEqual(1);
      expect((await under.statistics.read(tenant, 60)).types).toEqual([]);
    });

    it('tells an outage as such, and keeps what it had', async () => {
      await under.statistics.add([some()]);
      const calls = [
        () => under.statistics.add([some()]),
        () => under.statistics.read(tenant, 1),
        () => under.statistics.pace(queue, 1),
        () => under.statistics.prune(1_440),
      ];

      await under.goDown();
      try {
        for (const call of calls) await expect(call()).rejects.toBeInstanceOf(RecordUnavailable);
      } finally {
        await under.comeBack();
      }

      await under.statistics.add([some({ submitted: 1 })]);
      expect((await typesOf())[0]!.submitted).toBeGreaterThanOrEqual(1);
    });
  });
}
