// Renders the gallery, serves it with the headers that matter, and opens Chromium.
import { execFileSync } from 'node:child_process';
import { readFileSync, readdirSync } from 'node:fs';
import { createServer } from 'node:http';
import { extname, join } from 'node:path';
import { text } from 'node:stream/consumers';
import { fileURLToPath } from 'node:url';
import { chromium } from 'playwright-core';

const root = fileURLToPath(new URL('../..', import.meta.url));
const directory = join(root, 'target/gallery');

// The server's policy, without the origin of Postiz.
const policy =
  "default-src 'none'; style-src 'self'; script-src 'self'; img-src 'self'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'";
const types = { '.html': 'text/html', '.css': 'text/css', '.js': 'text/javascript', '.svg': 'image/svg+xml' };

// scripts/test has built it; by hand, cargo builds it.
const render = process.env.GALLERY ? [process.env.GALLERY, []] : ['cargo', ['run', '--quiet', '--example', 'gallery', '--']];

export const launch = () =>
  chromium.launch({ executablePath: process.env.CHROMIUM ?? '/usr/bin/chromium', args: ['--no-sandbox', '--disable-gpu'] });

export async function openGallery() {
  execFileSync(render[0], [...render[1], directory], { cwd: root, stdio: 'inherit' });
  // First, so that a failure leaves no server open.
  const browser = await launch();
  const posts = [];
  const server = createServer(async (request, response) => {
    const path = new URL(request.url, 'http://gallery').pathname;
    if (request.method === 'POST') {
      const form = Object.fromEntries(new URLSearchParams(await text(request)));
      posts.push({ path, form });
      response.writeHead(200, { 'content-type': 'text/html' }).end('<!doctype html><title>posted</title>');
      return;
    }
    try {
      let body = readFileSync(join(directory, path));
      // In a block, because it may run in one page several times.
      if (path.endsWith('.js')) body = `{${body}}`;
      response.writeHead(200, { 'content-type': `${types[extname(path)]}; charset=utf-8`, 'content-security-policy': policy });
      response.end(body);
    } catch {
      response.writeHead(404).end();
    }
  });
  await new Promise((listening) => server.listen(0, '127.0.0.1', listening));
  return {
    browser,
    posts, // the forms that were sent
    url: (page, language = 'en') => `http://localhost:${server.address().port}/${page}.${language}.html`,
    // To be written into an open page, which takes a third of the time that a navigation does. It does not repeat its request.
    html: (page, language) => readFileSync(join(directory, `${page}.${language}.html`), 'utf8').replace('data-retry-seconds', 'data-retry-off'),
    pages: readdirSync(directory).filter((name) => name.endsWith('.en.html')).map((name) => name.slice(0, -'.en.html'.length)),
    languages: readdirSync(directory).filter((name) => name.startsWith('home.')).map((name) => name.split('.')[1]),
    async close() {
      await browser.close();
      server.close();
    },
  };
}
