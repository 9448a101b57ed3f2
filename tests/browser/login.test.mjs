// Whole logins with the CLI from npm, Chromium, the server, and the stand-in Postiz on another origin.
import assert from 'node:assert/strict';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { createServer, request } from 'node:http';
import { createRequire } from 'node:module';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { launch } from './gallery.mjs';
import { run, startDemo } from './process.mjs';

const axe = readFileSync(createRequire(import.meta.url).resolve('axe-core/axe.min.js'), 'utf8');

let demo, server, browser;
before(async () => {
  demo = startDemo();
  server = await demo.heard(/--auth-server (\S+)/);
  browser = await launch();
});
after(async () => {
  await browser?.close();
  await demo?.end();
});

// A terminal with its own home directory that polls for its token.
async function terminal(test) {
  const home = mkdtempSync(join(tmpdir(), 'postiz-home-'));
  test.after(() => rmSync(home, { recursive: true }));
  // PATH contains node, and no program that opens a browser.
  const environment = { HOME: home, POSTIZ_AUTH_SERVER: server, PATH: join(process.execPath, '..') };
  const cli = (command) => run(process.execPath, [process.env.POSTIZ_CLI, command], environment);
  const login = cli('auth:login');
  test.after(() => login.end());
  return { login, userCode: await login.heard(/([A-Z]{4}-[A-Z]{4})/), cli, home };
}

// Opens a window that fails the test on a console error, such as a rejected cookie or a CSP violation.
async function open(test, options) {
  const context = await browser.newContext(options);
  test.after(() => context.close());
  const page = await context.newPage();
  const complaints = [];
  page.on('console', (message) => message.type() === 'error' && complaints.push(message.text()));
  page.on('pageerror', (error) => complaints.push(error.message));
  test.after(() => assert.deepEqual(complaints, []));
  return page;
}

async function assertAccessible(page) {
  await page.evaluate(axe);
  const { violations } = await page.evaluate(() => axe.run());
  assert.deepEqual(violations.map(({ id, nodes }) => `${id}: ${nodes.map((node) => node.html)}`), []);
}

for (const [name, options] of [
  ['a wide window, light', { colorScheme: 'light' }],
  ['a telephone, dark', { colorScheme: 'dark', viewport: { width: 320, height: 640 }, hasTouch: true }],
  ['without script', { javaScriptEnabled: false }],
]) {
  test(`a person signs their terminal in: ${name}`, { timeout: 120_000 }, async (test) => {
    const { login, userCode, cli, home } = await terminal(test);
    const page = await open(test, options);
    const scripted = options.javaScriptEnabled !== false;

    // The CLI opens this link.
    await page.goto(`${server}/device/verify?code=${userCode}`);
    assert.match(await page.textContent('main'), new RegExp(userCode));
    if (scripted) await assertAccessible(page);
    await page.click('button[value=continue]');

    // Postiz is on another origin, so this checks that form-action of the CSP allows the redirect.
    await page.waitForURL(/\/oauth\/authorize\?/);
    assert.notEqual(new URL(page.url()).origin, server);
    // The consent page shows the terminal's code too.
    assert.match(await page.textContent('h1'), new RegExp(userCode.replace('-', '\u2011')));
    await page.click('button[value=approve]');

    await page.waitForURL(/\/device\/done\/(signed-in|waiting)\?reference=[0-9a-f]{8}$/);
    assert.match(await page.textContent('h1'), /Your terminal is signed in|Approved\. Return to your terminal/);
    if (scripted) await assertAccessible(page);
    assert.equal(await login.ended, 0, login.lines.join('\n'));
    await page.reload();
    assert.match(await page.textContent('h1'), /Your terminal is signed in|Approved\. Return to your terminal/);

    assert.match(JSON.parse(readFileSync(join(home, '.postiz/credentials.json'), 'utf8')).accessToken, /^pos_/);
    const status = cli('auth:status');
    assert.equal(await status.ended, 0, status.lines.join('\n'));
    assert.match(status.lines.join('\n'), /valid|Authenticated|✅/i);
  });
}

