// Finds a Chromium on this machine and starts it with WebGPU on its software adapter, so that no GPU is needed.

import { accessSync, constants } from 'node:fs';
import { delimiter, join } from 'node:path';
import { chromium } from 'playwright-core';

const NAMES = ['chromium', 'chromium-browser', 'google-chrome', 'google-chrome-stable', 'chrome'];
const PLACES = [
  '/Applications/Chromium.app/Contents/MacOS/Chromium',
  '/Applications/Google Chrome.app/Contents/MacOS/Google Chrome',
];
const WEBGPU = ['--enable-unsafe-webgpu', '--use-webgpu-adapter=swiftshader'];

/** The path of a Chromium: `CHROMIUM` when it is set, else the first one by name; undefined when there is none. */
export function findChromium() {
  const asked = process.env.CHROMIUM;
  if (asked) return asked;
  const folders = (process.env.PATH ?? '').split(delimiter).filter(Boolean);
  const candidates = NAMES.flatMap(name => folders.map(folder => join(folder, name))).concat(PLACES);
  return candidates.find(isExecutable);
}

function isExecutable(path) {
  try {
    accessSync(path, constants.X_OK);
    return true;
  } catch {
    return false;
  }
}

/** Starts Chromium without a window; `webgpu: false` starts it as a browser that has no WebGPU. */
export async function launchChromium({ webgpu = true } = {}) {
  const executablePath = findChromium();
  if (!executablePath) {
    throw new Error('no Chromium found: install it, or set CHROMIUM to its path');
  }
  const args = webgpu ? WEBGPU : ['--disable-features=WebGPU', '--disable-gpu'];
  return chromium.launch({ executablePath, args, timeout: 60_000 });
}
