import type { JobDraft } from '../../../src/jobs/job.js';

/** Noted on a job that PostgreSQL is to refuse, though every check before it has let it pass. */
export const POISON = 'poison';

/** Such a draft gets a priority that its column cannot hold: class 22, which no input can bring about. */
export function poisoned(draft: JobDraft): JobDraft {
  const { data } = draft;
  const isPoison = typeof data === 'object' && data !== null && 'note' in data && data['note'] === POISON;
  return isPoison ? { ...draft, options: { ...draft.options, priority: 1_000_000 } } : draft;
}
