import { accessSync, constants } from 'node:fs';
import { delimiter, join } from 'node:path';
import { type BrowserContextOptions, chromium, type Browser, type Page } from 'playwright-core';
import { afterThisFile } from './child.js';

const NAMES = ['chromium', 'chromium-browser', 'google-chrome', 'google-chrome-stable'];
const ELSEWHERE = [
  '/Applications/Chromium.app/Contents/MacOS/Chromium',
  '/Applications/Google Chrome.app/Contents/MacOS/Google Chrome',
];

const FLAGS = [
  '--disable-gpu',
  '--disable-quic',
  '--no-first-run',
  '--disable-background-networking',
  '--disable-component-update',
  '--disable-sync',
];

/**
 * Starts a Chromium of the test's own, without a window.
 * @param hosts the only ones that it finds: where each is in truth, by the `host:port` in its address bar. So pages have
 * the addresses of an installation, whatever ports the test got.
 * @throws Error that says what to install
 */
export async function startBrowser(hosts: Record<string, string>): Promise<Browser> {
  const rules = Object.entries(hosts).map(([name, url]) => `MAP ${name} ${new URL(url).host}`);
  const browser = await chromium.launch({
    executablePath: chromiumPath(),
    chromiumSandbox: false, // root may not use it, and every page is our own
    args: [...FLAGS, `--host-resolver-rules=${[...rules, 'MAP * ~NOTFOUND'].join(', ')}`],
  });
  const forget = afterThisFile(() => browser.close());
  browser.on('disconnected', forget);
  return browser;
}

/** One person's browser: a page, and all that goes wrong on it. */
export class Visitor {
  /** What was not clean so far: console, policy, requests. */
  readonly complaints: string[] = [];

  private constructor(
    readonly page: Page,
    private readonly origins: readonly string[],
  ) {
    const context = page.context();
    context.on('console', (message) => {
      const { url } = message.location();
      // A document that is no page, such as a job's JSON, has no icon; browsers ask for one and tell that there is none.
      if (['error', 'warning'].includes(message.type()) && !url.endsWith('/favicon.ico'))
        this.complain('console', `${message.text()} (${url})`);
    });
    context.on('weberror', (error) => this.complain('thrown', String(error.error())));
    context.on('request', (request) => {
      if (!this.isKnown(request.url())) this.complain('another host', request.url());
    });
    context.on('requestfailed', (request) => {
      const reason = request.failure()?.errorText ?? '';
      // A page that is left breaks off what it polls.
      if (reason !== 'net::ERR_ABORTED') this.complain('failed', `${request.url()} ${reason}`);
    });
    context.on('response', (response) => {
      if (response.status() >= 400) this.complain(String(response.status()), response.url());
    });
  }

  /** @param origins the only ones that pages may ask */
  static async enter(
    browser: Browser,
    origins: readonly string[],
    options: BrowserContextOptions = {},
  ): Promise<Visitor> {
    const context = await browser.newContext({
      viewport: { width: 1280, height: 800 },
      colorScheme: 'light',
      reducedMotion: 'reduce',
      locale: 'en-GB',
      timezoneId: 'UTC',
      ...options,
    });
    context.setDefaultTimeout(20_000);
    return new Visitor(await context.newPage(), origins);
  }

  async leave(): Promise<void> {
    await this.page.context().close();
  }

  private isKnown(url: string): boolean {
    return /^(?:data|blob|about):/.test(url) || this.origins.includes(new URL(url).origin);
  }

  private complain(kind: string, what: string): void {
    this.complaints.push(`${kind}: ${what}`);
  }
}

/** TEST_CHROMIUM, else the first that is installed. */
function chromiumPath(): string {
  const onPath = (process.env.PATH ?? '')
    .split(delimiter)
    .flatMap((folder) => NAMES.map((name) => join(folder, name)));
  const chosen = process.env.TEST_CHROMIUM;
  const found = (chosen ? [chosen] : [...onPath, ...ELSEWHERE]).find(isExecutable);
  if (found) return found;

  throw new Error(
    'no Chromium: install it (Debian, Ubuntu: `apt-get install chromium`; macOS: `brew install --cask chromium`), ' +
      'or set TEST_CHROMIUM to one',
  );
}

function isExecutable(file: string): boolean {
  try {
    accessSync(file, constants.X_OK);
    return true;
  } catch {
    return false;
  }
}
