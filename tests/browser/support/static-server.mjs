// A small file server that knows nothing of Fresco: the page must work behind any such server and under any path.

import { createReadStream } from 'node:fs';
import { stat } from 'node:fs/promises';
import { createServer } from 'node:http';
import { extname, join, normalize } from 'node:path';

const TYPES = {
  '.css': 'text/css',
  '.html': 'text/html; charset=utf-8',
  '.js': 'text/javascript',
  '.json': 'application/json',
  '.svg': 'image/svg+xml',
  '.wasm': 'application/wasm',
};

/** Serves `folder` under `path` (such as `/a/b/`); gives `url` and `stop()`. `ranges: false` serves whole files only. */
export async function serveFolder(folder, path, { ranges = true } = {}) {
  const server = createServer((request, response) => {
    answer(folder, path, ranges, request, response).catch(() => response.writeHead(404).end());
  });
  await new Promise(resolve => server.listen(0, '127.0.0.1', resolve));
  return {
    url: `http://127.0.0.1:${server.address().port}${path}`,
    stop: () =>
      new Promise(resolve => {
        server.close(resolve);
        server.closeAllConnections();
      }),
  };
}

async function answer(folder, path, ranges, request, response) {
  const asked = decodeURIComponent(new URL(request.url, 'http://localhost').pathname);
  if (!asked.startsWith(path)) return response.writeHead(404).end();
  const file = join(folder, normalize(`/${asked.slice(path.length) || 'index.html'}`));
  const { size } = await stat(file);
  const type = { 'content-type': TYPES[extname(file)] ?? 'application/octet-stream' };
  const range = ranges && /^bytes=(\d+)-(\d*)$/.exec(request.headers.range ?? '');
  if (!range) {
    response.writeHead(200, { ...type, 'content-length': size });
    return createReadStream(file).pipe(response);
  }
  const start = Number(range[1]);
  const end = Math.min(range[2] ? Number(range[2]) : size - 1, size - 1);
  if (start > end) return response.writeHead(416, { 'content-range': `bytes */${size}` }).end();
  response.writeHead(206, {
    ...type,
    'content-length': end - start + 1,
    'content-range': `bytes ${start}-${end}/${size}`,
  });
  createReadStream(file, { start, end }).pipe(response);
}
