// Starts the real daemon on a port of the system's choosing, with a data folder of its own, and ends it again.

import { spawn } from 'node:child_process';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { stop, tie, watchLine, withDeadline } from './process.mjs';

const ADDRESS = /http:\/\/127\.0\.0\.1:\d+/;
const START_MS = 30_000;

/** The daemon's program: `FRESCO_BIN`, else where `make build` puts it. */
export function daemonProgram() {
  const target = process.env.CARGO_TARGET_DIR ?? 'target';
  return resolve(process.env.FRESCO_BIN ?? join(target, 'release', 'fresco'));
}

/** A running daemon: `url`, `startedInMs` until `/health` answered, `log()` and `stop()`. `env` is added to its environment. */
export async function startDaemon({ env = {} } = {}) {
  const home = await mkdtemp(join(tmpdir(), 'fresco-home-'));
  const began = performance.now();
  const child = spawn(daemonProgram(), ['serve', '--port', '0', '--device', 'cpu', '--no-open'], {
    env: { ...process.env, FRESCO_HOME: home, ...env },
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  tie(child);
  let log = '';
  for (const stream of [child.stdout, child.stderr]) stream.on('data', chunk => (log += chunk));
  const end = async () => {
    await stop(child, 15_000);
    await rm(home, { recursive: true, force: true });
  };
  try {
    const line = await withDeadline(watchLine(child, ADDRESS), START_MS, 'the start of the daemon');
    const url = ADDRESS.exec(line)[0];
    const health = await fetch(`${url}/health`, { signal: AbortSignal.timeout(START_MS) });
    if (!health.ok) throw new Error(`/health answers ${health.status}`);
    return { url, startedInMs: performance.now() - began, log: () => log, stop: end };
  } catch (error) {
    await end();
    throw new Error(`${error.message}\n${log}`);
  }
}
