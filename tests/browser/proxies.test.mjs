// Chromium through HAProxy as deploy/haproxy sets it up, with what people add to it, in front of the demo.
import assert from 'node:assert/strict';
import { execFileSync, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { createServer, request as send } from 'node:http';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { setTimeout } from 'node:timers/promises';
import { request } from 'playwright-core';
import { launch } from './gallery.mjs';
import { freePort, run, startDemo } from './process.mjs';

const sample = readFileSync(new URL('../../deploy/haproxy/haproxy.cfg', import.meta.url), 'utf8');
const options = { timeout: 60_000, skip: spawnSync('haproxy', ['-v']).error && 'needs haproxy' };
const NO_REFERRER = 'http-response set-header Referrer-Policy no-referrer';
const NO_COOKIE = 'http-response del-header Set-Cookie';

let browser;
before(async () => (browser = await launch()));
after(() => browser?.close());

// A demo behind a proxy with this line, and a login that a terminal has opened there.
async function open(test, scheme, line, { environment, ...browserOptions } = {}) {
  const [port, demoPort] = [await freePort(), await freePort()];
  const server = `${scheme}://localhost:${port}`;
  const demo = startDemo(['--server-url', server], { PORT: `${demoPort}`, ...environment });
  test.after(() => demo.end());
  await demo.heard(/--auth-server (\S+)/);
  const proxy = startProxy(test, scheme, port, demoPort, line);
  const terminal = await request.newContext({ baseURL: server, ignoreHTTPSErrors: true });
  test.after(() => terminal.dispose());
  while (!(await terminal.get('/health').catch(() => false)).ok?.()) await setTimeout(20);
  const { device_code, user_code } = await (await terminal.post('/device/code')).json();
  const context = await browser.newContext({ ignoreHTTPSErrors: true, ...browserOptions });
  test.after(() => context.close());
  const page = await context.newPage();
  await page.goto(`${server}/device/verify?code=${user_code}`);
  return { server, demo, proxy, page, poll: async () => (await terminal.post('/device/token', { data: { device_code } })).json() };
}

// Prints the `Origin` of each request.
function startProxy(test, scheme, port, demoPort, line) {
  const directory = mkdtempSync(join(tmpdir(), 'proxy-'));
  test.after(() => rmSync(directory, { recursive: true }));
  const [pem, file] = ['pem', 'cfg'].map((name) => join(directory, name));
  const key = ['-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:P-256', '-nodes', '-keyout', pem];
  execFileSync('openssl', ['req', '-x509', ...key, '-subj', '/CN=localhost', '-out', pem], { stdio: 'ignore' });
  const tls = scheme === 'https' ? `ssl crt ${pem} alpn h2,http/1.1` : '';
  const lines = [
    'http-request capture req.hdr(Origin) len 100',
    'log stdout format raw local0',
    'log-format "%HM %HPO %[capture.req.hdr(0)]"',
    line,
    'default_backend',
  ];
  const ours = sample.split('\n').filter((text) => !text.endsWith('bind :80') && (tls || !text.includes('redirect scheme https')));
  const text = ours
    .join('\n')
    .replace('maxconn 16384', 'maxconn 200')
    .replace(/bind :443 .*/, `bind 127.0.0.1:${port} ${tls}`)
    .replace('default_backend', lines.join('\n    '))
    .replaceAll('127.0.0.1:3111', `127.0.0.1:${demoPort}`);
  writeFileSync(file, text);
  const proxy = run('haproxy', ['-db', '-f', file]);
  test.after(() => proxy.end());
  return proxy;
}

const title = (page) => page.textContent('h1');
const goOn = (page) => page.click('button[value=continue]');

async function approve(page) {
  await page.waitForURL(/\/oauth\/authorize\?/);
  await page.click('button[value=approve]');
  await page.waitForURL(/\/device\/done\/(signed-in|waiting)\?/);
}

test('with https, a login succeeds though the proxy hides the origin of our forms', options, async (test) => {
  const { proxy, page, poll } = await open(test, 'https', NO_REFERRER);
  await goOn(page);
  await approve(page);
  assert.equal(await proxy.heard(/^POST \/device\/verify (.*)/), 'null');
  assert.match((await poll()).access_token, /^pos_/);
});

test('over plain http such a form is refused, and the log says why, once', options, async (test) => {
  const { server, demo, proxy, page } = await open(test, 'http', NO_REFERRER);
  const link = page.url();
  for (let tried = 0; tried < 2; tried += 1) {
    await page.goto(link);
    await goOn(page);
    await page.waitForURL(`${server}/device/verify`);
    assert.equal(await title(page), 'This request came from another site');
    assert.equal(await page.getByRole('link', { name: 'Enter a code' }).getAttribute('href'), `${server}/device/verify`);
  }
  assert.equal(await proxy.heard(/^POST \/device\/verify (.*)/), 'null');
  await demo.end();
  const warnings = demo.errors.filter((line) => line.includes('a form was refused'));
  assert.equal(warnings.length, 1, demo.errors.join('\n'));
  assert.match(warnings[0], /WARN.*null.*a proxy adds Referrer-Policy: no-referrer|WARN.*a proxy adds Referrer-Policy: no-referrer.*null/);
});

// A way to Postiz on which the first registration waits until it is released.
async function slowPostiz(test) {
  const registrations = [];
  const proxy = createServer(async (asked, answer) => {
    if (asked.url.endsWith('/oauth/register')) {
      const registration = { answered: once(answer, 'finish') };
      const released = new Promise((release) => Object.assign(registration, { release }));
      registrations.push(registration);
      proxy.emit('registration');
      if (registrations.length === 1) await released;
    }
    const passOn = (found) => found.pipe(answer.writeHead(found.statusCode, found.headers));
    asked.pipe(send(asked.url, { method: asked.method, headers: asked.headers, agent: false }, passOn));
  });
  test.after(() => proxy.close());
  await new Promise((listening) => proxy.listen(0, '127.0.0.1', listening));
  const url = `http://127.0.0.1:${proxy.address().port}`;
  return { proxy, registrations, environment: { HTTP_PROXY: url, http_proxy: url, NO_PROXY: '', no_proxy: '' } };
}

test('a double click is one browser, even if the first form is answered last', options, async (test) => {
  const { proxy, registrations, environment } = await slowPostiz(test);
  // With its script, the page sends one form.
  const { page, poll } = await open(test, 'https', NO_REFERRER, { environment, javaScriptEnabled: false });
  const { x, y } = await page.locator('button[value=continue]').boundingBox();
  const first = once(proxy, 'registration');
  await page.mouse.click(x + 9, y + 9);
  await first;
  await page.mouse.click(x + 9, y + 9);
  await page.waitForSelector('button[value=approve]');
  registrations[0].release();
  await registrations[0].answered;
  await approve(page);
  assert.equal(registrations.length, 2);
  assert.match((await poll()).access_token, /^pos_/);
});

test('a page says that its cookie did not come back', options, async (test) => {
  const { page } = await open(test, 'https', NO_COOKIE);
  await goOn(page);
  await page.waitForFunction(() => document.title.startsWith('Your browser didn’t send our cookie back'));
  assert.match(await page.textContent('main'), /whether a proxy removes cookies/);
});
