import type { Locator, Page } from 'playwright-core';

/** Bull Board as a person handles it. */
export class BullBoardUi {
  constructor(private readonly page: Page) {}

  async open(origin: string): Promise<void> {
    await this.page.goto(`${origin}/admin/queues`);
  }

  /** From the overview to a queue. */
  async openQueue(name: string): Promise<void> {
    await this.page.locator('main').getByRole('link', { name, exact: true }).click();
    await this.tab('Latest').waitFor();
  }

  /** How many deliveries each of the tabs counts; none is no number. */
  async counts(): Promise<Record<string, number>> {
    const tabs = await this.page.locator('main a[href*="status="]').allInnerTexts();
    return Object.fromEntries(
      tabs.flatMap((text) => {
        const [, state, count] = text.match(/^(.*?)\s*(\d+)$/s) ?? [];
        return state ? [[state.toLowerCase(), Number(count)]] : [];
      }),
    );
  }

  /** The ids of the deliveries in a state. */
  async deliveries(state: 'Active' | 'Prioritised' | 'Completed' | 'Failed'): Promise<string[]> {
    await this.tab(state).click();
    const ids = this.page.locator('main a[class*="jobLink"]');
    await ids.first().waitFor();
    return ids.allInnerTexts();
  }

  /** From a list to a delivery in it. */
  async openDelivery(id: string): Promise<void> {
    await this.page.getByRole('link', { name: id }).click();
    await this.page.waitForURL(new RegExp(`/${id}(?:\\?|$)`));
  }

  /** What an open delivery says under a heading. */
  async read(heading: 'Data' | 'Error' | 'Logs' | 'Progress', wanted: string): Promise<void> {
    await this.page.getByRole('tab', { name: heading, exact: true }).click();
    await this.page.getByRole('tabpanel').getByText(wanted).first().waitFor();
  }

  /** Follows the link to the record. @returns the page that it opens */
  async openRecord(): Promise<Page> {
    const [record] = await Promise.all([
      this.page.waitForEvent('popup'),
      this.page.getByRole('link', { name: 'Record' }).first().click(),
    ]);
    await record.waitForLoadState();
    return record;
  }

  private tab(name: string): Locator {
    return this.page.locator('main').getByRole('link', { name: new RegExp(`^${name}`, 'i') });
  }
}
