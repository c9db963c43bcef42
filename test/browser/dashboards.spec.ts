import type { Browser, BrowserContextOptions, Page, Response } from 'playwright-core';
import { startBrowser, Visitor } from '../support/browser.js';
import type { JobView } from '../support/platform.js';
import { BullBoardUi } from './bull-board.js';
import { takePicture } from './picture.js';
import { type Scene, startScene } from './scene.js';
import { SwaggerUi } from './swagger-ui.js';

const KEY = 'a-key-for-the-tests-0123456789';
/** What the address bar says, as with docker-compose.yml. */
const API = 'http://localhost:3000';
const DASHBOARD = 'http://localhost:3001';
const KEYED_API = 'http://localhost:3002';
const KEYED_DASHBOARD = 'http://localhost:3003';

let scene: Scene;
let browser: Browser;
let visitor: Visitor;

beforeAll(async () => {
  scene = await startScene({ CORS_ORIGINS: `${DASHBOARD},${KEYED_DASHBOARD}` });
  const [keyed, dashboard, keyedDashboard] = await Promise.all([
    scene.platform.startApi({ API_KEYS: KEY }),
    scene.startDashboard({ API_PUBLIC_URL: API }),
    scene.startDashboard({ API_PUBLIC_URL: KEYED_API, API_KEYS: KEY }),
  ]);
  browser = await startBrowser({
    'localhost:3000': scene.platform.url,
    'localhost:3001': dashboard,
    'localhost:3002': keyed.url,
    'localhost:3003': keyedDashboard,
  });
});
afterAll(async () => {
  await browser?.close();
  await scene?.stop();
});
afterEach(async () => {
  const complaints = visitor.complaints;
  await visitor.leave();
  expect(complaints).toEqual([]);
});

async function enter(origins: string[], options?: BrowserContextOptions): Promise<Page> {
  visitor = await Visitor.enter(browser, origins, options);
  return visitor.page;
}

describe('in the API', () => {
  let page: Page;

  beforeEach(async () => {
    page = await enter([API]);
  });

  it('the first page leads to both', async () => {
    await page.goto(API);
    await takePicture(page, 'home');

    await page.getByRole('link', { name: 'API' }).click();
    await page.getByRole('heading', { name: 'Job Queue Management Platform' }).waitFor();
    await page.goBack();
    await page.getByRole('link', { name: 'Queues' }).click();
    await page.locator('main').getByRole('link', { name: 'default', exact: true }).waitFor();
  });

  it('Swagger UI submits the example of each type', async () => {
    const swagger = new SwaggerUi(page);
    await swagger.open(API);
    const types = await swagger.openSubmit();
    expect(types).toEqual(['demo', 'http_request', 'send_email']);

    // The worker is busy, so that no request leaves this machine.
    for (const type of types) await submitExample(swagger, type);

    await page.setViewportSize({ width: 1280, height: 1160 });
    await swagger.showExchange();
    await takePicture(page, 'swagger-ui');
  });

  it('Bull Board counts what is in the queue, and changes nothing', async () => {
    const board = new BullBoardUi(page);
    await board.open(API);
    await board.openQueue('default');

    // A delay and a back-off are spent in the record: only what is due is in the queue.
    expect(await board.counts()).toMatchObject({ active: 2, completed: 6, failed: 5 });
    expect(await board.deliveries('Active')).toContain(`${scene.jobs.active.id}_1`);
    expect(await board.deliveries('Prioritised')).toContain(`${scene.jobs.waiting.id}_1`);
    expect(
      await page.getByRole('button', { name: /retry|clean|pause|promote|remove|empty|add/i }).count(),
    ).toBe(0);
  });

  it('Bull Board shows each attempt as a delivery with its outcome', async () => {
    const { retried, failed, backingOff } = scene.jobs;
    const board = new BullBoardUi(page);
    await board.open(API);
    await board.openQueue('default');

    expect((await board.deliveries('Failed')).sort()).toEqual(
      [`${retried.id}_1`, `${retried.id}_2`, `${failed.id}_1`, `${failed.id}_2`, `${backingOff.id}_1`].sort(),
    );
    expect(await board.deliveries('Completed')).toContain(`${retried.id}_3`);
  });

  it('Bull Board opens a delivery: error, data, progress, logs, and the record', async () => {
    const { retried } = scene.jobs;
    const board = new BullBoardUi(page);
    await board.open(API);
    await board.openQueue('default');
    await board.deliveries('Completed');
    await takePicture(page, 'bull-board');

    await board.deliveries('Failed');
    await board.openDelivery(`${retried.id}_2`);
    await board.read('Error', 'demo failure 2 of 2');
    await board.read('Data', `/jobs/${retried.id}`);
    await board.read('Data', 'failAttempts');
    await board.read('Progress', 'step 3 of 3');
    await board.read('Logs', 'step 2 of 3 done');
    await takePicture(page, 'bull-board-job');

    const record = await board.openRecord();
    expect(record.url()).toBe(`${API}/jobs/${retried.id}`);
    expect(await recordIn(record)).toMatchObject({ id: retried.id, status: 'completed', attemptsMade: 3 });
  });
});

