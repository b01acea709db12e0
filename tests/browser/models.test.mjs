// Models in the browser: fetched from a hub that breaks off and lies, from the daemon, or from a folder of the user's
// own; gone on with after the page was closed; checked, used and removed.

import assert from 'node:assert/strict';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { startDaemon } from './support/daemon.mjs';
import { COMMIT, startHub } from './support/hub.mjs';
import { difference } from './support/picture.mjs';
import { Studio } from './support/studio.mjs';
import { OUT, ROOT, seconds, suite } from './support/suite.mjs';

const LIMIT = { timeout: 600_000 };
/** The embedded model's files stand in for the published model's: small, and they make real pictures. */
const MODEL = 'sd-turbo';
const FILES = join(ROOT, 'public/models/fresco-tiny');
const WEIGHTS = 'unet/diffusion_pytorch_model.safetensors';
const SCENE = { prompt: 'the sea at night', seed: 11, width: 128, height: 128, steps: 4, guidance: 3 };

const shared = suite({ daemon: false });
let hub;
/** Where the hub may point to. */
let store;
let daemon;

before(async () => {
  [hub, store] = await Promise.all([startHub(FILES), startHub(FILES)]);
  const allowed = `${hub.url},${store.url}`;
  const env = { HF_ENDPOINT: hub.url, FRESCO_TAB_HUB: allowed, HF_HOME: '/nowhere', HF_TOKEN: '' };
  daemon = await startDaemon({ env });
});
after(async () => {
  await daemon?.stop();
  await hub?.stop();
  await store?.stop();
});

test('a hub that breaks off: the model comes in the end, is checked, and makes the picture', LIMIT, async t => {
  const studio = await open(t);
  misbehave(({ name, turn }) => (name === WEIGHTS && turn < 4 ? { cut: 700_000, pauseMs: 10 } : undefined));
  const began = performance.now();
  await studio.press(MODEL, 'get-tab');
  await studio.said(MODEL, 'tab', /^ready$/);
  console.log(`fetched through four broken connections in ${seconds(performance.now() - began)}`);
  const froms = hub.asked.filter(ask => ask.name === WEIGHTS).map(ask => ask.from);
  assert.equal(froms.length, 5);
  assert.ok(froms[1] > 0 && froms.every((from, at) => at === 0 || from > froms[at - 1]), `it goes on where it was: ${froms}`);
  const wanted = ['README.md', 'SHA256SUMS'].filter(name => hub.asked.some(ask => ask.name === name));
  assert.deepEqual(wanted, [], 'what is not needed is not fetched');

  await studio.choose('tab');
  await studio.at('model-choice').selectOption(MODEL);
  await studio.fill(SCENE);
  const picture = await studio.generate();
  console.log(`a picture of the fetched model: ${seconds(picture.milliseconds)} on ${picture.device}`);
  await studio.at('model-choice').selectOption('fresco-tiny');
  await studio.fill(SCENE);
  assert.equal(difference(picture, await studio.generate()).most, 0, 'the same files make the same picture');
  studio.complaints = studio.complaints.filter(text => !broken(text));
  studio.assertQuiet();
});

test('a hub that answers a range with the whole file, or points elsewhere', LIMIT, async t => {
  const studio = await open(t);
  misbehave(({ name, from, turn }) => {
    if (name === WEIGHTS) return turn === 0 ? { cut: 500_000 } : { whole: from > 0 };
    return name.startsWith('vae/') ? { to: `${store.url}/x/y/resolve/${COMMIT}/${name}` } : undefined;
  });
  await studio.press(MODEL, 'get-tab');
  await studio.said(MODEL, 'tab', /^ready$/);
  assert.deepEqual(hub.asked.filter(ask => ask.name === WEIGHTS).map(ask => ask.from > 0), [false, true]);
  assert.ok(store.asked.length >= 2, 'the redirect is followed to a host that is allowed');
  await studio.press(MODEL, 'remove-tab');
  await studio.said(MODEL, 'tab', /^not there$/);
});

test('a hub that points to a host that the page may not ask', LIMIT, async t => {
  const stranger = await startHub(FILES);
  t.after(() => stranger.stop());
  const studio = await open(t);
  misbehave(({ name }) => (name === WEIGHTS ? { to: `${stranger.url}/x/y/resolve/${COMMIT}/${name}` } : undefined));
  await studio.press(MODEL, 'get-tab');
  await (await studio.model(MODEL)).getByText(/does not answer/).waitFor({ timeout: 60_000 });
  assert.equal(stranger.asked.length, 0, 'nobody was asked who is not named');
  await studio.press(MODEL, 'remove-tab');
});

test('a hub that sends other bytes than it lists', LIMIT, async t => {
  const studio = await open(t);
  misbehave(({ name }) => (name === WEIGHTS ? { flip: true } : undefined));
  await studio.press(MODEL, 'get-tab');
  const entry = await studio.model(MODEL);
  await entry.getByText(/is not what was listed/).waitFor({ timeout: 60_000 });
  console.log(`the page says: ${await entry.getByText(/is not what was listed/).textContent()}`);
  assert.equal(hub.asked.filter(ask => ask.name === WEIGHTS).length, 3, 'it is tried three times');
  assert.equal(await studio.at('model-choice').locator(`option[value="${MODEL}"]`).count(), 0, 'it cannot be chosen');
  misbehave(() => undefined);
  await studio.press(MODEL, 'go-on-tab');
  await studio.said(MODEL, 'tab', /^ready$/);
  assert.ok(hub.asked.every(ask => ask.name.startsWith('unet/') || ask.name.startsWith('vae/')), 'what was checked stays');
});

