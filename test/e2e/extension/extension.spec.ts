import { buildDocumented, buildLedger } from '../../support/extension.js';
import { startPlatform, type TestPlatform } from '../../support/platform.js';

const buildShown = () =>
  buildDocumented(
    'docs/job-types.md',
    ['From outside', 'In a transaction of your own'],
    ['dist/reminders.module.js', 'dist/orders.module.js'],
  );

interface Effect {
  key: string;
  job_id: string;
  attempt: number;
  pid: number;
}

interface OpenApiSchema {
  $ref?: string;
  oneOf?: OpenApiSchema[];
  discriminator?: { mapping: Record<string, string> };
  properties?: Record<string, OpenApiSchema>;
}

/** A module that no file of the core knows, loaded into the stock processes by EXTENSIONS. */
describe("another team's module", () => {
  let platform: TestPlatform;

  beforeAll(async () => {
    platform = await startPlatform({ env: { EXTENSIONS: [buildLedger(), ...buildShown()].join() } });
  });
  afterAll(() => platform?.stop());

  it('can be the one that the documentation shows', async () => {
    const submitted = await platform.request<{ id: string }>('POST', '/reminders/Ada');

    expect(submitted.status).toBe(202);
    expect((await platform.until(submitted.body.id, 'completed')).result).toEqual({
      text: 'Dear Ada, your invoice is 30 days old.',
    });
  });

  it('submits in a transaction of its own, as the documentation shows: a job for each order, and none without', async () => {
    const place = () => platform.request<{ jobId: string }>('POST', '/orders', { customer: 'Grace' });

    const placed = await place();
    const again = await place();

    expect([placed.status, again.status]).toEqual([201, 500]);
    expect((await platform.until(placed.body.jobId, 'completed')).data).toEqual({
      customer: 'Grace',
      days: 30,
    });
    expect(await platform.value("SELECT count(*)::int FROM jobs WHERE data->>'customer' = 'Grace'")).toBe(1);
    expect(await platform.value("SELECT count(*)::int FROM dispatch WHERE type = 'remind'")).toBe(0);
  });

  it('fails a job for good with what it imports from the platform', async () => {
    const { id } = await platform.submit('remind', { customer: 'Ada', days: 400 });

    expect(await platform.until(id, 'failed')).toMatchObject({
      attemptsMade: 1,
      error: { code: 'TOO_LATE' },
    });
  });

  it('has its types in the catalogue, with their schemas', async () => {
    const { body } = await platform.request<{ items: { name: string; queue: string }[] }>(
      'GET',
      '/job-types',
    );
    const types = new Map(body.items.map((type) => [type.name, type]));

    expect([...types.keys()]).toEqual([...types.keys()].sort());
    expect(types.get('record_effect')).toMatchObject({
      description: 'Writes one line into the ledger.',
      queue: 'default',
      jsonSchema: { required: ['key'], additionalProperties: false },
      example: { key: 'invoice 7' },
    });
    expect(types.get('record_in_line')?.queue).toBe('line');
    expect(types.has('send_email')).toBe(true);
  });

  it('has its types among those that POST /jobs takes, in the OpenAPI document', async () => {
    const { body } = await platform.request<{ components: { schemas: Record<string, OpenApiSchema> } }>(
      'GET',
      '/docs-json',
    );
    const { schemas } = body.components;

    expect(schemas['Submit']?.oneOf).toContainEqual({ $ref: '#/components/schemas/record_effect' });
    expect(schemas['Submit']?.discriminator?.mapping['record_effect']).toBe(
      '#/components/schemas/record_effect',
    );
    const data = schemas['record_effect']?.properties?.['data']?.$ref ?? '';
    expect(schemas[data.split('/').at(-1) ?? '']).toMatchObject({ properties: { key: { type: 'string' } } });
  });

  it('has its data validated', async () => {
    const refused = await platform.request('POST', '/jobs', {
      type: 'record_effect',
      data: { key: '', no: 1 },
    });

    expect(refused).toMatchObject({
      status: 400,
      body: { code: 'VALIDATION_FAILED', errors: [{ path: 'data.key' }, { path: 'data.no' }] },
    });
  });

  it('runs in the worker, with its provider injected', async () => {
    const { id } = await platform.submit('record_effect', { key: 'injected' });

    expect((await platform.until(id, 'completed')).result).toEqual({ recorded: 'injected' });
    expect(await effectsOf('injected')).toEqual([
      { key: 'injected', job_id: id, attempt: 1, pid: platform.workers[0]?.pid },
    ]);
  });

  it('writes in the transaction that settles the job, and leaves nothing of an attempt that failed', async () => {
    const { id } = await platform.submit('record_once', { key: 'once', fail: true });

    expect(await platform.until(id, 'completed')).toMatchObject({
      result: { recorded: 'once' },
      attempts: [{ outcome: 'failed', error: { message: 'after the effect' } }, { outcome: 'completed' }],
    });
    expect(await effectsOf('once')).toEqual([expect.objectContaining({ job_id: id, attempt: 2 })]);
  });

  it('is served in a queue of its own', async () => {
    const { id, queue } = await platform.submit('record_in_line', { key: 'in line' });

    expect(queue).toBe('line');
    await platform.until(id, 'completed');
    expect(await effectsOf('in line')).toHaveLength(1);
  });

  it("has its handlers' providers in the worker alone", async () => {
    const openings = await platform.sql<{ pid: number }>('SELECT pid FROM ledger_openings');

    expect(openings.map(({ pid }) => pid)).toEqual(platform.workers.map(({ pid }) => pid));
  });

  it('submits through the use case', async () => {
    const { status, body } = await platform.request<{ jobId: string }>('POST', '/ledger/submitted');

    expect(status).toBe(202);
    await platform.until(body.jobId, 'completed');
    expect(await effectsOf('submitted')).toEqual([expect.objectContaining({ job_id: body.jobId })]);
  });

  function effectsOf(key: string): Promise<Effect[]> {
    return platform.sql<Effect & Record<string, unknown>>(
      'SELECT key, job_id, attempt, pid FROM effects WHERE key = $1',
      [key],
    );
  }
});
