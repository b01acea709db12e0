// A model hub on this machine: it speaks the protocol, has the embedded model's files under every repository's name,
// and misbehaves as it is told.

import { createHash } from 'node:crypto';
import { readFile, readdir } from 'node:fs/promises';
import { createServer } from 'node:http';
import { join, relative } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';

export const COMMIT = '0123456789abcdef0123456789abcdef01234567';
const PIECE = 64 << 10;
/** What a page of another origin may see. */
const OPEN = {
  'access-control-allow-origin': '*',
  'access-control-expose-headers': 'content-range, content-length, etag, accept-ranges',
};

/** Starts a hub with the files of `folder`; `mischief(ask)` may give `{ cut, whole, flip, pauseMs, status, to }` for a file. */
export async function startHub(folder, mischief = () => undefined) {
  const files = await read(folder);
  const hub = { asked: [], mischief, files };
  const server = createServer((request, response) => {
    answer(hub, request, response).catch(() => response.destroy());
  });
  await new Promise(resolve => server.listen(0, '127.0.0.1', resolve));
  hub.url = `http://127.0.0.1:${server.address().port}`;
  hub.stop = () =>
    new Promise(resolve => {
      server.close(resolve);
      server.closeAllConnections();
    });
  return hub;
}

async function read(folder) {
  const entries = await readdir(folder, { recursive: true, withFileTypes: true });
  const paths = entries.filter(entry => entry.isFile()).map(entry => join(entry.parentPath ?? entry.path, entry.name));
  const files = await Promise.all(paths.map(async path => [relative(folder, path).replaceAll('\\', '/'), await readFile(path)]));
  return new Map(files);
}

async function answer(hub, request, response) {
  const path = decodeURIComponent(new URL(request.url, hub.url).pathname);
  if (path.includes('/revision/')) return json(response, { sha: COMMIT, siblings: [] });
  if (path.includes('/tree/')) return json(response, [...hub.files].map(([name, bytes]) => item(name, bytes)));
  const [, name] = path.split(`/resolve/${COMMIT}/`);
  const bytes = hub.files.get(name);
  if (!bytes) return response.writeHead(404, { ...OPEN, 'x-error-code': 'EntryNotFound' }).end();
  const from = Number(/^bytes=(\d+)-$/.exec(request.headers.range ?? '')?.[1] ?? 0);
  const ask = { name, from, turn: hub.asked.filter(earlier => earlier.name === name).length };
  hub.asked.push(ask);
  await send(response, bytes, from, hub.mischief(ask) ?? {});
}

async function send(response, bytes, from, { cut = Infinity, whole = false, flip = false, pauseMs = 0, status, to }) {
  if (to) return response.writeHead(302, { ...OPEN, location: to }).end();
  if (status) return response.writeHead(status, OPEN).end();
  const start = whole ? 0 : from;
  const body = Buffer.from(bytes.subarray(start));
  if (flip) body[body.length >> 1] ^= 1;
  const range = { 'content-range': `bytes ${start}-${bytes.length - 1}/${bytes.length}` };
  const part = start > 0;
  response.writeHead(part ? 206 : 200, { ...OPEN, ...(part ? range : {}), 'content-length': body.length });
  for (let at = 0; at < Math.min(body.length, cut); at += PIECE) {
    response.write(body.subarray(at, Math.min(at + PIECE, cut)));
    if (pauseMs) await sleep(pauseMs);
  }
  if (cut >= body.length) return response.end();
  // What was written is to arrive before the connection breaks.
  await sleep(30);
  response.destroy();
}

function json(response, value) {
  response.writeHead(200, { ...OPEN, 'content-type': 'application/json' }).end(JSON.stringify(value));
}

/** One file as the hub lists it: weights are in large file storage. */
function item(path, bytes) {
  const git = createHash('sha1').update(`blob ${bytes.length}\0`).update(bytes).digest('hex');
  const lfs = { oid: createHash('sha256').update(bytes).digest('hex'), size: bytes.length, pointerSize: 134 };
  return { type: 'file', path, size: bytes.length, oid: git, ...(path.endsWith('.safetensors') ? { lfs } : {}) };
}
