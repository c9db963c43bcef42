/**
 * The platform's own API, of which the record's insert and the relay do nothing: what Nest, validation and the view of a
 * job cost by themselves. `npm run build` must have run.
 */
import { randomUUID } from 'node:crypto';
import { startApi } from '../../dist/boot/start-api.js';
import { parseConfig } from '../../dist/config/parse-config.js';
import { OutboxRelay } from '../../dist/jobs/delivery/outbox-relay.js';
import { JobRepository } from '../../dist/jobs/job-repository.js';
import { newJob } from '../../dist/persistence/job-inserts.js';
import { platformOf } from '../../dist/platform.js';

const app = await startApi(platformOf(parseConfig(process.env, 'main'), []));

app.get(JobRepository, { strict: false }).insert = async (drafts) =>
  drafts.map((draft) => newJob(draft, { id: randomUUID(), run_at: new Date(0) }, 1));
app.get(OutboxRelay, { strict: false }).wake = () => undefined;
console.log('ready');
