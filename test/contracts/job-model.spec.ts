import { InMemoryJobRepository } from '../../src/jobs/in-memory-job-repository.js';
import { checkAgainstModel, freshScene } from './job-model.js';

it("the record's twin does what the state machine says, whatever is done in whatever order", async () => {
  await checkAgainstModel(() => {
    const jobs = new InMemoryJobRepository();
    return { jobs, advance: async (ms) => jobs.advance(ms), ...freshScene() };
  }, 2_000);
});
