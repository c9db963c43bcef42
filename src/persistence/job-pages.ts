import type { DataSource } from 'typeorm';
import type { JobFilter, PageRequest } from '../jobs/job-repository.js';
import { earliest, edgeQuery, listQuery, taggedQuery, type IdRange } from './list-query.js';
import { idFloor, rowsOf, timeOfId, type JobRow } from './rows.js';

const DAY = 86_400_000;

/** Looked through one after the other, so that most pages are planned over few partitions. In ms before the page. */
const WINDOWS = [3 * DAY, 30 * DAY];
/** Most filters are answered by the first few; the next step takes the rest. */
const FIRST_STEP = 1_000;
/** Tagged jobs are sorted up to this number. */
const MOST_TAGGED = 5_000;

interface PageRows {
  rows: JobRow[];
  next?: string;
}

/**
 * Pages by id, the greatest first, over a record of any size. What indexes answer is read by them alone. For the rest a
 * page looks at a bounded number of jobs: first it is found how far back these reach, then all matches down to there are
 * read, so that nothing between two pages is left out, whatever is written meanwhile.
 */
export class JobPages {
  constructor(private readonly database: DataSource) {}

  async page(tenant: string, filter: JobFilter, { limit, before, scan }: PageRequest): Promise<PageRows> {
    const rows: JobRow[] = [];
    let upper = before;
    let left = scan;
    for (const floor of windowsOf(filter, before)) {
      for (;;) {
        const range = { from: floor, before: upper };
        const step = left === scan ? Math.min(left ?? 0, FIRST_STEP) : (left ?? 0);
        const edge = left === undefined ? undefined : await this.edge(tenant, filter, range, step);
        const from = edge ?? floor;
        const wanted = { from, before: upper, limit: limit + 1 - rows.length };
        rows.push(...(await this.read(tenant, filter, wanted)));
        if (rows.length > limit) return cut(rows, limit);
        upper = from;
        if (edge === undefined || left === undefined) break;

        left -= step;
        if (left <= 0) return this.tagged(tenant, filter, { rows, next: edge }, limit);
      }
    }
    return { rows };
  }

  private read(
    tenant: string,
    filter: JobFilter,
    range: IdRange & { limit: number; among?: readonly string[] },
  ): Promise<JobRow[]> {
    const { sql, parameters } = listQuery(tenant, filter, range);
    return rowsOf<JobRow>(this.database, sql, parameters);
  }

  /** Where a step of so many jobs ends; undefined where the range has fewer to look at. */
  private async edge(
    tenant: string,
    filter: JobFilter,
    range: IdRange,
    step: number,
  ): Promise<string | undefined> {
    const query = edgeQuery(tenant, filter, range, step);
    if (!query) return undefined;
    const [edge] = await rowsOf<{ id: string }>(this.database, query.sql, query.parameters);
    return edge?.id;
  }

  /** What so many jobs do not show is rare: then the tags' index has it, unless it is common elsewhere. */
  private async tagged(tenant: string, filter: JobFilter, found: PageRows, limit: number): Promise<PageRows> {
    if (!filter.tags?.length) return found;
    const rows = [...found.rows];
    let upper = found.next;
    for (const floor of windowsOf(filter, upper)) {
      const range = { from: floor, before: upper };
      const { sql, parameters } = taggedQuery(tenant, filter, range, MOST_TAGGED + 1);
      const tagged = await rowsOf<{ id: string }>(this.database, sql, parameters);
      if (tagged.length > MOST_TAGGED) return { rows, next: upper };

      const among = tagged.map(({ id }) => id);
      if (among.length > 0)
        rows.push(...(await this.read(tenant, filter, { ...range, among, limit: limit + 1 - rows.length })));
      if (rows.length > limit) return cut(rows, limit);
      upper = floor;
    }
    return { rows };
  }
}

function cut(rows: JobRow[], limit: number): PageRows {
  return { rows: rows.slice(0, limit), next: rows[limit - 1]?.id };
}

/** Floors, from the nearest to the last, which may be none. */
function windowsOf({ createdFrom, createdTo }: JobFilter, before?: string): (string | undefined)[] {
  const lowest = createdFrom && idFloor(createdFrom);
  const upper = earliest(before, createdTo && idFloor(createdTo));
  const start = upper === undefined ? Date.now() : timeOfId(upper).getTime();
  const floors = WINDOWS.map((length) => idFloor(new Date(start - length)));
  return [...floors.filter((floor) => lowest === undefined || floor > lowest), lowest];
}
