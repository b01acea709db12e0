// Child processes and deadlines: every wait is bounded, every child is ended.

import { setTimeout as sleep } from 'node:timers/promises';

/** The promise's value, or an error naming `what` after `ms` milliseconds. */
export async function withDeadline(promise, ms, what) {
  const over = new AbortController();
  const deadline = sleep(ms, undefined, { signal: over.signal }).then(
    () => Promise.reject(new Error(`${what}: not done after ${Math.round(ms / 1000)} s`)),
    () => new Promise(() => {}),
  );
  try {
    return await Promise.race([promise, deadline]);
  } finally {
    over.abort();
  }
}

/** The first line of a child's standard output that matches; an error when the child ends before. */
export function watchLine(child, pattern) {
  return new Promise((resolve, reject) => {
    let seen = '';
    child.stdout.setEncoding('utf8');
    child.stdout.on('data', chunk => {
      seen += chunk;
      const line = seen.split('\n').find(candidate => pattern.test(candidate));
      if (line) resolve(line);
    });
    child.once('error', reject);
    child.once('exit', code => reject(new Error(`${child.spawnfile} ended with ${code}\n${seen}`)));
  });
}

/** Ends a child, kindly first; resolves once it is gone. */
export async function stop(child, graceMs = 5_000) {
  if (child.exitCode !== null || child.signalCode !== null) return;
  const gone = new Promise(resolve => child.once('exit', resolve));
  child.kill('SIGTERM');
  const kill = setTimeout(() => child.kill('SIGKILL'), graceMs);
  await gone;
  clearTimeout(kill);
}

/** Ends a child with this process, however this process ends. */
export function tie(child) {
  const kill = () => child.kill('SIGKILL');
  const killAndExit = () => {
    kill();
    process.exit(1);
  };
  const signals = ['SIGINT', 'SIGTERM', 'SIGHUP'];
  process.once('exit', kill);
  for (const signal of signals) process.once(signal, killAndExit);
  child.once('exit', () => {
    process.off('exit', kill);
    for (const signal of signals) process.off(signal, killAndExit);
  });
}
