import { randomUUID } from 'node:crypto';
import type { Job, Json } from '../../src/jobs/job.js';
import { shardOf } from '../../src/jobs/shard.js';
import { aDraft } from '../support/job-drafts.js';
import { idsOf, type Suite } from './record-scene.js';

const UUID_V7 = /^[0-9a-f]{8}-[0-9a-f]{4}-7[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$/;

/** Written as JSON text, so that `__proto__` is a key like any other. */
const DATA: [what: string, json: string][] = [
  ['null', 'null'],
  ['a bare number', '-0.1'],
  ['an empty text', '""'],
  ['empty objects and lists', '{"a":{},"b":[],"c":[[],{}]}'],
  ['keys that objects inherit', '{"__proto__":{"x":1},"constructor":null,"hasOwnProperty":[],"toString":""}'],
  ['keys out of order', '{"z":1,"a":2,"10":3,"M":{"b":1,"a":2}}'],
  ['unicode', '{"ключ":"値","😀":"👨‍👩‍👧‍👦","é":"e\u0301","rtl":"\u202Eabc","nbsp":"\u00a0"}'],
  ['control characters and quotes', '{"\\"":"\\\\","\\t":"\\r\\n\\u0001\\u001f\\u007f","":"{}"}'],
  ['what SQL takes for its own', '{"a":"\'; DROP TABLE jobs; --","b":"{1,2,NULL}","c":"\\\\x00","d":"$1"}'],
  ['numbers of every size', '[0.1,1e-7,5e-324,1.7976931348623157e308,9007199254740991,-9007199254740991]'],
  ['texts that look like other things', '["null","true","1e5","2026-01-01T00:00:00.000Z","NaN"]'],
  ['a text of 500,000 characters', JSON.stringify({ text: 'ab😀"\\'.repeat(83_334) })],
  ['a deep value', `${'['.repeat(60)}1${']'.repeat(60)}`],
];

export function describeSubmitting({ scene, record }: Suite): void {
  describe('submitting', () => {
    it('gives the jobs back in the order of their drafts, under UUIDv7 that grow', async () => {
      const jobs = await scene().submitMany(300);

      expect(jobs.map(({ data }) => data)).toEqual(jobs.map((_, n) => ({ n })));
      expect(idsOf(jobs)).toEqual(idsOf(jobs).toSorted());
      expect(new Set(idsOf(jobs)).size).toBe(300);
      for (const id of idsOf(jobs)) expect(id).toMatch(UUID_V7);
    });

    it('tells of a new job what will be found', async () => {
      const at = scene();

      const job = await at.submit({ type: 'demo', data: { a: 1 } });

      expect(job).toEqual({
        id: expect.any(String),
        tenant: at.tenant,
        type: 'demo',
        queue: at.queue,
        shard: 0,
        status: 'waiting',
        data: { a: 1 },
        options: aDraft().options,
        tags: [],
        expiresAt: null,
        dedupeKey: null,
        run: 1,
        delivery: 1,
        attemptsMade: 0,
        progress: null,
        result: null,
        error: null,
        createdAt: expect.any(Date),
        runAt: expect.any(Date),
        enqueuedAt: null,
        startedAt: null,
        finishedAt: null,
      });
      expect(await at.found(job)).toEqual(job);
    });

    it('commits nothing when it is given nothing', async () => {
      const at = scene();

      expect(await at.jobs.insert([])).toEqual([]);

      expect(await at.jobs.list(at.tenant, {}, { limit: 1 })).toEqual([]);
    });

    it('gives each of 200 requests made at the same time its own jobs', async () => {
      const at = scene();
      const requests = Array.from({ length: 200 }, (_, request) =>
        Array.from({ length: request % 3 }, (_, n) => at.draft({ data: { request, n } })),
      );

      const answers = await Promise.all(requests.map((drafts) => at.jobs.insert(drafts)));

      expect(answers.map((jobs) => jobs.map(({ data }) => data))).toEqual(
        requests.map((drafts) => drafts.map(({ data }) => data)),
      );
      const listed = await at.jobs.list(at.tenant, {}, { limit: 1_000 });
      expect(idsOf(listed).toSorted()).toEqual(idsOf(answers.flat()).toSorted());
      expect(new Map(listed.map(({ id, data }) => [id, data]))).toEqual(
        new Map(answers.flat().map(({ id, data }) => [id, data])),
      );
    });

    it.each(DATA)('keeps data as it was sent: %s', async (_what, json) => {
      const at = scene();
      const data = JSON.parse(json) as Json;

      const { id } = await at.submit({ data });

      const read = (await at.found({ id })).data;
      expect(read).toStrictEqual(data);
      expect(JSON.stringify(read)).toBe(JSON.stringify(data));
      expect(JSON.stringify((await at.claim(await at.found({ id }))).data)).toBe(JSON.stringify(data));
    });

    it('puts a job into the shard that its id says, in any process', async () => {
      const at = scene();
      const jobs = record().withShards(4);

      const made = await jobs.insert(Array.from({ length: 40 }, () => at.draft()));

      expect(made.map(({ shard }) => shard)).toEqual(made.map(({ id }) => shardOf(id, 4)));
      expect(new Set(made.map(({ shard }) => shard)).size).toBeGreaterThan(1);
      const deliveries = made.map(({ id }) => ({ jobId: id, delivery: 1 }));
      await jobs.markPushed(deliveries);
      for (const shard of [0, 1, 2, 3]) {
        const unclaimed = await jobs.unclaimed({ queue: at.queue, shard }, { olderThan: 0, limit: 100 });
        expect(unclaimed.map(({ jobId }) => jobId)).toEqual(idsOf(made.filter((job) => job.shard === shard)));
      }
    });

    it('holds a delayed job back until its time has come, by its own clock', async () => {
      const at = scene();

      const job = await at.submit({ delay: 60_000 });

      expect(job.status).toBe('delayed');
      expect(Math.abs(job.runAt.getTime() - job.createdAt.getTime() - 60_000)).toBeLessThan(1_000);
      expect(await at.found(job)).toEqual(job);
      await record().advance(55_000);
      expect(await at.found(job)).toMatchObject({ status: 'delayed' });
      await record().advance(5_001);
      expect(await at.found(job)).toMatchObject({ status: 'waiting' });
    });

    it('takes a moment as well as a delay', async () => {
      const at = scene();
      const { createdAt } = await at.submit();
      const later = new Date(createdAt.getTime() + 3_600_000);
      const earlier = new Date(createdAt.getTime() - 3_600_000);

      expect(await at.submit({ runAt: later })).toMatchObject({ status: 'delayed', runAt: later });
      expect(await at.submit({ runAt: earlier })).toMatchObject({ status: 'waiting', runAt: earlier });
    });
  });

  describe('tenants', () => {
    it('never see or touch each other’s jobs', async () => {
      const [at, other] = [scene(), scene()];
      const claim = await at.claimNew();
      await at.jobs.report({ ...claim, lines: [{ at: new Date(), line: 'secret' }] });
      await at.fail(claim);

      expect(await other.jobs.find(other.tenant, claim.jobId)).toBeUndefined();
      expect(await other.attempts(claim.jobId)).toEqual([]);
      expect(await other.jobs.logs(other.tenant, claim.jobId, { afterSeq: 0, limit: 10 })).toEqual([]);
      expect(await other.jobs.list(other.tenant, {}, { limit: 10 })).toEqual([]);
      expect(await other.jobs.list(other.tenant, { statuses: ['failed'] }, { limit: 10 })).toEqual([]);
      expect(await other.jobs.retry(other.tenant, claim.jobId)).toBeUndefined();
      expect(await at.found({ id: claim.jobId })).toMatchObject({ status: 'failed', run: 1 });
    });

    it('find nothing under an id that was never given', async () => {
      const at = scene();
      const id: Job['id'] = randomUUID();

      expect(await at.jobs.find(at.tenant, id)).toBeUndefined();
      expect(await at.attempts(id)).toEqual([]);
      expect(await at.jobs.retry(at.tenant, id)).toBeUndefined();
    });
  });
}
