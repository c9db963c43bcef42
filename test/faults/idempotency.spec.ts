import type { Submission } from './support/load.js';
import { scaled } from './support/scale.js';
import { scenario } from './support/scenario.js';

const KEYS = scaled(100);
const TIMES = 100;

describe('one key, sent many times at once', () => {
  scenario('a hundred POSTs with one Idempotency-Key', { backends: ['redis', 'postgres'] }, async (trial) => {
    const { platform } = trial;
    const [first, second] = await Promise.all([trial.api(), trial.api(), trial.worker()]);
    const load = trial.load({
      urls: [first.url, second.url],
      submissions: repeated(),
      connections: 100,
      repeats: true,
    });
    await load.done;

    trial.exactly('answers other than 202', load.refused, 0);
    trial.exactly('jobs', await platform.value('SELECT count(*)::int FROM jobs'), KEYS);
    trial.exactly('jobs that clients were told of', new Set(load.accepted).size, KEYS);
  });
});

function* repeated(): Iterable<Submission> {
  for (let key = 0; key < KEYS; key++) {
    const headers = { 'Idempotency-Key': `key-${key}` };
    const submission = { body: { type: 'effects', data: { note: `job ${key}` } }, headers };
    for (let time = 0; time < TIMES; time++) yield submission;
  }
}
