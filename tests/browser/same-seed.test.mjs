// One seed, one picture: the tab on WebGPU, the tab on the processor and the daemon agree to within 2 of 255.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { difference } from './support/picture.mjs';
import { Studio } from './support/studio.mjs';
import { seconds, suite } from './support/suite.mjs';

const MOST = 2;
const REQUESTS = [
  { prompt: 'mountains at sunset, a red tent on the right', seed: 42 },
  { prompt: 'the sea at night, a white boat in the middle', negative: 'clouds', seed: '18446744073709551615', steps: 5, guidance: 2.5 },
];

const shared = suite();

for (const request of REQUESTS) {
  test(`seed ${request.seed}: tab on WebGPU, tab on the processor, daemon`, { timeout: 1_200_000 }, async () => {
    const webgpu = await make('?engine=webgpu', 'tab', request, /GPU/);
    const cpu = await make('?engine=cpu', 'tab', request, /Processor/);
    const daemon = await make('', 'daemon', request, /./);
    for (const [name, a, b] of [
      ['WebGPU and daemon', webgpu, daemon],
      ['processor in the tab and daemon', cpu, daemon],
      ['WebGPU and processor in the tab', webgpu, cpu],
    ]) {
      const { most, pixels } = difference(a, b);
      console.log(`${name}: at most ${most} of 255, ${pixels} of ${a.width * a.height} pixels differ`);
      assert.ok(most <= MOST, `${name} differ by ${most}`);
    }
  });
}

/** The picture of a request, made in a page of its own. */
async function make(query, engine, request, device) {
  const studio = await Studio.open(shared.browser, `${shared.daemon.url}/${query}`);
  try {
    await studio.choose(engine);
    await studio.device(device);
    await studio.fill(request);
    const picture = await studio.generate();
    console.log(`${query || 'daemon'}: ${seconds(picture.milliseconds)} on ${picture.device}`);
    studio.assertQuiet();
    return picture;
  } finally {
    await studio.close();
  }
}
