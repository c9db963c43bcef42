import { randomUUID } from 'node:crypto';
import { RecordUnavailable } from '../../src/jobs/job.errors.js';
import { describeControl } from './job-repository.control.contract.js';
import { describeDeferring } from './job-repository.deferring.contract.js';
import { describeDelivery } from './job-repository.delivery.contract.js';
import { describeIdempotency, onceWith } from './job-repository.idempotency.contract.js';
import { describeListing } from './job-repository.listing.contract.js';
import { describeLiveness } from './job-repository.liveness.contract.js';
import { describeOptions } from './job-repository.options.contract.js';
import { describeStanding } from './job-repository.standing.contract.js';
import { describeSubmitting } from './job-repository.submitting.contract.js';
import { describeWorking } from './job-repository.working.contract.js';
import { describeWithin } from './job-repository.within.contract.js';
import { type RecordUnderTest, Scene } from './record-scene.js';

/** The promises of JobRepository. `setup` gives the suite one record, shared by all its tests. */
export function describeJobRepository(name: string, setup: () => Promise<RecordUnderTest>): void {
  describe(name, () => {
    let under: RecordUnderTest;

    beforeAll(async () => {
      under = await setup();
    });

    const scene = (): Scene => new Scene(under);
    const suite = { scene, record: (): RecordUnderTest => under };

    describeSubmitting(suite);
    describeIdempotency(suite);
    describeWithin(suite);
    describeListing(suite);
    describeWorking(suite);
    describeDeferring(suite);
    describeControl(suite);
    describeOptions(suite);
    describeDelivery(suite);
    describeLiveness(suite);
    describeStanding(suite);

    describe('an outage', () => {
      it('is told as such by every call, and leaves what was committed', async () => {
        const at = scene();
        const { jobs, tenant, workerId, lane, queue } = at;
        const claim = await at.claimNew();
        const { jobId: id } = claim;
        const report = { ...claim, lines: [{ at: new Date(), line: 'x' }] };
        const calls: (() => Promise<unknown>)[] = [
          () => jobs.insert([at.draft()]),
          () => jobs.insert([at.draft()], onceWith()),
          () => jobs.find(tenant, id),
          () => jobs.history(tenant, id),
          () => jobs.pulses([id]),
          () => jobs.logs(tenant, id, { afterSeq: 0, limit: 1 }),
          () => jobs.page(tenant, {}, { limit: 1 }),
          () => jobs.list(tenant, {}, { limit: 1 }),
          () => jobs.retry(tenant, id),
          () => jobs.cancel(tenant, id),
          () => jobs.runNow(tenant, id),
          () => jobs.expire(1),
          () => jobs.insert([at.draft({ dedupeKey: 'k' })]),
          () => jobs.claim({ ...claim, workerId, token: randomUUID() }),
          () => at.complete(claim),
          () => jobs.settleWith(claim, () => Promise.resolve(null)),
          () => jobs.release(claim, 'x'),
          () => jobs.releaseAll(workerId, 'x'),
          () => jobs.markAlone(claim),
          () => jobs.report(report),
          () => jobs.held(workerId),
          () => jobs.due(lane, 1),
          () => jobs.markPushed([claim]),
          () => jobs.hasBacklog(lane),
          () => jobs.leaseLanes(workerId, [lane], 1),
          () => jobs.unrelayed(),
          () => jobs.returnLanes(workerId),
          () => jobs.unclaimed(lane, { olderThan: 0, limit: 1 }),
          () => jobs.redeliver([claim]),
          () => jobs.reap(1, 1),
          () => jobs.countLive(tenant),
          () => jobs.drift(),
          () => jobs.addDrift({ lost: 1 }),
          () => jobs.pause(queue),
          () => jobs.resume(queue),
          () => jobs.pauses(),
          () => jobs.standing(tenant, id, 1),
        ];
        await under.goDown();
        try {
          for (const call of calls) await expect(call()).rejects.toBeInstanceOf(RecordUnavailable);
        } finally {
          await under.comeBack();
        }

        expect(await jobs.list(tenant, {}, { limit: 10 })).toHaveLength(1);
        // A claim need not have reached the disk; asked for again with its token, it is granted.
        expect(await jobs.claim({ ...claim, workerId })).toEqual({
          kind: 'claimed',
          claim: { ...claim, waited: expect.any(Number) },
        });
        expect(await at.complete(claim)).toBe(true);
        expect(await at.found({ id })).toMatchObject({ status: 'completed' });
      });
    });
  });
}
