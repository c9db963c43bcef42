import { writeFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import type { Page } from 'playwright-core';

const MOST_BYTES = 200_000;

/** Takes a picture for the docs; it is kept where DOCS_IMAGES is set (`npm run docs:images`), else only looked at. */
export async function takePicture(page: Page, name: string): Promise<void> {
  await page.mouse.move(0, 0);
  const picture = await page.screenshot({ animations: 'disabled' });

  const size = page.viewportSize();
  expect([picture.readUInt32BE(16), picture.readUInt32BE(20)]).toEqual([size?.width, size?.height]);
  expect(picture.length).toBeLessThan(MOST_BYTES);
  if (process.env.DOCS_IMAGES)
    writeFileSync(fileURLToPath(new URL(`../../docs/images/${name}.png`, import.meta.url)), picture);
}
