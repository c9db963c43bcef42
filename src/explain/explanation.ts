import type { StartEstimate } from './estimate.js';
import type { JobStatus } from '../jobs/job.js';

export const GATES = ['delayed', 'paused', 'no_worker', 'not_relayed', 'behind', 'alone'] as const;

/**
 * delayed: not due yet. paused: its queue is. no_worker: none lives that serves its queue and knows its type.
 * not_relayed: due, and the queue does not have it yet. behind: others go before it. alone: it has crashed its process
 * before, and starts only where nothing else runs.
 */
export type GateKind = (typeof GATES)[number];

/** One thing between a job and its start. */
export interface Gate {
  gate: GateKind;
  reason: string;
  /** What would open it. */
  opens: string;
}

/** Why a job is not running, and when it should; or what became of it. */
export interface Explanation {
  id: string;
  status: JobStatus;
  /** The whole in a sentence or two. */
  summary: string;
  gates: Gate[];
  /** Jobs that go before it; `atLeast`: it was not counted further. Null unless it waits for its start. */
  position: { ahead: number; atLeast: boolean } | null;
  /** Null where it does not wait, or where nobody can tell. */
  startsAt: StartEstimate | null;
}
