import type { JobDraft } from '../../src/jobs/job.js';

/** A draft as a submit makes it; `json` follows from `data`. */
export function aDraft({ data = { n: 1 }, ...more }: Partial<JobDraft> = {}): JobDraft {
  return {
    tenant: 'default',
    type: 'send_email',
    queue: 'default',
    data,
    json: JSON.stringify(data),
    options: { priority: 100, attempts: 3, backoff: { kind: 'fixed', delay: 1_000 }, timeout: 30_000 },
    ...more,
  };
}
