// Chromium through HAProxy as deploy/haproxy sets it up, with a line that people add to it, in front of the demo.
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

let browser, https;
// What a registration at Postiz waits for.
let registering = () => {};
const toPostiz = createServer(async (asked, answer) => {
  if (asked.url.endsWith('/oauth/register')) await registering(answer);
  const passOn = (found) => found.pipe(answer.writeHead(found.statusCode, found.headers));
  asked.pipe(send(asked.url, { method: asked.method, headers: asked.headers, agent: false }, passOn));
});

before(async () => {
  browser = await launch();
  await new Promise((listening) => toPostiz.listen(0, '127.0.0.1', listening));
  const http_proxy = `http://127.0.0.1:${toPostiz.address().port}`;
  https = await startServer('https', { http_proxy, no_proxy: '' });
});
after(async () => {
  await browser?.close();
  await https?.demo.end();
  toPostiz.close();
});

async function startServer(scheme, environment) {
  const [port, demoPort] = [await freePort(), await freePort()];
  const url = `${scheme}://localhost:${port}`;
  const demo = startDemo(['--server-url', url], { PORT: `${demoPort}`, ...environment });
  await demo.heard(/(--auth-server)/);
  return { url, port, demoPort, demo };
}

// Opens the link of a terminal's login, through a proxy with this line.
async function open(test, server, line, browserOptions) {
  const proxy = startProxy(test, server, line);
  const terminal = await request.newContext({ baseURL: server.url, ignoreHTTPSErrors: true });
  test.after(() => terminal.dispose());
  while (!(await terminal.get('/health').catch(() => undefined))?.ok()) await setTimeout(20);
  const { device_code, user_code } = await (await terminal.post('/device/code')).json();
  const context = await browser.newContext({ ignoreHTTPSErrors: true, ...browserOptions });
  test.after(() => context.close());
  const page = await context.newPage();
  await page.goto(`${server.url}/device/verify?code=${user_code}`);
  const poll = async () => (await terminal.post('/device/token', { data: { device_code } })).json();
  return { proxy, page, poll };
}

// Prints the `Origin` of each request.
function startProxy(test, { url, port, demoPort }, line) {
  const directory = mkdtempSync(join(tmpdir(), 'proxy-'));
  test.after(() => rmSync(directory, { recursive: true }));
  const [pem, file] = ['pem', 'cfg'].map((name) => join(directory, name));
  const key = ['-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:P-256', '-nodes', '-keyout', pem];
  execFileSync('openssl', ['req', '-x509', ...key, '-subj', '/CN=localhost', '-out', pem], { stdio: 'ignore' });
  const tls = url.startsWith('https') ? `ssl crt ${pem} alpn h2,http/1.1` : '';
  const lines = [
    'http-request capture req.hdr(Origin) len 100',
    'log stdout format raw local0',
    'log-format "%HM %HPO %[capture.req.hdr(0)]"',
    line,
    'default_backend',
  ];
  const kept = (text) => !text.endsWith('bind :80') && (tls || !text.includes('redirect scheme https'));
  const text = sample.split('\n').filter(kept).join('\n');
  const ours = text
    .replace('maxconn 16384', 'maxconn 200')
    .replace(/bind :443 .*/, `bind 127.0.0.1:${port} ${tls}`)
    .replace('default_backend', lines.join('\n    '))
    .replaceAll('127.0.0.1:3111', `127.0.0.1:${demoPort}`);
  writeFileSync(file, ours);
  const proxy = run('haproxy', ['-db', '-f', file]);
  test.after(() => proxy.end());
  return proxy;
}

const goOn = (page) => page.click('button[value=continue]');
const heading = (page, name) => page.getByRole('heading', { name }).waitFor();

async function approve(page, poll) {
  await page.click('button[value=approve]');
  await page.waitForURL(/\/device\/done\/(signed-in|waiting)\?/);
  assert.match((await poll()).access_token, /^pos_/);
}

test('with https, a login succeeds though a proxy hides the origin of our forms', options, async (test) => {
  const { proxy, page, poll } = await open(test, https, NO_REFERRER);
  await goOn(page);
  await approve(page, poll);
  assert.equal(await proxy.heard(/^POST \/device\/verify (.*)/), 'null');
});

test('over plain http such a form is refused, and the log says why, once', options, async (test) => {
  const server = await startServer('http');
  test.after(() => server.demo.end());
  const { proxy, page } = await open(test, server, NO_REFERRER);
  const link = page.url();
  for (let tried = 0; tried < 2; tried += 1) {
    await page.goto(link);
    await goOn(page);
    await heading(page, 'This request came from another site');
  }
  const next = page.getByRole('link', { name: 'Enter a code' });
  assert.equal(await next.getAttribute('href'), `${server.url}/device/verify`);
  assert.equal(await proxy.heard(/^POST \/device\/verify (.*)/), 'null');
  await server.demo.end();
  const warnings = server.demo.errors.filter((line) => line.includes('a form was refused'));
  assert.equal(warnings.length, 1, server.demo.errors.join('\n'));
  assert.match(warnings[0], /WARN .* a proxy adds Referrer-Policy: no-referrer origin="null" .* expected="http:/);
});

test('a double click is one browser, even if its first form is answered last', options, async (test) => {
  const registrations = [];
  registering = (answer) =>
    new Promise((release) => {
      registrations.push({ release, answered: once(answer, 'finish') });
      if (registrations.length > 1) release();
      toPostiz.emit('registration');
    });
  test.after(() => (registering = () => {}));
  // With its script, the page sends one form only.
  const { page, poll } = await open(test, https, NO_REFERRER, { javaScriptEnabled: false });
  const { x, y } = await page.locator('button[value=continue]').boundingBox();
  const first = once(toPostiz, 'registration');
  await page.mouse.click(x + 9, y + 9);
  await first;
  await page.mouse.click(x + 9, y + 9);
  await page.waitForSelector('button[value=approve]');
  assert.equal(registrations.length, 2);
  registrations[0].release();
  await registrations[0].answered;
  await approve(page, poll);
});

test('a browser whose cookies a proxy strips is told so', options, async (test) => {
  const { page } = await open(test, https, NO_COOKIE);
  await goOn(page);
  await heading(page, 'Your browser didn’t send our cookie back');
  assert.match(await page.textContent('main'), /whether a proxy removes cookies/);
});
