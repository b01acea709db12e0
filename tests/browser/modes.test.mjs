// Pictures from pictures, in the tab and in the daemon: image to image, repainting with the brush, another's style.

import assert from 'node:assert/strict';
import { join } from 'node:path';
import { test } from 'node:test';
import { meanColour } from './support/picture.mjs';
import { Studio } from './support/studio.mjs';
import { OUT, seconds, suite } from './support/suite.mjs';

const LIMIT = { timeout: 600_000 };
const SCENE = { prompt: 'a desert by day', seed: 4 };

const shared = suite();

for (const engine of ['tab', 'daemon']) {
  test(`${engine}: a picture from a picture, a part of it repainted, another's style`, LIMIT, async t => {
    const studio = await open(t);
    await studio.choose(engine);
    await studio.fill(SCENE);
    const first = await studio.generate();
    await studio.at('start-here').click();
    await studio.at('picture-file-shown').waitFor();

    await studio.fill({ prompt: 'a desert at night', strength: 0.4 });
    const near = await timed(studio, `${engine}: image to image, strength 0.4`);
    await studio.fill({ strength: 1 });
    const far = await timed(studio, `${engine}: image to image, strength 1`);
    assert.deepEqual([near.width, near.height], [first.width, first.height], 'the size is the picture’s own');
    assert.ok(distance(first, near) < distance(first, far), 'more strength changes more');

    await studio.at('start-repaint').check();
    await paint(studio, [0.1, 0.5], [0.4, 0.5]);
    await studio.fill({ prompt: 'a red tent on the left', strength: 1 });
    await studio.page.screenshot({ path: join(OUT, `repaint-${engine}.png`), fullPage: true });
    const painted = await timed(studio, `${engine}: repainted`);
    const [left, right] = [0.25, 0.9].map(x => pixelsDiffer(first, painted, x));
    assert.ok(left && !right, `only what was painted changes: ${left}, ${right}`);

    await studio.at('start-style').check();
    await studio.at('style-file').setInputFiles({ name: 'night.png', mimeType: 'image/png', buffer: await file(studio) });
    await studio.fill({ prompt: '', strength: 0.9, content: 0.5 });
    await timed(studio, `${engine}: in another style`);
    studio.assertQuiet();
  });
}

test('the brush works without a pointer, and can be cleared', LIMIT, async t => {
  const studio = await open(t);
  await studio.fill(SCENE);
  await studio.generate();
  await studio.at('start-here').click();
  await studio.at('start-repaint').check();
  await studio.at('generate').click();
  await studio.page.getByText('Paint over what is to be made anew').waitFor();
  await studio.at('brush').focus();
  for (const key of ['ArrowLeft', 'ArrowLeft', ' ']) await studio.page.keyboard.press(key === ' ' ? 'Space' : key);
  const white = await studio.at('brush').evaluate(canvas => canvas.getContext('2d').getImageData(canvas.width * 0.4, canvas.height / 2, 1, 1).data[0]);
  assert.equal(white, 255);
  await studio.at('brush-clear').click();
  await studio.at('generate').click();
  await studio.page.getByText('Paint over what is to be made anew').waitFor();
});

test('a file that is no picture is refused in words', LIMIT, async t => {
  const studio = await open(t);
  await studio.at('start-picture').check();
  await studio.at('generate').click();
  await studio.page.getByText('Choose a picture').waitFor();
  await studio.at('picture-file').setInputFiles({ name: 'notes.png', mimeType: 'image/png', buffer: Buffer.from('text') });
  await studio.page.getByText(/notes\.png is no picture/).waitFor();
  const loud = studio.complaints.filter(text => !/ERR_INVALID|Failed to load resource/.test(text));
  assert.deepEqual(loud, []);
});

test('a run shows how it looks so far', LIMIT, async t => {
  const studio = await open(t);
  for (const engine of ['tab', 'daemon']) {
    await studio.choose(engine);
    await studio.fill({ ...SCENE, steps: 100 });
    const shown = studio.at('preview').waitFor({ timeout: 120_000 });
    await studio.at('generate').click();
    await shown;
    await studio.at('cancel').click();
    await studio.status(/^Cancelled$/, 60_000);
  }
});

for (const [name, viewport] of [['narrow', { width: 360, height: 780 }], ['wide', { width: 1440, height: 900 }]]) {
  test(`screenshots, ${name}`, LIMIT, async t => {
    const studio = await open(t, { viewport });
    await studio.choose('daemon');
    await studio.fill({ prompt: 'mountains at sunset, a red tent on the right, the sun on the left', seed: 7 });
    await studio.generate();
    await studio.at('start-here').click();
    await studio.at('start-repaint').check();
    await paint(studio, [0.6, 0.7], [0.85, 0.7]);
    await studio.model('fresco-tiny');
    await studio.page.screenshot({ path: join(OUT, `modes-${name}.png`), fullPage: true });
    const over = await studio.page.evaluate(() => document.documentElement.scrollWidth - document.documentElement.clientWidth);
    assert.ok(over <= 0, `the page is ${over} pixels wider than the screen`);
    studio.assertQuiet();
  });
}

async function open(t, options) {
  const studio = await Studio.open(shared.browser, shared.daemon.url, options);
  t.after(() => studio.close());
  return studio;
}

async function timed(studio, what) {
  const picture = await studio.generate();
  console.log(`${what}: ${seconds(picture.milliseconds)} on ${picture.device}`);
  return picture;
}

/** Draws one stroke, its ends as shares of the picture. */
async function paint(studio, from, to) {
  const brush = studio.at('brush');
  await brush.waitFor();
  await brush.scrollIntoViewIfNeeded();
  const box = await brush.boundingBox();
  const at = ([x, y]) => [box.x + x * box.width, box.y + y * box.height];
  await studio.page.mouse.move(...at(from));
  await studio.page.mouse.down();
  await studio.page.mouse.move(...at(to), { steps: 5 });
  await studio.page.mouse.up();
}

/** The shown picture's file. */
async function file(studio) {
  const [, base64] = (await studio.source()).split(',');
  return Buffer.from(base64, 'base64');
}

/** How far the mean colours of two pictures are apart, in eight bands. */
function distance(a, b) {
  const bands = [...Array(8).keys()].map(band => [band / 8, (band + 1) / 8]);
  const apart = band => Math.hypot(...meanColour(a, ...band).map((value, at) => value - meanColour(b, ...band)[at]));
  return bands.reduce((sum, band) => sum + apart(band), 0);
}

/** Whether any pixel of the middle row's surroundings differs at a share of the width. */
function pixelsDiffer(a, b, x) {
  const column = Math.floor(x * a.width);
  const rows = [...Array(9).keys()].map(row => Math.floor(a.height / 2) - 4 + row);
  const value = (picture, row) => [0, 1, 2].map(channel => picture.data[(row * picture.width + column) * 4 + channel]);
  return rows.some(row => value(a, row).some((one, channel) => one !== value(b, row)[channel]));
}
