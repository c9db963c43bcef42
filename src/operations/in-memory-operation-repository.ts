import { randomUUID } from 'node:crypto';
import type { JobFilter, JobRepository } from '../jobs/job-repository.js';
import { IllegalTransition } from '../jobs/job.errors.js';
import { OperationRepository } from './operation-repository.js';
import type { Operation, OperationKind } from './operation.js';

interface Kept extends Operation {
  /** Ids that it has not come to yet, in its order. */
  left: string[];
}

/** The twin for tests, over any record of jobs. */
export class InMemoryOperationRepository extends OperationRepository {
  private readonly kept: Kept[] = [];

  constructor(private readonly jobs: JobRepository) {
    super();
  }

  async count(tenant: string, filter: JobFilter): Promise<number> {
    return (await this.jobs.list(tenant, filter, { limit: Infinity })).length;
  }

  async start(tenant: string, kind: OperationKind, filter: JobFilter): Promise<Operation> {
    const left = (await this.jobs.list(tenant, filter, { limit: Infinity })).map(({ id }) => id);
    const operation: Kept = {
      ...{ id: randomUUID(), tenant, kind, filter, status: 'running', matched: left.length, processed: 0 },
      ...{ changed: 0, createdAt: new Date(), finishedAt: null, left },
    };
    this.kept.push(operation);
    return shown(operation);
  }

  async find(tenant: string, id: string): Promise<Operation | undefined> {
    const found = this.kept.find((operation) => operation.id === id && operation.tenant === tenant);
    return Promise.resolve(found && shown(found));
  }

  async step(limit: number): Promise<Operation | undefined> {
    const operation = this.kept.find(({ status }) => status === 'running');
    if (!operation) return undefined;

    const ids = operation.left.splice(0, limit);
    for (const id of ids) if (await this.decide(operation, id)) operation.changed++;
    operation.processed += ids.length;
    if (ids.length < limit) Object.assign(operation, { status: 'completed', finishedAt: new Date() });
    return shown(operation);
  }

  private async decide({ tenant, kind }: Operation, id: string): Promise<boolean> {
    try {
      return (await this.jobs[kind](tenant, id)) !== undefined;
    } catch (error) {
      if (error instanceof IllegalTransition) return false;
      throw error;
    }
  }
}

function shown({ left: _left, ...operation }: Kept): Operation {
  return { ...operation };
}
