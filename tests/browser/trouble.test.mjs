// When something is wrong: bad input names its field, a lost device fails one job and not the tab.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { launchChromium } from './support/chromium.mjs';
import { PICTURE_MS, Studio } from './support/studio.mjs';
import { suite } from './support/suite.mjs';

const LIMIT = { timeout: 900_000 };
const GOOD = { prompt: 'a desert by day', seed: 1 };
const BAD = [
  ['an empty prompt', { prompt: '' }],
  ['a prompt of 100,000 characters', { prompt: 'a'.repeat(100_000) }],
  ['a width that is no multiple', { width: 511 }],
  ['a billion steps', { steps: 1_000_000_000 }],
  ['a negative guidance', { guidance: -1 }],
  ['a seed that is no number', { seed: 'seven' }],
];
/** Put before the worker's own script: a message on a channel destroys every device it has opened. */
const SABOTAGE = `
const opened = [];
const open = GPUAdapter.prototype.requestDevice;
GPUAdapter.prototype.requestDevice = async function (...args) {
  const device = await open.apply(this, args);
  opened.push(device);
  return device;
};
new BroadcastChannel('sabotage').onmessage = () => opened.forEach(device => device.destroy());
`;

const shared = suite();

for (const engine of ['tab', 'daemon']) {
  test(`${engine}: bad input names its field`, LIMIT, async t => {
    const studio = await open(t);
    await studio.choose(engine);
    const defaults = await fields(studio);
    for (const [what, bad] of BAD) {
      await studio.fill({ ...defaults, ...GOOD, ...bad });
      await studio.at('generate').click();
      // The field at fault is marked, and the sentence says why.
      await studio.refused(Object.keys(bad)[0]);
      console.log(`${what}: ${(await studio.at('error').textContent()).trim()}`);
      assert.equal(await studio.source(), null);
    }
    await studio.fill({ ...defaults, ...GOOD });
    await studio.generate();
    studio.assertQuiet();
  });
}

test('a lost device fails the job in plain words, and the processor takes over', LIMIT, async t => {
  const studio = await open(t, '?engine=webgpu', { prepare: sabotage });
  await studio.choose('tab');
  await studio.device(/GPU/);
  await studio.fill({ ...GOOD, steps: 150 });
  await studio.at('generate').click();
  await studio.status(/^Step [2-9]/, PICTURE_MS);
  await studio.page.evaluate(() => new BroadcastChannel('sabotage').postMessage('now'));
  await studio.at('retry-cpu').waitFor({ timeout: PICTURE_MS });
  console.log(`the page says: ${(await studio.at('error').locator('p').textContent()).trim()}`);
  await studio.fill({ steps: shared.model.defaultSteps });
  await studio.at('retry-cpu').click();
  await studio.settled(null, PICTURE_MS);
  const picture = await studio.picture();
  assert.match(picture.device, /Processor/);
  const crashes = studio.complaints.filter(text => /panicked|unreachable|crashed|^page:/.test(text));
  assert.deepEqual(crashes, []);
});

test('a browser without WebGPU computes on the processor and says so', LIMIT, async t => {
  const browser = await launchChromium({ webgpu: false });
  t.after(() => browser.close());
  const studio = await Studio.open(browser, shared.daemon.url);
  await studio.choose('tab');
  console.log(`the page says: ${await studio.device(/Processor/)}`);
  await studio.fill(GOOD);
  assert.match((await studio.generate()).device, /Processor/);
  studio.assertQuiet();
});

async function open(t, query = '', options = {}) {
  const studio = await Studio.open(shared.browser, `${shared.daemon.url}/${query}`, options);
  t.after(() => studio.close());
  return studio;
}

/** The form's numbers as the page filled them in. */
async function fields(studio) {
  const ids = ['width', 'height', 'steps', 'guidance'];
  return Object.fromEntries(await Promise.all(ids.map(async id => [id, await studio.at(id).inputValue()])));
}

async function sabotage(page) {
  await page.route('**/worker-boot.js', async route => {
    const response = await route.fetch();
    await route.fulfill({ response, body: SABOTAGE + (await response.text()) });
  });
}
