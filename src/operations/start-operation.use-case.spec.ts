import { InMemoryJobRepository } from '../jobs/in-memory-job-repository.js';
import { ContradictoryOptions, ValidationFailed } from '../jobs/job.errors.js';
import { InMemoryOperationRepository } from './in-memory-operation-repository.js';
import { StartOperationUseCase } from './start-operation.use-case.js';

const start = new StartOperationUseCase(new InMemoryOperationRepository(new InMemoryJobRepository()));
const tenant = 'default';

it('refuses a filter that takes everything because it says nothing', async () => {
  const refused = () => start.execute({ tenant, kind: 'cancel', filter: { types: undefined } });

  expect(refused).toThrow(ValidationFailed);
  expect(refused).toThrow('filter: must name at least one criterion');
});

it('refuses states in which nothing can be decided', () => {
  const refused = () =>
    start.count({ tenant, kind: 'cancel', filter: { statuses: ['waiting', 'completed'] } });

  expect(refused).toThrow(ContradictoryOptions);
  expect(refused).toThrow(
    'filter.status: cancel is for jobs that are waiting or delayed or active, not completed',
  );
});

it('takes all states in which something can be decided where none is named', async () => {
  expect(await start.execute({ tenant, kind: 'retry', filter: { queue: 'default' } })).toMatchObject({
    filter: { queue: 'default', statuses: ['failed', 'cancelled'] },
  });
});
