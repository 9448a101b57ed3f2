// Makes the README's pictures in docs/images: one login in the terminal, and two pages. scripts/pictures runs it.
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { openGallery } from './gallery.mjs';
import { run, startDemo } from './process.mjs';
import { terminal } from './terminal.mjs';

const root = fileURLToPath(new URL('../..', import.meta.url));
const images = join(root, 'docs/images');
const SERVER = 'http://localhost:3111';
// The code on the gallery's pages.
const CODE = 'BCDF-GHJK';

const gallery = await openGallery();
mkdirSync(images, { recursive: true });
try {
  writeFileSync(join(images, 'terminal.svg'), terminal(`npx postiz auth:login --auth-server ${SERVER}`, await login()));
  for (const colorScheme of ['light', 'dark']) {
    const page = await gallery.browser.newPage({ viewport: { width: 560, height: 790 }, deviceScaleFactor: 2, colorScheme });
    // Playwright itself takes no WebP, which is half as large as PNG.
    const chromium = await page.context().newCDPSession(page);
    for (const [picture, name] of [['confirm', 'confirm'], ['done', 'done-signed-in']]) {
      await page.goto(gallery.url(name));
      const { data } = await chromium.send('Page.captureScreenshot', { format: 'webp', quality: 90 });
      writeFileSync(join(images, `${picture}-${colorScheme}.webp`), data, 'base64');
    }
    await page.close();
  }
} finally {
  await gallery.close();
}

// Runs the CLI against the demo and approves in Chromium. Returns what the CLI prints before and after the approval. The
// address, the code and the home directory differ at each run, so the pictures show fixed ones.
async function login() {
  const home = mkdtempSync(join(tmpdir(), 'postiz-home-'));
  const demo = startDemo(['--home', home]);
  try {
    const server = await demo.heard(/--auth-server (\S+)/);
    // PATH contains node, and no program that opens a browser.
    const environment = { HOME: home, PATH: join(process.execPath, '..') };
    const cli = run(process.execPath, [process.env.POSTIZ_CLI, 'auth:login', '--auth-server', server], environment);
    const code = await cli.heard(/([A-Z]{4}-[A-Z]{4})/);
    await cli.heard(/(Waiting)/);
    const waiting = cli.lines.length;
    const page = await gallery.browser.newPage();
    await page.goto(`${server}/device/verify?code=${code}`);
    await page.click('button[value=continue]');
    await page.click('button[value=approve]');
    await cli.heard(/(Organization)/);
    await page.close();
    const lines = cli.lines.map((line) => line.replace(server, SERVER).replace(code, CODE).replace(home, '/home/you'));
    return { before: lines.slice(0, waiting), after: lines.slice(waiting) };
  } finally {
    await demo.end();
    rmSync(home, { recursive: true });
  }
}