test('a person types the code, and denies', { timeout: 120_000 }, async (test) => {
  const { login, userCode } = await terminal(test);
  const page = await open(test);
  await page.goto(server);
  await page.click('text=Enter it here');
  await page.fill('#user_code', userCode.toLowerCase().replace('-', ' '));
  await page.keyboard.press('Enter');
  await page.click('button[value=deny]');
  await page.waitForSelector('text=Login denied');
  assert.equal(await login.ended, 1);
});

test('a person denies at Postiz', { timeout: 120_000 }, async (test) => {
  const { login, userCode } = await terminal(test);
  const page = await open(test);
  await page.goto(`${server}/device/verify?code=${userCode}`);
  await page.click('button[value=continue]');
  await page.waitForURL(/\/oauth\/authorize\?/);
  await page.click('button[value=deny]');
  await page.waitForSelector('text=Login denied');
  assert.equal(await login.ended, 1);
});

test('a callback in another browser ends the login', { timeout: 120_000 }, async (test) => {
  const { login, userCode } = await terminal(test);
  const page = await open(test);
  await page.goto(`${server}/device/verify?code=${userCode}`);
  await page.click('button[value=continue]');
  await page.waitForURL(/\/oauth\/authorize\?/);
  // Approves, without following the redirect.
  const fields = await page.$$eval('form input', (inputs) => Object.fromEntries(inputs.map(({ name, value }) => [name, value])));
  const action = await page.$eval('form', (form) => form.action);
  const answer = await page.request.post(action, { form: { ...fields, decision: 'approve' }, maxRedirects: 0 });
  const callback = answer.headers().location;
  const stranger = await (await browser.newContext()).newPage();
  await stranger.goto(callback);
  assert.equal(await stranger.textContent('h1'), 'This login was stopped for your safety');
  assert.match(stranger.url(), /\/device\/done\/stopped\?reference=[0-9a-f]{8}$/);
  await stranger.context().close();
  assert.equal(await login.ended, 1, login.lines.join('\n'));
});

// A proxy that makes `localhost` an alias of the stand-in's own address, as https://www.example.com may redirect to https://example.com.
async function aliasing(test) {
  const proxy = createServer((asked, answer) => {
    const url = new URL(asked.url);
    if (url.hostname === 'localhost' && url.pathname === '/oauth/authorize') {
      url.hostname = '127.0.0.1';
      answer.writeHead(307, { location: url.href }).end();
      return;
    }
    const passOn = (found) => found.pipe(answer.writeHead(found.statusCode, found.headers));
    asked.pipe(request(url, { method: asked.method, headers: asked.headers, agent: false }, passOn));
  });
  test.after(() => proxy.close());
  await new Promise((listening) => proxy.listen(0, '127.0.0.1', listening));
  return `http://127.0.0.1:${proxy.address().port}`;
}

test('a person follows the link if Postiz is at another address than the form may lead to', { timeout: 120_000 }, async (test) => {
  const { login, userCode } = await terminal(test);
  const proxy = await aliasing(test);
  const context = await browser.newContext({ proxy: { server: proxy, bypass: '<-loopback>' } });
  test.after(() => context.close());
  const page = await context.newPage();
  await page.goto(`${server}/device/verify?code=${userCode}`);
  const link = page.locator('[data-blocked] a');
  assert.equal(await link.isVisible(), false);
  await page.click('button[value=continue]');
  await link.waitFor();
  assert.equal(new URL(page.url()).pathname, '/device/verify', 'the browser stays');
  assert.match(await page.textContent('[data-blocked]'), /Your browser blocked the button/);
  await assertAccessible(page);

  // Another browser, which has not confirmed the code, gets nowhere with the same link.
  const address = new URL(await link.getAttribute('href'), server).href;
  const stranger = await (await browser.newContext()).newPage();
  await stranger.goto(address);
  assert.equal(new URL(stranger.url()).pathname, '/device/continue');
  assert.match(await stranger.textContent('main'), /This code is wrong or no longer valid/);
  await stranger.context().close();

  await link.click();
  await page.waitForURL(/127\.0\.0\.1:\d+\/oauth\/authorize\?/);
  await page.click('button[value=approve]');
  await page.waitForURL(/\/device\/done\/signed-in/);
  assert.equal(await login.ended, 0, login.lines.join('\n'));
});
