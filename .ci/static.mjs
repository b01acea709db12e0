// Makes the page that works alone, from any static file server and any sub-path: DIST and the models beside it.
//
// Usage: node .ci/static.mjs DIST MODELS OUT [ORIGIN…]
//
// With origins, such as https://huggingface.co 'https://*.hf.co', the page may fetch models from the first of them, a
// hub, which may point to the others. Without, its policy allows requests to its own server alone.

import { cp, mkdir, readFile, rm, rename, writeFile } from 'node:fs/promises';
import { join } from 'node:path';

const [dist, models, out, ...origins] = process.argv.slice(2);
if (!out) throw new Error('usage: static.mjs DIST MODELS OUT');

// Made aside and then put in place, so that a stopped run leaves no half bundle.
const fresh = `${out}.new`;
await rm(fresh, { recursive: true, force: true });
await mkdir(fresh, { recursive: true });
await cp(dist, fresh, { recursive: true });
await cp(models, join(fresh, 'weights'), { recursive: true });
if (origins.length > 0) await allow(join(fresh, 'index.html'), origins);
await rm(out, { recursive: true, force: true });
await rename(fresh, out);

/** Names the hub in the page, and allows it in the page's policy. */
async function allow(file, origins) {
  const origin = /^https?:\/\/(\*\.)?[A-Za-z0-9.:-]+$/;
  const wrong = origins.find(candidate => !origin.test(candidate));
  if (wrong) throw new Error(`${wrong} is no origin such as https://huggingface.co`);
  const html = await readFile(file, 'utf8');
  const named = html
    .replace("connect-src 'self'", ["connect-src 'self'", ...origins].join(' '))
    .replace('<meta name="fresco-hub" content="">', `<meta name="fresco-hub" content="${origins[0]}">`);
  if (!named.includes(`content="${origins[0]}"`)) throw new Error(`${file} has no place for a hub`);
  await writeFile(file, named);
  await rm(`${file}.br`, { force: true });
}
