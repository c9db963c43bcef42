import type { QueuePause, Standing } from '../jobs/job-repository.js';
import type { Job } from '../jobs/job.js';
import type { WorkerState } from '../workers/worker-repository.js';
import type { Gate } from './explanation.js';

/** Jobs before one are counted up to this: beyond it a number tells nobody more, and costs. */
export const MOST_COUNTED = 10_000;

/** From so many crashes on a job runs alone. */
const SUSPECT_AFTER = 2;

/** What is known of a job that waits for its start. */
export interface Waiting {
  job: Job;
  standing: Standing;
  pause: QueuePause | undefined;
  /** Of the whole installation. */
  workers: readonly WorkerState[];
  /** Jobs of its lane that may run at once. */
  slots: number;
}

/** Those that live, serve the job's queue, and know its type or do not say what they know. */
export function workersFor({ queue, type }: Job, workers: readonly WorkerState[]): WorkerState[] {
  return workers.filter(
    (worker) => !worker.stale && worker.queues.some(({ name }) => name === queue) && knows(worker, type),
  );
}

/** All that stands between a job and its start, the first to be opened first. */
export function gatesOf(waiting: Waiting): Gate[] {
  return [delayed, paused, noWorker, notRelayed, behind, alone].flatMap((gateOf) => gateOf(waiting) ?? []);
}

function delayed({ job, standing }: Waiting): Gate | undefined {
  if (job.runAt <= standing.at) return undefined;
  const until = job.runAt.toISOString();
  return {
    gate: 'delayed',
    reason: job.attemptsMade > 0 ? `Its next attempt is due at ${until}.` : `It is due at ${until}.`,
    opens: `The clock, at ${until}; or at once, POST /jobs/${job.id}/run-now.`,
  };
}

function paused({ job, pause }: Waiting): Gate | undefined {
  if (!pause) return undefined;
  return {
    gate: 'paused',
    reason: `The queue ${job.queue} is paused since ${pause.since.toISOString()}.`,
    opens: `POST /queues/${job.queue}/resume.`,
  };
}

function noWorker({ job, workers }: Waiting): Gate | undefined {
  if (workersFor(job, workers).length > 0) return undefined;
  const served = workers.some(({ stale, queues }) => !stale && queues.some(({ name }) => name === job.queue));
  return {
    gate: 'no_worker',
    reason: served
      ? `Workers serve the queue ${job.queue}, but none of them has a handler for ${job.type}.`
      : `No live worker serves the queue ${job.queue}.`,
    opens: served
      ? `The start of a worker that has the job type ${job.type}.`
      : `The start of a worker that serves it (WORKER_QUEUES=${job.queue}, or none named).`,
  };
}

function notRelayed({ job, standing, pause }: Waiting): Gate | undefined {
  if (standing.pushed || pause || job.runAt > standing.at) return undefined;
  return standing.relayed
    ? {
        gate: 'not_relayed',
        reason: `The queue does not have it yet: it waits in the record.`,
        opens: `The relay, within a second once the queue has room and answers.`,
      }
    : {
        gate: 'not_relayed',
        reason: `No process relays the queue ${job.queue} at the moment.`,
        opens: `The start of an API or a worker that knows a job type of this queue; a running one takes over in seconds.`,
      };
}

function behind({ job, standing: { ahead, active }, slots }: Waiting): Gate | undefined {
  if (ahead === 0 && active < slots) return undefined;
  const before = ahead === 1 ? '1 job goes' : `${many(ahead)} jobs go`;
  return {
    gate: 'behind',
    reason: `${ahead === 0 ? 'No job goes' : before} before it, and ${active} of its queue run now.`,
    opens: `Their end; more workers for the queue ${job.queue}; or a more urgent priority than ${job.options.priority}.`,
  };
}

function alone({ standing: { crashes } }: Waiting): Gate | undefined {
  if (crashes < SUSPECT_AFTER) return undefined;
  return {
    gate: 'alone',
    reason: `${crashes} processes died with this job in hand, so that it runs alone.`,
    opens: `A worker that has nothing else to do.`,
  };
}

function knows({ types }: WorkerState, type: string): boolean {
  return types === null || types.includes(type);
}

function many(ahead: number): string {
  return ahead >= MOST_COUNTED ? `At least ${MOST_COUNTED}` : String(ahead);
}