describe('where API_KEYS is set', () => {
  it.each(['/', '/docs', '/admin/queues'])('asks who opens %s, and shows nothing to others', async (path) => {
    const page = await enter([KEYED_API]);
    const answer = await refusalOf(page, `${KEYED_API}${path}`);

    expect(answer.status()).toBe(401);
    expect(await answer.headerValue('www-authenticate')).toMatch(/^Basic realm="jobs"/);
    expect(await page.locator('body').innerText()).toBe('');
    expectOnlyRefusals(visitor, 401);
  });

  it('does not take a wrong key', async () => {
    const page = await enter([KEYED_API], credentials('a-key-that-is-not-known'));

    expect((await refusalOf(page, `${KEYED_API}/docs`)).status()).toBe(401);
    expectOnlyRefusals(visitor, 401);
  });

  it('lets in who gives a key as the password, and both UIs work', async () => {
    const page = await enter([KEYED_API], credentials(KEY));
    await page.goto(KEYED_API);
    await page.getByText('Authorization: Bearer $API_KEY').waitFor();

    await followToRecord(page, KEYED_API, KEYED_API);
  });

  it('Swagger UI submits once it is authorized', async () => {
    const page = await enter([KEYED_API], credentials(KEY));
    const swagger = new SwaggerUi(page);
    await swagger.open(KEYED_API);
    await swagger.openSubmit();

    await swagger.chooseExample('demo');
    expect(await swagger.execute()).toMatchObject({ status: '401', body: { code: 'UNAUTHORIZED' } });
    expectOnlyRefusals(visitor, 401);

    await swagger.authorize(KEY);
    await submitExample(swagger, 'send_email');
  });
});

describe('in a process of their own', () => {
  it('Swagger UI calls the API at its own address', async () => {
    const page = await enter([DASHBOARD, API]);
    const swagger = new SwaggerUi(page);
    await swagger.open(DASHBOARD);
    await swagger.openSubmit();

    const called = page.waitForRequest((request) => request.method() === 'POST');
    await submitExample(swagger, 'demo');
    expect((await called).url()).toBe(`${API}/jobs`);
  });

  it('Bull Board shows a delivery, and leads to the record in the API', async () => {
    await followToRecord(await enter([DASHBOARD, API]), DASHBOARD, API);
  });

  it('both work with API keys', async () => {
    const page = await enter([KEYED_DASHBOARD, KEYED_API], credentials(KEY));
    await followToRecord(page, KEYED_DASHBOARD, KEYED_API);

    const swagger = new SwaggerUi(page);
    await swagger.open(KEYED_DASHBOARD);
    await swagger.authorize(KEY);
    await swagger.openSubmit();
    await submitExample(swagger, 'demo');
  });

  it('have no route that submits or reads', async () => {
    const page = await enter([DASHBOARD]);
    const answer = await page.goto(`${DASHBOARD}/jobs/${scene.jobs.email.id}`);

    expect(answer?.status()).toBe(404);
    expectOnlyRefusals(visitor, 404);
  });
});

/** What a page is answered whose visitor does not answer the browser's question for a password. */
async function refusalOf(page: Page, url: string): Promise<Response> {
  const [answer] = await Promise.all([page.waitForResponse(url), page.goto(url).catch(() => undefined)]);
  return answer;
}

async function submitExample(swagger: SwaggerUi, type: string): Promise<void> {
  const sent = (await swagger.chooseExample(type)) as { data: unknown };
  const { status, body } = await swagger.execute();

  expect(status).toBe('202');
  const { id } = body as JobView;
  expect(await scene.platform.job(id)).toMatchObject({ type, data: sent.data });
}

async function followToRecord(page: Page, origin: string, api: string): Promise<void> {
  const { failed } = scene.jobs;
  const board = new BullBoardUi(page);
  await board.open(origin);
  await board.openQueue('default');
  await board.deliveries('Failed');
  await board.openDelivery(`${failed.id}_2`);
  await board.read('Error', 'demo failure 2 of 9');
  await board.read('Logs', 'step 2 of 2 done');

  const record = await board.openRecord();
  expect(record.url()).toBe(`${api}/jobs/${failed.id}`);
  expect(await recordIn(record)).toMatchObject({ id: failed.id, status: 'failed' });
  await record.close(); // else the first page stays in the background, where browsers draw once a second
}

/** The JSON that the browser shows. */
async function recordIn(page: Page): Promise<unknown> {
  return JSON.parse(await page.locator('pre').innerText());
}

/** What the console tells of a refusal that the test has asked for; anything else stays a complaint. */
function expectOnlyRefusals({ complaints }: Visitor, status: number): void {
  const refusal = new RegExp(
    `^(?:${status}: |console: .*status of ${status} |failed: .*INVALID_AUTH_CREDENTIALS)`,
  );
  expect(complaints.filter((complaint) => !refusal.test(complaint))).toEqual([]);
  expect(complaints.splice(0)).not.toEqual([]);
}

function credentials(key: string): BrowserContextOptions {
  return { httpCredentials: { username: 'anyone', password: key } };
}
