import { quantile } from './figures.mjs';

const LIMIT = 50;
const SCAN = 20_000;
const RUNS = 100;
const PAGE = 1_000;

const ago = (days) => new Date(Date.now() - days * 86_400_000);
const lastWeek = { createdFrom: ago(10), createdTo: ago(3) };
const NAMED = {
  'no filter': {},
  type: { types: ['demo'] },
  'a rare type': { types: ['nightly_report'] },
  'a type long ago': { types: ['legacy_import'] },
  'an unknown type': { types: ['nothing'] },
  'status completed': { statuses: ['completed'] },
  'status failed': { statuses: ['failed'] },
  'status cancelled': { statuses: ['cancelled'] },
  'status waiting': { statuses: ['waiting'] },
  date: lastWeek,
  'an old date': { createdTo: ago(28) },
  'type and status completed': { types: ['send_email'], statuses: ['completed'] },
  'type and status failed': { types: ['http_request'], statuses: ['failed'] },
  'a rare type, failed': { types: ['nightly_report'], statuses: ['failed'] },
  'status and date': { statuses: ['failed'], ...lastWeek },
  'completed and date': { statuses: ['completed'], ...lastWeek },
  'type and date': { types: ['send_email'], ...lastWeek },
  'a tag': { tags: ['nightly'] },
  'a rare tag': { tags: ['customer-7'] },
  'an unknown tag': { tags: ['nothing'] },
  queue: { queue: 'default' },
};
const OTHERS = {
  'a rare queue': { queue: 'reports' },
  'an unknown queue': { queue: 'nothing' },
  'a tag of long ago': { tags: ['migration'] },
  'type and tag': { types: ['demo'], tags: ['nightly'] },
  'rare tag and failed': { tags: ['customer-7'], statuses: ['failed'] },
  'failed and queue': { statuses: ['failed'], queue: 'reports' },
  'three types': { types: ['demo', 'http_request', 'nightly_report'] },
  'all statuses': {
    statuses: ['waiting', 'delayed', 'active', 'completed', 'failed', 'cancelled'],
  },
  'all of it': {
    types: ['send_email'],
    statuses: ['completed'],
    queue: 'default',
    tags: ['nightly'],
    ...lastWeek,
  },
  'a combination that nothing meets': {
    types: ['demo'],
    statuses: ['completed'],
    queue: 'reports',
    ...lastWeek,
  },
};

/** First page, and page 1,000 or the last before it, each many times; filters by turns, so that none has the cache alone. */
export async function measureLists(repository) {
  const rows = [];
  for (const [kind, filters] of Object.entries({ 'at most 50 ms': NAMED, 'at most 200 ms': OTHERS })) {
    for (const [name, filter] of Object.entries(filters)) {
      const first = await timed(repository, filter);
      const { before, number } = await walk(repository, filter);
      const last = before && (await timed(repository, filter, before));
      rows.push([
        name,
        kind,
        p99(first),
        `${first.jobs}${first.next ? '' : ', the end'}`,
        last ? `${p99(last)} (page ${number})` : '',
      ]);
    }
  }
  return {
    notes: `Pages of ${LIMIT} jobs, p99 of ${RUNS} in ms, one after the other, from the record's own code. A page of fewer jobs than ${LIMIT} which is not the end is a short one.`,
    header: ['filter', 'asked for', 'first page', 'jobs on it', 'later page'],
    rows,
  };
}

function p99({ times }) {
  return quantile(times, 0.99).toFixed(1);
}

async function timed(repository, filter, before) {
  const times = [];
  let page;
  for (let n = 0; n < RUNS; n++) {
    const start = performance.now();
    page = await repository.page('default', filter, { limit: LIMIT, before, scan: SCAN });
    times.push(performance.now() - start);
  }
  return { times, jobs: page.jobs.length, next: page.next };
}

async function walk(repository, filter) {
  let before;
  let number = 1;
  while (number < PAGE) {
    const { next } = await repository.page('default', filter, { limit: LIMIT, before, scan: SCAN });
    if (next === undefined) break;
    before = next;
    number++;
  }
  return { before, number };
}
