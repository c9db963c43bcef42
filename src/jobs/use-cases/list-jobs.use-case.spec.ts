import { aDraft } from '../../../test/support/job-drafts.js';
import { InMemoryJobRepository } from '../in-memory-job-repository.js';
import { ListJobsUseCase } from './list-jobs.use-case.js';

async function setup(count: number) {
  const jobs = new InMemoryJobRepository();
  const made = await jobs.insert(Array.from({ length: count }, () => aDraft({ tenant: 'a', type: 'demo' })));
  await jobs.insert([aDraft({ tenant: 'a', type: 'other' }), aDraft({ tenant: 'b', type: 'demo' })]);
  return { ids: made.map(({ id }) => id).reverse(), listJobs: new ListJobsUseCase(jobs) };
}

it('pages through a tenant’s jobs that match, newest first', async () => {
  const { ids, listJobs } = await setup(5);
  const input = { tenant: 'a', filter: { types: ['demo'] }, limit: 3 };

  const first = await listJobs.execute(input);
  const second = await listJobs.execute({ ...input, before: first.next });

  expect([...first.items, ...second.items].map(({ id }) => id)).toEqual(ids);
  expect(second.next).toBeUndefined();
});

it('names no next page when the last one is just full', async () => {
  const { listJobs } = await setup(3);

  const page = await listJobs.execute({ tenant: 'a', filter: { types: ['demo'] }, limit: 3 });

  expect(page.items).toHaveLength(3);
  expect(page.next).toBeUndefined();
});

it('hands on where a page stopped that found too little', async () => {
  const { ids, listJobs } = await setup(2);
  const page = jest
    .spyOn(InMemoryJobRepository.prototype, 'page')
    .mockResolvedValue({ jobs: [], next: ids[0] });

  expect(await listJobs.execute({ tenant: 'a', filter: {}, limit: 3 })).toEqual({ items: [], next: ids[0] });
  expect(page).toHaveBeenCalledWith('a', {}, { limit: 3, before: undefined, scan: 20_000 });
});