test('a page that was closed midway goes on where it was', LIMIT, async t => {
  const first = await open(t);
  misbehave(({ name }) => (name === WEIGHTS ? { pauseMs: 60 } : undefined));
  await first.press(MODEL, 'get-tab');
  await until(() => hub.asked.some(ask => ask.name === WEIGHTS));
  await first.said(MODEL, 'tab', /^[1-9]\d*\.\d MB of/);
  const context = first.page.context();
  await new Promise(resolve => setTimeout(resolve, 600));
  await first.page.close();
  misbehave(() => undefined);
  const second = await Studio.in(context, daemon.url);
  await second.said(MODEL, 'tab', /stopped$/);
  console.log(`after the page was opened again: ${await (await second.model(MODEL)).getByTestId('state-tab').textContent()}`);
  await second.press(MODEL, 'go-on-tab');
  await second.said(MODEL, 'tab', /^ready$/);
  const [again] = hub.asked.filter(ask => ask.name === WEIGHTS);
  assert.ok(again.from > 64 << 10, `it goes on at ${again.from}`);
  second.assertQuiet();

  await second.page.reload();
  await second.said(MODEL, 'tab', /^ready$/);
  await second.press(MODEL, 'remove-tab');
  await second.said(MODEL, 'tab', /^not there$/);
  await second.page.reload();
  await second.said(MODEL, 'tab', /^not there$/);
});

test('a fetch can be stopped and gone on with', LIMIT, async t => {
  const studio = await open(t);
  misbehave(({ name }) => (name === WEIGHTS ? { pauseMs: 60 } : undefined));
  await studio.press(MODEL, 'get-tab');
  await until(() => hub.asked.some(ask => ask.name === WEIGHTS));
  await studio.press(MODEL, 'stop-tab');
  await studio.said(MODEL, 'tab', /stopped$/);
  await studio.press(MODEL, 'remove-tab');
  await studio.said(MODEL, 'tab', /^not there$/);
});

test('the daemon fetches a model, and the tab takes it from there', LIMIT, async t => {
  const studio = await open(t);
  misbehave(() => undefined);
  await studio.press(MODEL, 'get-daemon');
  await studio.said(MODEL, 'daemon', /^ready$/);
  const asked = hub.asked.length;
  await studio.press(MODEL, 'get-tab');
  await studio.said(MODEL, 'tab', /^ready$/);
  assert.equal(hub.asked.length, asked, 'nothing came from the hub a second time');
  await studio.choose('daemon');
  await studio.at('model-choice').selectOption(MODEL);
  await studio.fill(SCENE);
  const there = await studio.generate();
  await studio.choose('tab');
  await studio.at('model-choice').selectOption(MODEL);
  await studio.fill(SCENE);
  const { most } = difference(there, await studio.generate());
  assert.ok(most <= 2, `tab and daemon differ by ${most}`);
  await studio.page.screenshot({ path: join(OUT, 'models.png'), fullPage: true });
  await studio.press(MODEL, 'remove-daemon');
  await studio.said(MODEL, 'daemon', /^not there$/);
  await studio.press(MODEL, 'remove-tab');
  await studio.said(MODEL, 'tab', /^not there$/);
  assert.equal(await studio.at('model-choice').inputValue(), 'fresco-tiny');
  studio.assertQuiet();
});

test("a folder of the user's own is copied into the browser and makes a picture", LIMIT, async t => {
  const studio = await open(t);
  await studio.model('fresco-tiny');
  await studio.at('own-folder').setInputFiles(FILES);
  await studio.said('fresco-tiny-own', 'tab', /^ready$/);
  await studio.choose('tab');
  await studio.at('model-choice').selectOption('fresco-tiny-own');
  await studio.fill(SCENE);
  assert.match((await studio.generate()).device, /Processor/);
  await studio.at('own-file').setInputFiles({ name: 'old.ckpt', mimeType: '', buffer: Buffer.from('x') });
  await studio.page.getByText(/This is a pickle/).waitFor({ timeout: 10_000 });
  await studio.press('fresco-tiny-own', 'remove-tab');
  await (await studio.model('fresco-tiny-own')).waitFor({ state: 'detached', timeout: 10_000 });
  studio.assertQuiet();
});

async function open(t, options) {
  const studio = await Studio.open(shared.browser, daemon.url, options);
  t.after(() => studio.close());
  return studio;
}

/** From now on; what was asked before is forgotten. */
function misbehave(mischief) {
  hub.mischief = mischief;
  hub.asked.length = 0;
}

/** A browser reports a connection that broke off; here it is meant to. */
function broken(text) {
  return /net::ERR_/.test(text);
}

async function until(condition) {
  const end = performance.now() + 30_000;
  while (!condition()) {
    assert.ok(performance.now() < end, 'it does not happen');
    await new Promise(resolve => setTimeout(resolve, 20));
  }
}
