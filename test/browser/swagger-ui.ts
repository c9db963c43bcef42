import type { Locator, Page } from 'playwright-core';

/** Swagger UI as a person handles it. */
export class SwaggerUi {
  private readonly submit: Locator;

  constructor(private readonly page: Page) {
    this.submit = page.locator('.opblock-post', { has: page.locator('[data-path="/jobs"]') });
  }

  async open(origin: string): Promise<void> {
    await this.page.goto(`${origin}/docs`);
    await this.submit.waitFor();
  }

  /** Opens `POST /jobs`. @returns the types with an example */
  async openSubmit(): Promise<string[]> {
    await this.submit.locator('.opblock-summary-control').click();
    const options = this.examples.locator('option');
    await options.first().waitFor({ state: 'attached' });
    const values = (await options.all()).map((option) => option.getAttribute('value'));
    return (await Promise.all(values)).map(String);
  }

  /** @returns the body as it stands in the editor then */
  async chooseExample(type: string): Promise<unknown> {
    await this.examples.selectOption(type);
    await this.submit.locator('textarea', { hasText: `"${type}"` }).waitFor();
    return JSON.parse(await this.submit.locator('textarea').inputValue());
  }

  /** Sends what is in the editor. @returns what Swagger UI shows of the answer */
  async execute(): Promise<{ status: string; body: unknown }> {
    const clear = this.submit.getByRole('button', { name: 'Clear', exact: true });
    if (await clear.isVisible()) await clear.click(); // else the last answer would be read
    await this.submit.getByRole('button', { name: 'Execute' }).click();

    const answer = this.submit.locator('.live-responses-table tbody .response');
    const body = await answer.locator('.highlight-code code').first().textContent();
    const status = await answer.locator('.response-col_status').textContent();
    return { status: status?.match(/\d+|Undocumented/)?.[0] ?? '', body: JSON.parse(body ?? '') };
  }

  async authorize(key: string): Promise<void> {
    await this.page.getByRole('button', { name: 'Authorize', exact: true }).click();
    const bearer = this.page.locator('.auth-container', { hasText: 'bearer (http, Bearer)' });
    await bearer.locator('input').fill(key);
    await bearer.getByRole('button', { name: 'Apply credentials' }).click();
    await bearer.getByRole('button', { name: 'Remove authorization' }).waitFor();
    await this.page.locator('.modal-ux').getByRole('button', { name: 'Close' }).first().click();
  }

  /** Makes the editor as small as its corner allows, so that the request and its answer are seen together. */
  async showExchange(): Promise<void> {
    await this.submit.locator('textarea').evaluate((area: { style: object }) => {
      Object.assign(area.style, { minHeight: '0', height: '120px' });
    });
    await this.submit.evaluate((block: { scrollIntoView(): void }) => block.scrollIntoView());
  }

  private get examples(): Locator {
    return this.submit.locator('.examples-select select');
  }
}
