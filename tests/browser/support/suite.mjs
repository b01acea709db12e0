// What every browser test file starts with: one daemon, one Chromium, the model's card, and their end.

import { mkdir, readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { after, before } from 'node:test';
import { fileURLToPath } from 'node:url';
import { launchChromium } from './chromium.mjs';
import { startDaemon } from './daemon.mjs';

/** The repository's root, wherever the tests are called from. */
export const ROOT = fileURLToPath(new URL('../../..', import.meta.url));
/** Where tests leave their pictures; ignored by git. */
export const OUT = join(ROOT, 'tests/browser/out');

/** Registers start and end with the test runner; the returned object is filled before the first test. */
export function suite({ daemon = true } = {}) {
  const shared = {};
  before(async () => {
    await mkdir(OUT, { recursive: true });
    shared.model = JSON.parse(await readFile(join(ROOT, 'public/models/fresco-tiny/fresco.json'), 'utf8'));
    if (daemon) shared.daemon = await startDaemon();
    shared.browser = await launchChromium();
  });
  after(async () => {
    await shared.browser?.close();
    await shared.daemon?.stop();
  });
  return shared;
}

/** A duration for a line of test output. */
export function seconds(milliseconds) {
  return `${(milliseconds / 1000).toFixed(2)} s`;
}
