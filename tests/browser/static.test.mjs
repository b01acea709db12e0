// The bundle alone: from any static file server, under any path, with the tab's engine only.

import assert from 'node:assert/strict';
import { join } from 'node:path';
import { test } from 'node:test';
import { meanColour, nearest } from './support/picture.mjs';
import { serveFolder } from './support/static-server.mjs';
import { Studio } from './support/studio.mjs';
import { ROOT, seconds, suite } from './support/suite.mjs';
import { SKY_BAND, skies } from './support/world.mjs';

const BUNDLE = process.env.FRESCO_STATIC ?? join(ROOT, 'dist-static');
const SERVERS = [
  ['a server that serves parts of files', '/some/sub/path/', { ranges: true }],
  ['a server that serves whole files only', '/', { ranges: false }],
];

const shared = suite({ daemon: false });

for (const [what, path, options] of SERVERS) {
  test(`${what}, at ${path}`, { timeout: 900_000 }, async t => {
    const server = await serveFolder(BUNDLE, path, options);
    t.after(() => server.stop());
    const studio = await Studio.open(shared.browser, server.url);
    t.after(() => studio.close());
    assert.equal(await studio.at('engine-daemon').count(), 0, 'no daemon is offered where there is none');
    await studio.fill({ prompt: 'the sea at night', seed: 3 });
    const picture = await studio.generate();
    console.log(`${path}: ${seconds(picture.milliseconds)} on ${picture.device}`);
    assert.equal(nearest(meanColour(picture, ...SKY_BAND), skies()), 'night');
    studio.assertQuiet();
  });
}
