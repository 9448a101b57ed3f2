// Tests that need a browser: contrast, overflow, focus and the script.
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { after, before, test } from 'node:test';
import { setTimeout } from 'node:timers/promises';
import { openGallery } from './gallery.mjs';

const axe = readFileSync(createRequire(import.meta.url).resolve('axe-core/axe.min.js'), 'utf8');
// For axe, languages differ only in their direction.
const bothDirections = ['en', 'he'];
const standards = ['wcag2a', 'wcag2aa', 'wcag21a', 'wcag21aa', 'wcag22aa', 'best-practice'];

let gallery;
before(async () => (gallery = await openGallery()));
after(() => gallery?.close());

// Opens a page of the gallery, runs the steps and closes it. Fails on a console error, such as a CSP violation.
async function visit({ name, language, query = '', clock = false, ...options }, steps) {
  const context = await gallery.browser.newContext({ viewport: { width: 320, height: 640 }, ...options });
  const page = await context.newPage();
  const complaints = [];
  page.on('console', (message) => message.type() === 'error' && complaints.push(message.text()));
  page.on('pageerror', (error) => complaints.push(error.message));
  if (clock) await page.clock.install();
  if (name) await page.goto(gallery.url(name, language) + query);
  try {
    await steps(page, context);
    assert.deepEqual(complaints, []);
  } finally {
    await context.close();
  }
}

// Shows every page of the gallery in each language, in two windows side by side.
async function eachPage(options, languages, steps) {
  const left = languages.flatMap((language) => gallery.pages.map((name) => [name, language]));
  const inOneWindow = async (page) => {
    for (let next = left.pop(); next; next = left.pop()) {
      await page.setContent(gallery.html(...next));
      await steps(page, next.join('.'));
    }
  };
  await Promise.all([1, 2].map(() => visit({ name: 'home', ...options }, inOneWindow)));
}

// The next POST that a form sends.
const posted = (page) => page.waitForResponse((response) => response.request().method() === 'POST').then(() => gallery.posts.at(-1));

// Of what axe looks at, the dark colours change the contrast alone.
for (const [colorScheme, runOnly, languages] of [
  ['light', { type: 'tag', values: standards }, bothDirections],
  ['dark', { type: 'rule', values: ['color-contrast'] }, ['en']],
]) {
  test(`axe finds no violation, ${colorScheme}`, async () => {
    await eachPage({ colorScheme }, languages, async (page, name) => {
      await page.evaluate(axe);
      const { violations, passes } = await page.evaluate((runOnly) => axe.run({ runOnly }), runOnly);
      assert.deepEqual(violations.map(({ id, nodes }) => `${id}: ${nodes.map((node) => node.html)}`), [], name);
      assert.ok(passes.some(({ id }) => id === 'color-contrast'), 'contrast was checked');
    });
  });
}

test('nothing is cut off, in a narrow window or with large text', async () => {
  await eachPage({}, gallery.languages, async (page, name) => {
    for (const [width, fontSize] of [[320, '100%'], [640, '200%']]) {
      await page.setViewportSize({ width, height: 640 });
      const cutOff = await page.evaluate((size) => {
        document.documentElement.style.fontSize = size;
        const view = document.documentElement.clientWidth;
        const sticksOut = ({ left, right }) => left < 0 || right > view;
        const overflows = (element) => element.clientWidth > 0 && element.scrollWidth > element.clientWidth + 1;
        return [...document.querySelectorAll('body *:not(.unseen):not(input)')]
          .filter((element) => sticksOut(element.getBoundingClientRect()) || overflows(element))
          .map((element) => element.outerHTML);
      }, fontSize);
      assert.deepEqual(cutOff, [], `${name}, ${width} pixels`);
    }
  });
});

