// Takes a picture of every page: node screenshots.mjs [LANGUAGE]...
import { mkdirSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { openGallery } from './gallery.mjs';

const gallery = await openGallery();
const directory = fileURLToPath(new URL('screenshots', import.meta.url));
mkdirSync(directory, { recursive: true });
const languages = process.argv.length > 2 ? process.argv.slice(2) : ['en'];
for (const width of [320, 1280]) {
  for (const colorScheme of ['dark', 'light']) {
    const page = await gallery.browser.newPage({ viewport: { width, height: 640 }, colorScheme });
    for (const language of languages) {
      for (const name of gallery.pages) {
        await page.goto(gallery.url(name, language));
        await page.screenshot({ path: join(directory, `${name}.${language}.${width}.${colorScheme}.png`), fullPage: true });
      }
    }
    await page.close();
  }
}
await gallery.close();
