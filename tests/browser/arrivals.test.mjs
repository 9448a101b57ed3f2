// What Chromium says of the ways to a link with a code, and what a hostile page can do with it.
import assert from 'node:assert/strict';
import { createServer } from 'node:http';
import { after, before, test } from 'node:test';
import { launch } from './gallery.mjs';
import { startDemo } from './process.mjs';

let demo, server, browser, hostile;
before(async () => {
  demo = startDemo();
  server = await demo.heard(/--auth-server (\S+)/);
  browser = await launch();
  // The other site: its path is the page's content, or the target of a redirect.
  hostile = createServer((request, response) => {
    const [kind, value] = Object.entries(Object.fromEntries(new URL(request.url, 'http://x').searchParams))[0] ?? [];
    if (kind === 'redirect') response.writeHead(302, { location: value }).end();
    else response.writeHead(200, { 'content-type': 'text/html' }).end(`<!doctype html><title>x</title>${value ?? ''}`);
  });
  await new Promise((listening) => hostile.listen(0, '127.0.0.1', listening));
});
after(async () => {
  await browser?.close();
  hostile?.close();
  await demo.end();
});

const other = (kind, value) => `http://127.0.0.1:${hostile.address().port}/?${new URLSearchParams({ [kind]: value })}`;

async function login() {
  const answer = await fetch(`${server}/device/code`, { method: 'POST' });
  const { user_code } = await answer.json();
  return { userCode: user_code, link: `${server}/device/verify?code=${user_code}` };
}

async function visit(test, url) {
  const context = await browser.newContext();
  test.after(() => context.close());
  const page = await context.newPage();
  await page.goto(url);
  return page;
}

const prefilled = (page) => page.locator('input[type=hidden][name=user_code]').first().inputValue();
const empty = async (page) => {
  await page.waitForURL(/\/device\/verify/);
  assert.equal(await page.inputValue('#user_code'), '');
  assert.equal(await page.textContent('h1'), 'Enter the code from your terminal');
};

test('a typed address, or one opened by a program, is filled in', async (test) => {
  const { userCode, link } = await login();
  assert.equal(await prefilled(await visit(test, link)), userCode);
});

for (const [way, content] of [
  ['a link', (link) => `<a href="${link}">x</a><script>onload = () => document.links[0].click()</script>`],
  ['a link without a referrer', (link) => `<a rel="noreferrer" href="${link}">x</a><script>onload = () => document.links[0].click()</script>`],
  ['a script', (link) => `<script>location = '${link}'</script>`],
  ['a refresh', (link) => `<meta http-equiv="refresh" content="0;url=${link}">`],
]) {
  test(`${way} on another site's page asks for the code`, async (test) => {
    const { link } = await login();
    await empty(await visit(test, other('html', content(link))));
  });
}

test('a redirect after a click on another site asks for the code', async (test) => {
  const { link } = await login();
  await empty(await visit(test, other('html', `<script>location = '${other('redirect', link)}'</script>`)));
});

test('a page of another site uses up no wrong codes, and what it loads in advance is not shown', async (test) => {
  const { userCode, link } = await login();
  const wrong = [...'BCDFGHJKLMNPQRS'].map((letter) => `${server}/device/verify?code=ZZZZ-ZZZ${letter}`);
  const advance = JSON.stringify({ prefetch: [{ source: 'list', urls: [...wrong, link] }] });
  const answers = [];
  const page = await visit(test, other('html', ''));
  page.on('response', (response) => response.url().startsWith(`${server}/device/verify?code=ZZZZ`) && answers.push(response.status()));
  const content = `${wrong.map((url) => `<img src="${url}"><iframe src="${url}"></iframe>`).join('')}
    <script type="speculationrules">${advance}</script><a href="${link}">x</a>`;
  await page.goto(other('html', content), { waitUntil: 'load' });
  assert.ok(answers.length >= wrong.length, `${answers.length} requests reached the server`);
  assert.deepEqual([...new Set(answers)], [403]);
  await page.click('a');
  await empty(page);
  assert.equal(await prefilled(await visit(test, link)), userCode, 'the right code still works');
});
