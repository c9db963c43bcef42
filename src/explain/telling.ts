import type { JobHistory } from '../jobs/job-repository.js';
import type { JobAttempt, JobError } from '../jobs/job.js';

const LONGEST_MESSAGE = 200;

/** The end of a job, or its attempt under way, in words; undefined for one that waits for its start. */
export function tellEnd({ job, attempts }: JobHistory): string | undefined {
  const at = (job.finishedAt ?? job.startedAt)?.toISOString() ?? '';
  const [made, budget] = [job.attemptsMade, job.options.attempts];
  switch (job.status) {
    case 'active':
      return `Attempt ${made + 1} of ${budget} has been running since ${at}.${told(tellFailure({ job, attempts }))}`;
    case 'completed':
      return `It completed on attempt ${made} of ${budget}, at ${at}.`;
    case 'failed':
      return `It failed at ${at}, after ${made} of ${budget} attempts, with ${inWords(job.error)}. POST /jobs/${job.id}/retry runs it again.`;
    case 'cancelled':
      return `It was cancelled at ${at}, after ${made} of ${budget} attempts. POST /jobs/${job.id}/retry runs it after all.`;
    default:
      return undefined;
  }
}

/** How the latest attempt of this run failed, in words, and which one is next; undefined where none has. */
export function tellFailure({ job, attempts }: JobHistory): string | undefined {
  const last = attempts.findLast(({ run }) => run === job.run);
  if (!last || last.outcome === 'completed') return undefined;

  const { attempts: budget } = job.options;
  const failed = `Attempt ${last.number} of ${budget} failed after ${lasted(last)} ms with ${inWords(last.error)}.`;
  if (job.status === 'active') return failed;
  return `${failed} Attempt ${last.number + 1} of ${budget} is due at ${job.runAt.toISOString()}.`;
}

function lasted({ startedAt, finishedAt }: JobAttempt): number {
  return finishedAt.getTime() - startedAt.getTime();
}

function inWords(error: JobError | null): string {
  return error ? `${error.code} (${shortened(error.message)})` : 'no error on record';
}

/** By characters, so that none is cut in two. */
function shortened(message: string): string {
  const characters = [...message.slice(0, LONGEST_MESSAGE * 2)];
  if (characters.length <= LONGEST_MESSAGE && message.length <= LONGEST_MESSAGE * 2) return message;
  return `${characters.slice(0, LONGEST_MESSAGE).join('')}…`;
}

function told(more: string | undefined): string {
  return more === undefined ? '' : ` ${more}`;
}
