// Makes the page that works alone, from any static file server and any sub-path: DIST and the models beside it.
//
// Usage: node .ci/static.mjs DIST MODELS OUT

import { cp, mkdir, rm, rename } from 'node:fs/promises';
import { join } from 'node:path';

const [dist, models, out] = process.argv.slice(2);
if (!out) throw new Error('usage: static.mjs DIST MODELS OUT');

// Made aside and then put in place, so that a stopped run leaves no half bundle.
const fresh = `${out}.new`;
await rm(fresh, { recursive: true, force: true });
await mkdir(fresh, { recursive: true });
await cp(dist, fresh, { recursive: true });
await cp(models, join(fresh, 'weights'), { recursive: true });
await rm(out, { recursive: true, force: true });
await rename(fresh, out);
