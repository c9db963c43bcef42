import type { JobFilter } from '../jobs/job-repository.js';
import type { JobStatus } from '../jobs/job.js';

/** One decision on all jobs that a filter matches. */
export const OPERATION_KINDS = ['cancel', 'retry'] as const;

export type OperationKind = (typeof OPERATION_KINDS)[number];

/** The states in which a job can be decided on. */
export const STATUSES_OF: Record<OperationKind, readonly JobStatus[]> = {
  cancel: ['waiting', 'delayed', 'active'],
  retry: ['failed', 'cancelled'],
};

/** It takes the jobs that were there when it was started, newest first, in batches. */
export interface Operation {
  /** UUIDv7 by the database's clock. */
  id: string;
  tenant: string;
  kind: OperationKind;
  filter: JobFilter;
  status: 'running' | 'completed';
  /** Jobs that matched when it was started. */
  matched: number;
  /** Jobs that it has come to so far. */
  processed: number;
  /** Those of them that it has moved: the others had changed their state meanwhile. */
  changed: number;
  createdAt: Date;
  finishedAt: Date | null;
}