test('the keyboard reaches every control in reading order, with a visible focus', async () => {
  await visit({ name: 'typed-worst' }, async (page) => {
    const reached = [];
    for (let step = 0; step < 6; step += 1) {
      await page.keyboard.press('Tab');
      reached.push(
        await page.evaluate(() => {
          const { outlineStyle, outlineWidth } = getComputedStyle(document.activeElement);
          return [document.activeElement.value || document.activeElement.className || document.activeElement.textContent, outlineStyle, outlineWidth];
        }),
      );
    }
    assert.deepEqual(reached, ['Postiz', 'Copy', 'code-field', 'continue', 'deny', 'Example Company'].map((name) => [name, 'solid', '3px']));
  });
});

test('targets are large enough for a finger', async () => {
  await eachPage({}, ['en'], async (page, name) => {
    for (const box of await page.locator('button, .button').evaluateAll((all) => all.map((one) => one.getBoundingClientRect().toJSON()))) {
      assert.ok(box.height >= 44 && box.width >= 44, `${name}: ${box.width} × ${box.height}`);
    }
  });
});

for (const javaScriptEnabled of [true, false]) {
  const script = javaScriptEnabled ? 'with' : 'without';
  const form = (fields) => ({ path: '/device/verify', form: fields });

  test(`one click continues or denies, ${script} script`, async () => {
    for (const action of ['continue', 'deny']) {
      await visit({ name: 'confirm', javaScriptEnabled }, async (page) => {
        const [sent] = await Promise.all([posted(page), page.click(`button[value=${action}]`)]);
        assert.deepEqual(sent, form({ user_code: 'BCDF-GHJK', action }));
      });
    }
  });

  test(`a typed code continues with Enter, ${script} script`, async () => {
    await visit({ name: 'typed', javaScriptEnabled }, async (page) => {
      await page.locator('#user_code').pressSequentially('bcdfghjk');
      const [sent] = await Promise.all([posted(page), page.keyboard.press('Enter')]);
      assert.deepEqual(sent, form({ user_code: javaScriptEnabled ? 'BCDF-GHJK' : 'bcdfghjk', action: 'continue' }));
    });
  });

  test(`a login is denied without typing its code, ${script} script`, async () => {
    await visit({ name: 'typed', javaScriptEnabled }, async (page) => {
      const [sent] = await Promise.all([posted(page), page.click('button[value=deny]')]);
      assert.deepEqual(sent, form({ user_code: 'BCDF-GHJK', action: 'deny' }));
    });
  });
}

test('typing inserts the dash, and correcting keeps the caret', async () => {
  await visit({ name: 'enter' }, async (page) => {
    const field = page.locator('#user_code');
    await field.pressSequentially('bc dfgh');
    assert.equal(await field.inputValue(), 'BCDF-GH');
    await page.keyboard.press('Backspace');
    await page.keyboard.press('Backspace');
    assert.equal(await field.inputValue(), 'BCDF');
    await page.keyboard.press('Home');
    await page.keyboard.press('Delete');
    await page.keyboard.type('x');
    assert.equal(await field.inputValue(), 'xCDF');
    assert.equal(await field.evaluate((input) => input.selectionStart), 1);
  });
});

test('a Japanese keyboard types a code, with and without an input method', async () => {
  for (const [typed, shown] of [
    ['ｂｃｄｆ－ｇｈｊｋ', 'BCDF-GHJK'],
    ['ＢＣＤＦーＧＨＪＫ', 'BCDF-GHJK'],
    ['bcdf\u2212ghjk', 'BCDF-GHJK'],
  ]) {
    await visit({ name: 'enter' }, async (page) => {
      await page.focus('#user_code');
      await page.keyboard.insertText(typed);
      assert.equal(await page.inputValue('#user_code'), shown);
    });
    await visit({ name: 'enter' }, async (page, context) => {
      const chromium = await context.newCDPSession(page);
      await page.focus('#user_code');
      await chromium.send('Input.imeSetComposition', { text: typed, selectionStart: typed.length, selectionEnd: typed.length });
      assert.equal(await page.inputValue('#user_code'), typed, 'nothing changes under the input method');
      await chromium.send('Input.insertText', { text: typed });
      assert.equal(await page.inputValue('#user_code'), shown);
    });
  }
});

