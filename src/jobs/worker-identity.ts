import { randomUUID } from 'node:crypto';
import { hostname } from 'node:os';
import type { WorkerRecord } from './delivery/heartbeat.js';

/** Who this worker process is: a new id for each start, so that a restarted host is another worker. */
export class WorkerIdentity implements WorkerRecord {
  readonly id = randomUUID();
  readonly host = hostname();
  readonly pid = process.pid;

  constructor(
    readonly queues: WorkerRecord['queues'],
    readonly types: WorkerRecord['types'] = [],
  ) {}
}
