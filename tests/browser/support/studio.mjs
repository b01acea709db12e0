// The page as a test uses it: fields, buttons and the picture by their test ids, every wait bounded.

import assert from 'node:assert/strict';
import { decodePicture } from './picture.mjs';

/** The longest that one picture may take in a tab without a GPU, and a page to get ready. */
export const PICTURE_MS = 300_000;
export const READY_MS = 120_000;
const CANCEL_MS = 60_000;

/** One open page. */
export class Studio {
  /** Opens `url` in a fresh page and waits until it can generate. `prepare` runs on the page before it loads. */
  static async open(browser, url, { prepare, ...options } = {}) {
    const context = await browser.newContext({ viewport: { width: 1280, height: 900 }, colorScheme: 'light', ...options });
    return Studio.in(context, url, { prepare });
  }

  /** The same in a context that is there already, with what its pages have kept. */
  static async in(context, url, { prepare } = {}) {
    const page = await context.newPage();
    const studio = new Studio(page);
    await prepare?.(page);
    await page.goto(url);
    await studio.enabled('generate', READY_MS);
    return studio;
  }

  constructor(page) {
    this.page = page;
    /** What the browser complained about: errors on the console, errors nobody caught, failed and foreign requests. */
    this.complaints = [];
    page.on('console', message => {
      if (message.type() === 'error') this.complaints.push(`console: ${message.text()}`);
    });
    page.on('pageerror', error => this.complaints.push(`page: ${error.message}`));
    page.on('crash', () => this.complaints.push('the page crashed'));
    page.on('request', request => {
      const { protocol, hostname } = new URL(request.url());
      const local = ['data:', 'blob:'].includes(protocol) || hostname === '127.0.0.1';
      if (!local) this.complaints.push(`a request to another host: ${request.url()}`);
    });
  }

  at(id) {
    return this.page.getByTestId(id);
  }

  async enabled(id, ms) {
    const button = await this.at(id).elementHandle({ timeout: ms });
    await button.waitForElementState('enabled', { timeout: ms });
  }

  /** Types into fields by their ids: `fill({ prompt: 'the sea', seed: 7 })`. */
  async fill(fields) {
    for (const [id, value] of Object.entries(fields)) await this.at(id).fill(String(value));
  }

  /** Chooses where to run: `tab` or `daemon`. */
  async choose(engine) {
    await this.at(`engine-${engine}`).check();
  }

  /** Waits until the tab's engine has its device and gives that in words. */
  async device(pattern) {
    await this.page.waitForFunction(
      ([source]) => new RegExp(source).test(document.querySelector('[data-testid=device]')?.textContent ?? ''),
      [pattern.source],
      { timeout: READY_MS },
    );
    return this.at('device').textContent();
  }

  /** Unfolds the list of models and gives one model's entry. */
  async model(id) {
    const list = this.at('models');
    if ((await list.getAttribute('open')) === null) await list.locator('summary').click();
    return this.at(`model-${id}`);
  }

  /** Presses a button of a model's entry. */
  async press(id, button) {
    await (await this.model(id)).getByTestId(button).click();
  }

  /** Waits until a model's entry says so of a place (`tab` or `daemon`). */
  async said(id, place, pattern, ms = 60_000) {
    await this.model(id);
    await this.page.waitForFunction(
      ([model, state, source]) => {
        const entry = document.querySelector(`[data-testid="${model}"]`);
        return new RegExp(source).test(entry?.querySelector(`[data-testid=${state}]`)?.textContent ?? '');
      },
      [`model-${id}`, `state-${place}`, pattern.source],
      { timeout: ms, polling: 20 },
    );
  }

  /** Presses Generate and gives the new picture: pixels, data and milliseconds until it was on the page. */
  async generate() {
    const before = await this.source();
    const began = performance.now();
    await this.at('generate').click();
    await this.settled(before, PICTURE_MS);
    const milliseconds = performance.now() - began;
    const problem = (await this.at('error').textContent()).trim();
    assert.equal(problem, '', 'the picture was refused');
    return { milliseconds, ...(await this.picture()) };
  }

  /** The picture on the page. */
  async picture() {
    const shown = this.at('picture');
    const dataset = await shown.evaluate(image => ({ ...image.dataset }));
    return { ...decodePicture(await this.source()), ...pick(dataset, ['seed', 'engine', 'device']) };
  }

  /** Starts a long job, presses Cancel once it denoises, and gives the milliseconds until it had stopped. */
  async cancelRunning() {
    await this.at('generate').click();
    await this.status(/^Step [2-9]/, PICTURE_MS);
    const began = performance.now();
    await this.at('cancel').click();
    await this.status(/^Cancelled$/, CANCEL_MS);
    return performance.now() - began;
  }

  /** Waits for the status line to read so. */
  async status(pattern, ms) {
    await this.page.waitForFunction(
      ([source]) => new RegExp(source).test(document.querySelector('[data-testid=status]')?.textContent ?? ''),
      [pattern.source],
      { timeout: ms, polling: 20 },
    );
  }

  /** Waits until exactly this field is marked as the one at fault, with a sentence beside the buttons. */
  async refused(id) {
    await this.page.waitForFunction(
      wanted => {
        const marked = [...document.querySelectorAll('[aria-invalid=true]')].map(field => field.dataset.testid);
        const said = document.querySelector('[data-testid=error]').textContent.trim();
        return said !== '' && marked.length === 1 && marked[0] === wanted;
      },
      id,
      { timeout: 10_000 },
    );
  }

  async source() {
    return this.page.evaluate(() => document.querySelector('[data-testid=picture]')?.src ?? null);
  }

  /** Waits until there is another picture than `before`, or an error. */
  async settled(before, ms) {
    await this.page.waitForFunction(
      old => {
        const get = id => document.querySelector(`[data-testid=${id}]`);
        const source = get('picture')?.src ?? null;
        return (source !== null && source !== old) || get('error').textContent.trim() !== '';
      },
      before,
      { timeout: ms, polling: 50 },
    );
  }

  /** Fails when the browser complained about anything. */
  assertQuiet() {
    assert.deepEqual(this.complaints, [], 'the browser complained');
  }

  async close() {
    await this.page.context().close();
  }
}

function pick(object, keys) {
  return Object.fromEntries(keys.map(key => [key, object[key]]));
}