test('a pasted link stays as it is, for the server', async () => {
  await visit({ name: 'enter' }, async (page) => {
    const link = 'https://auth.example.com/device/verify?code=BCDF-GHJK';
    await page.focus('#user_code');
    await page.keyboard.insertText(link);
    assert.equal(await page.inputValue('#user_code'), link);
  });
});

for (const pause of [0, 200]) {
  test(`two clicks with ${pause} ms in between send one form, and the buttons work again after Back`, async () => {
    await visit({ name: 'confirm', viewport: { width: 1280, height: 900 } }, async (page) => {
      const sent = [];
      let answer;
      const held = new Promise((resolve) => (answer = resolve));
      page.on('request', (request) => request.method() === 'POST' && sent.push(request.postData()));
      await page.route('**/device/verify', (route) => held.then(() => route.continue()));
      const { x, y } = await page.locator('button[value=continue]').boundingBox();
      // Not `page.click`, which waits for the answer to the first click.
      await page.mouse.click(x + 9, y + 9);
      await setTimeout(pause);
      await page.mouse.click(x + 9, y + 9);
      await setTimeout(pause);
      await Promise.all([page.waitForURL('**/device/verify'), answer()]);
      assert.deepEqual(sent, ['user_code=BCDF-GHJK&action=continue']);
      await page.goBack();
      assert.equal(await page.locator('button[name=action]:enabled').count(), 2);
    });
  });
}

test('a pasted code is sent at once only if the page has nothing else to read', async () => {
  const permissions = ['clipboard-read', 'clipboard-write'];
  const paste = async (page) => {
    await page.evaluate(() => navigator.clipboard.writeText(' bcdf–ghjk\n'));
    await page.focus('#user_code');
    await page.keyboard.press('Control+V');
  };
  await visit({ name: 'enter', permissions }, async (page) => {
    const [sent] = await Promise.all([posted(page), paste(page)]);
    assert.deepEqual(sent.form, { user_code: 'BCDF-GHJK' });
  });
  await visit({ name: 'typed', permissions }, async (page) => {
    const before = gallery.posts.length;
    await paste(page);
    await page.waitForFunction(() => document.querySelector('#user_code').value === 'BCDF-GHJK');
    await page.reload();
    assert.equal(gallery.posts.length, before);
  });
});

const command = 'postiz auth:login --auth-server https://auth.example.com';

// The page breaks the command between words. The copy has to be one line.
test('a click selects the whole command, as one line', async () => {
  await visit({ name: 'home', javaScriptEnabled: false }, async (page) => {
    await page.click('.command code');
    assert.equal(await page.evaluate(() => getSelection().toString()), command);
  });
});

test('the button copies the whole command and confirms it', async () => {
  await visit({ name: 'home', permissions: ['clipboard-read', 'clipboard-write'] }, async (page) => {
    await page.click('.command button');
    await page.getByRole('status').filter({ hasText: 'Copied' }).waitFor();
    assert.equal(await page.evaluate(() => navigator.clipboard.readText()), command);
  });
});

test('a page repeats its request by itself', async () => {
  const again = (page) => page.waitForRequest((request) => request.isNavigationRequest() && request.url().endsWith('?state=kept'));
  await visit({ name: 'one-moment', query: '?state=kept', clock: true }, async (page) => {
    await Promise.all([again(page), page.clock.fastForward(4000)]);
  });
  await visit({ name: 'busy', query: '?state=kept', clock: true }, async (page) => {
    await Promise.all([again(page), page.clock.fastForward(3000)]);
  });
  await visit({ name: 'one-moment-form', clock: true }, async (page) => {
    const [sent] = await Promise.all([posted(page), page.clock.fastForward(4000)]);
    assert.deepEqual(sent.form, { user_code: 'BCDF-GHJK', action: 'deny' });
  });
  await visit({ name: 'one-moment', query: '?state=kept', javaScriptEnabled: false }, again);
});

test('reduced motion turns transitions off', async () => {
  await visit({ name: 'confirm', reducedMotion: 'reduce' }, async (page) => {
    const moving = await page.evaluate(() => [...document.querySelectorAll('*')].filter((one) => getComputedStyle(one).transitionDuration !== '0s').length);
    assert.equal(moving, 0);
  });
});
