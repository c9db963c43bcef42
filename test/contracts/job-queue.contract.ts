import type { Delivery, JobQueue, Lane, QueuedDelivery } from '../../src/jobs/job-queue.js';
import { QueueUnavailable } from '../../src/jobs/job-queue.js';

/** One implementation, and what happens around it. */
export interface QueueUnderTest {
  queue: JobQueue;
  /** What a worker is given next; it stays active until finished. */
  take(lane: Lane): Promise<Delivery | undefined>;
  finish(delivery: Delivery): Promise<void>;
  /** Loses everything while it answers. */
  wipe?(): Promise<void>;
  goDown(): Promise<void>;
  /** Stays connected and answers nothing. */
  hang?(): Promise<void>;
  /** After `goDown` or `hang`: returns when it answers again. */
  comeBack(): Promise<void>;
}

/** Every call must have failed by then. */
const BOUND = 3_000;

/**
 * The promises of JobQueue.
 * @param can what may happen to this implementation, and so to `setup`'s answer
 * @param setup gives the suite one queue, shared by all its tests
 */
export function describeJobQueue(
  name: string,
  can: { wipe: boolean; hang: boolean },
  setup: () => Promise<QueueUnderTest>,
): void {
  describe(name, () => {
    let under: QueueUnderTest;
    let queue: JobQueue;
    let lane: Lane;
    let shard = 0;

    beforeAll(async () => {
      under = await setup();
      queue = under.queue;
    });

    beforeEach(() => {
      lane = { queue: 'default', shard: shard++ % LANES };
    });

    afterEach(async () => {
      for (let next = await under.take(lane); next; next = await under.take(lane)) await under.finish(next);
    });

    const delivery = (more: Partial<QueuedDelivery> = {}): QueuedDelivery => ({
      ...lane,
      jobId: newJobId(),
      delivery: 1,
      type: 'send_email',
      priority: 100,
      display: { to: 'ann@example.org', body: '***' },
      ...more,
    });
    const takeAll = async (): Promise<Delivery[]> => {
      const taken: Delivery[] = [];
      for (let next = await under.take(lane); next; next = await under.take(lane)) taken.push(next);
      for (const each of taken) await under.finish(each);
      return taken;
    };

    it('hands each delivery to one worker', async () => {
      const pushed = [delivery(), delivery(), delivery()];

      await queue.push(pushed);

      expect(await queue.depth(lane)).toBe(3);
      expect((await takeAll()).map(idOf)).toEqual(pushed.map(idOf));
      expect(await queue.depth(lane)).toBe(0);
    });

    it('takes deliveries of several lanes at once, and keeps them apart', async () => {
      const other = { queue: 'default', shard: (lane.shard + 1) % LANES };
      const [here, there] = [delivery(), delivery(other)];

      await queue.push([here, there]);

      expect(await queue.missing(lane, [here, there])).toEqual([there]);
      expect(idOf((await under.take(other))!)).toBe(idOf(there));
      await under.finish(there);
      expect((await takeAll()).map(idOf)).toEqual([idOf(here)]);
    });

    it('pushes nothing without complaint', async () => {
      await expect(queue.push([])).resolves.toBeUndefined();
      await expect(queue.missing(lane, [])).resolves.toEqual([]);
    });

    it('gives the lowest priority number first, and equals in the order of their push', async () => {
      const pushed = [100, 5, 0, 2_000_000, 5].map((priority) => delivery({ priority }));

      await queue.push(pushed);

      const [hundred, five, zero, last, otherFive] = pushed.map(idOf);
      expect((await takeAll()).map(idOf)).toEqual([zero, five, otherFive, hundred, last]);
    });

    it('knows a delivery that waits, is active or has finished, and leaves it as it is', async () => {
      const known = delivery();
      await queue.push([known, known]);
      await queue.push([{ ...known, priority: 1 }]);
      expect(await queue.depth(lane)).toBe(1);

      const taken = await under.take(lane);
      await queue.push([known]);
      expect(await queue.depth(lane)).toBe(0);

      await under.finish(taken!);
      await queue.push([known]);
      expect(await queue.depth(lane)).toBe(0);
      expect(await under.take(lane)).toBeUndefined();
    });

    it('takes the next delivery of a job whose last one it knows', async () => {
      const first = delivery();
      await queue.push([first]);
      await takeAll();

      await queue.push([{ ...first, delivery: 2 }]);

      expect(await under.take(lane)).toMatchObject({ jobId: first.jobId, delivery: 2 });
      await under.finish({ ...first, delivery: 2 });
    });

    it('misses what no worker will be given any more: unknown and finished deliveries', async () => {
      const [finished, active, waiting, unknown] = [delivery(), delivery(), delivery(), delivery()];
      await queue.push([finished]);
      await takeAll();
      await queue.push([active]);
      await under.take(lane);
      await queue.push([waiting]);

      const missing = await queue.missing(lane, [
        finished,
        active,
        waiting,
        unknown,
        { ...waiting, delivery: 2 },
      ]);

      expect(missing.map(idOf)).toEqual([idOf(finished), idOf(unknown), `${waiting.jobId}_2`]);
      await under.finish(active);
    });

    it('answers for 500 deliveries at once', async () => {
      const many = Array.from({ length: 500 }, () => delivery());
      await queue.push(many);

      expect(await queue.missing(lane, many)).toEqual([]);
      expect(await takeAll()).toHaveLength(500);
      expect(await queue.missing(lane, many)).toHaveLength(500);
    });

    it('keeps a mark that never falls below what was written', async () => {
      await queue.writeMark(lane, 7);
      const first = await queue.readMark(lane);
      await queue.writeMark(lane, 8);
      const second = await queue.readMark(lane);

      expect(first!.epoch).toBeGreaterThanOrEqual(7);
      expect(second!.epoch).toBeGreaterThanOrEqual(8);
      expect(second!.server).toBe(first!.server);
    });

    it('writes a mark only over the expected one, where it is told which', async () => {
      await queue.writeMark(lane, 11);
      const { epoch } = (await queue.readMark(lane))!;

      expect(await queue.writeMark(lane, epoch + 1, epoch)).toBe(true);
      expect((await queue.readMark(lane))!.epoch).toBe(epoch + 1);
    });

    const expectAllToFail = async (): Promise<void> => {
      const one = delivery();
      const calls: (() => Promise<unknown>)[] = [
        () => queue.push([one]),
        () => queue.depth(lane),
        () => queue.missing(lane, [one]),
        () => queue.ping(),
      ];
      await Promise.all(
        calls.map(async (call) => {
          const start = performance.now();
          await expect(call()).rejects.toBeInstanceOf(QueueUnavailable);
          expect(performance.now() - start).toBeLessThan(BOUND);
        }),
      );
    };

    it('fails within a bounded time when it is down, and works again afterwards', async () => {
      await under.goDown();
      try {
        await expectAllToFail();
        await expectAllToFail();
      } finally {
        await under.comeBack();
      }
      const one = delivery();
      await queue.push([one]);
      expect((await takeAll()).map(idOf)).toContain(idOf(one));
    });

    if (can.wipe) {
      it('writes no mark over one that was wiped, or is another', async () => {
        await queue.writeMark(lane, 11);

        expect(await queue.writeMark(lane, 20, 10)).toBe(false);
        expect(await queue.readMark(lane)).toMatchObject({ epoch: 11 });
        await under.wipe!();
        expect(await queue.writeMark(lane, 20, 11)).toBe(false);
        expect(await queue.readMark(lane)).toBeUndefined();
      });

      it('shows by the mark and by its absences that it was wiped', async () => {
        const lost = delivery();
        await queue.push([lost]);
        await queue.writeMark(lane, 3);
        expect(await queue.readMark(lane)).toMatchObject({ epoch: 3 });

        await under.wipe!();

        expect(await queue.readMark(lane)).toBeUndefined();
        expect(await queue.missing(lane, [lost])).toEqual([lost]);
        await queue.push([lost]);
        expect((await takeAll()).map(idOf)).toEqual([idOf(lost)]);
      });
    }

    if (can.hang) {
      it('fails within a bounded time when it hangs, and works again afterwards', async () => {
        await under.hang!();
        try {
          await expectAllToFail();
          await expectAllToFail();
        } finally {
          await under.comeBack();
        }
        const one = delivery();
        await queue.push([one]);
        expect((await takeAll()).map(idOf)).toContain(idOf(one));
      });
    }
  });
}

/** Shards of the queue `default` that an implementation must be set up with. */
export const LANES = 2;

let jobs = 0;

function newJobId(): string {
  return `019ab2c4-5d6e-7f80-9123-${String(++jobs).padStart(12, '0')}`;
}

function idOf({ jobId, delivery }: Delivery): string {
  return `${jobId}_${delivery}`;
}
