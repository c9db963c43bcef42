import { Injectable } from '@nestjs/common';
import { ContradictoryOptions, ValidationFailed } from '../jobs/job.errors.js';
import type { JobFilter } from '../jobs/job-repository.js';
import { OperationRepository } from './operation-repository.js';
import { STATUSES_OF, type Operation, type OperationKind } from './operation.js';

export interface StartOperationInput {
  tenant: string;
  kind: OperationKind;
  filter: JobFilter;
}

/** Decides on all jobs that a filter matches, or counts them first. */
@Injectable()
export class StartOperationUseCase {
  constructor(private readonly operations: OperationRepository) {}

  /** @throws ValidationFailed, ContradictoryOptions, RecordUnavailable */
  execute({ tenant, kind, filter }: StartOperationInput): Promise<Operation> {
    return this.operations.start(tenant, kind, decidable(kind, filter));
  }

  /** How many jobs match now. @throws what `execute` throws */
  count({ tenant, kind, filter }: StartOperationInput): Promise<number> {
    return this.operations.count(tenant, decidable(kind, filter));
  }
}

/** A filter that says nothing would take all jobs there are: whoever wants that can name the states. */
function decidable(kind: OperationKind, filter: JobFilter): JobFilter {
  if (Object.values(filter).every((criterion) => criterion === undefined))
    throw new ValidationFailed([{ path: 'filter', message: 'must name at least one criterion' }]);

  const { statuses = [...STATUSES_OF[kind]] } = filter;
  const wrong = statuses.filter((status) => !STATUSES_OF[kind].includes(status));
  if (wrong.length > 0) {
    const message = `${kind} is for jobs that are ${STATUSES_OF[kind].join(' or ')}, not ${wrong.join(' or ')}`;
    throw new ContradictoryOptions([{ path: 'filter.status', message }]);
  }
  return { ...filter, statuses };
}
