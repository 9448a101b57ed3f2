// Processes that a test starts, and what they print.
import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { createServer } from 'node:net';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';

// scripts/test has built the demo; by hand, cargo builds it.
const program = process.env.DEMO ? [process.env.DEMO, []] : ['cargo', ['run', '--quiet', '--package', 'demo', '--']];

export const startDemo = (args = [], environment = {}) => run(program[0], [...program[1], ...args], { PORT: '0', ...environment });

// Starts a process and collects the lines that it prints, and those on standard error.
export function run(command, args, environment) {
  const cwd = fileURLToPath(new URL('../..', import.meta.url));
  const child = spawn(command, args, { cwd, env: { ...process.env, ...environment }, stdio: ['ignore', 'pipe', 'pipe'] });
  const [lines, errors] = [[], []];
  const reader = createInterface({ input: child.stdout }).on('line', (line) => lines.push(line));
  createInterface({ input: child.stderr }).on('line', (line) => errors.push(line));
  const ended = once(child, 'close').then(([code]) => code);
  return {
    lines,
    errors,
    ended,
    // The first group of the first line that matches, past or future.
    async heard(pattern) {
      for (;;) {
        const found = lines.map((line) => line.match(pattern)).find(Boolean);
        if (found) return found[1];
        const more = await Promise.race([once(reader, 'line').then(() => true), ended.then(() => false)]);
        assert.ok(more, `never printed ${pattern}:\n${[...lines, ...errors].join('\n')}`);
      }
    },
    async end() {
      if (child.exitCode === null && child.signalCode === null) child.kill('SIGTERM');
      await ended;
    },
  };
}

export async function freePort() {
  const server = createServer();
  await new Promise((listening) => server.listen(0, '127.0.0.1', listening));
  const { port } = server.address();
  await new Promise((closed) => server.close(closed));
  return port;
}
