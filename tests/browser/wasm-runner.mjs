// Runs one wasm test binary in Chromium: cargo calls it with the binary's path and the test arguments.
//
// wasm-bindgen-test-runner builds the page and serves it; this file opens it and waits for the result line, so that
// Chromium is the only browser program needed (no webdriver of exactly its version).

import { spawn } from 'node:child_process';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { launchChromium } from './support/chromium.mjs';
import { stop, tie, watchLine, withDeadline } from './support/process.mjs';

const LIMIT_MS = Number(process.env.FRESCO_WASM_TEST_SECONDS ?? 1800) * 1000;
const SERVING = /available at (http:\/\/\S+)/;
const RESULT = /test result: (ok|FAILED)\..*/;

// `cargo test -q` passes an argument that the runner does not know.
const args = process.argv.slice(2).filter(arg => arg !== '--quiet');
if (args.includes('--list')) {
  // Nothing to open a browser for.
  spawn('wasm-bindgen-test-runner', args, { stdio: 'inherit' }).on('exit', code => process.exit(code ?? 1));
} else {
  process.exitCode = (await run()) ? 0 : 1;
}

async function run() {
  // The server leaves its files behind when it is stopped.
  const scratch = await mkdtemp(join(tmpdir(), 'fresco-wasm-'));
  const server = spawn('wasm-bindgen-test-runner', args, {
    env: { ...process.env, TMPDIR: scratch, NO_HEADLESS: '1', WASM_BINDGEN_TEST_ADDRESS: '127.0.0.1:0' },
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  tie(server);
  let browser;
  try {
    const found = await withDeadline(watchLine(server, /(available at|no tests to run)/), LIMIT_MS, 'the test server');
    const url = SERVING.exec(found)?.[1];
    if (!url) {
      console.log(found);
      return true;
    }
    browser = await launchChromium();
    return await withDeadline(runPage(browser, url), LIMIT_MS, 'the tests in the browser');
  } catch (error) {
    console.error(`wasm tests: ${error.message}`);
    return false;
  } finally {
    await browser?.close();
    await stop(server);
    await rm(scratch, { recursive: true, force: true });
  }
}

/** Opens the test page, prints its output as it grows, and says whether every test passed. */
async function runPage(browser, url) {
  const page = await browser.newPage();
  page.on('crash', () => console.error('wasm tests: the page crashed'));
  page.on('pageerror', error => console.error(`wasm tests: ${error.message}`));
  await page.goto(url);
  let printed = '';
  for (;;) {
    const text = await page.locator('#output').textContent();
    if (text !== printed) {
      process.stdout.write(text.startsWith(printed) ? text.slice(printed.length) : text);
      printed = text;
    }
    const result = RESULT.exec(text);
    if (result) {
      process.stdout.write('\n');
      return result[1] === 'ok';
    }
    if (/Worker error/.test(text)) throw new Error('the test worker failed to start');
    await page.waitForTimeout(200);
  }
}
