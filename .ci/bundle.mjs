// Turns what Trunk built into what the daemon embeds: wasm shrunk, brotli siblings.
//
// Usage: node .ci/bundle.mjs STAGING DIST CACHE
// Costly steps are cached by the hash of their input, and DIST is only touched where its content changes, so that a
// second build does nothing and cargo does not rebuild the daemon.

import { execFile } from 'node:child_process';
import { createHash } from 'node:crypto';
import { mkdir, readFile, readdir, rename, rm, stat, writeFile } from 'node:fs/promises';
import { dirname, extname, join, relative } from 'node:path';
import { promisify } from 'node:util';
import { brotliCompress, constants } from 'node:zlib';

const run = promisify(execFile);
const compress = promisify(brotliCompress);

// -O1 takes a third of the time of -Oz; what is left to win is a few per cent once brotli has been over it.
const WASM_OPT = [
  '-O1',
  '--strip-debug',
  '--strip-producers',
  '--enable-bulk-memory',
  '--enable-bulk-memory-opt',
  '--enable-nontrapping-float-to-int',
  '--enable-sign-ext',
  '--enable-mutable-globals',
  '--enable-reference-types',
  '--enable-multivalue',
  '--enable-simd',
];
const BROTLI_QUALITY = 9;
/** Files that brotli makes smaller; weights and pictures are dense already. */
const COMPRESSIBLE = new Set(['.wasm', '.js', '.css', '.html', '.json', '.svg', '.txt', '.webmanifest']);
const WORTH_COMPRESSING = 1_000;

const [staging, dist, cache] = process.argv.slice(2);
if (!cache) throw new Error('usage: bundle.mjs STAGING DIST CACHE');

const files = await readStaging();
await Promise.all([...files].filter(([name]) => extname(name) === '.wasm').map(([name]) => shrink(name)));
for (const name of [...files.keys()].filter(name => extname(name) === '.html')) refuseInlineScripts(name);
await Promise.all([...files.keys()].map(addBrotli));
await writeDist();
report();

/** Every file of the staging folder, by its path with forward slashes. */
async function readStaging() {
  const names = await list(staging);
  return new Map(await Promise.all(names.map(async name => [name, await readFile(join(staging, name))])));
}

async function list(folder) {
  const entries = await readdir(folder, { recursive: true, withFileTypes: true }).catch(() => []);
  return entries
    .filter(entry => entry.isFile())
    .map(entry => relative(folder, join(entry.parentPath ?? entry.path, entry.name)).replaceAll('\\', '/'));
}

/** The cached result for these inputs; made and kept when there is none. */
async function cached(kind, inputs, make) {
  const hash = createHash('sha256');
  for (const input of inputs) hash.update(input).update('\0');
  const path = join(cache, `${hash.digest('hex').slice(0, 32)}.${kind}`);
  const known = await readFile(path).catch(() => undefined);
  if (known) return known;
  await mkdir(cache, { recursive: true });
  const made = await make(path);
  await writeFile(`${path}.part`, made);
  await rename(`${path}.part`, path);
  return made;
}

async function shrink(name) {
  const source = files.get(name);
  const opt = await readFile('node_modules/binaryen/package.json');
  const made = await cached('wasm', [opt, WASM_OPT.join(' '), source], async path => {
    const started = Date.now();
    const output = `${path}.out`;
    await run('node', ['node_modules/binaryen/bin/wasm-opt', join(staging, name), '-o', output, ...WASM_OPT], {
      maxBuffer: 1 << 26,
    });
    const small = await readFile(output);
    await rm(output);
    console.log(`fresco: wasm-opt ${name}: ${mb(source)} to ${mb(small)} in ${seconds(started)}`);
    return small;
  });
  files.set(name, made);
}

/** The page's content security policy allows nothing inline: better to fail here than in every browser. */
function refuseInlineScripts(name) {
  const inline = /<script\b[^>]*>\s*[^\s<]/.exec(files.get(name).toString('utf8'));
  if (inline) throw new Error(`${name} has an inline script, which its content security policy forbids`);
}

async function addBrotli(name) {
  const content = files.get(name);
  if (!COMPRESSIBLE.has(extname(name)) || content.length < WORTH_COMPRESSING) return;
  const params = {
    [constants.BROTLI_PARAM_QUALITY]: BROTLI_QUALITY,
    [constants.BROTLI_PARAM_LGWIN]: 24,
    [constants.BROTLI_PARAM_SIZE_HINT]: content.length,
  };
  const made = await cached('br', [JSON.stringify(params), content], () => compress(content, { params }));
  files.set(`${name}.br`, made);
}

/** Makes DIST hold exactly these files; what is equal keeps its time. */
async function writeDist() {
  for (const [name, content] of files) {
    const path = join(dist, name);
    const present = await readFile(path).catch(() => undefined);
    if (present?.equals(content)) continue;
    await mkdir(dirname(path), { recursive: true });
    await writeFile(path, content);
  }
  for (const name of await list(dist)) if (!files.has(name)) await rm(join(dist, name));
  await stat(join(dist, 'index.html'));
}

function report() {
  const plain = [...files].filter(([name]) => !name.endsWith('.br'));
  const sent = plain.reduce((sum, [name, content]) => sum + (files.get(`${name}.br`) ?? content).length, 0);
  const whole = plain.reduce((sum, [, content]) => sum + content.length, 0);
  console.log(`fresco: bundle: ${plain.length} files, ${mb(whole)}, ${mb(sent)} over the wire`);
}

function mb(value) {
  return `${((value.length ?? value) / 1e6).toFixed(1)} MB`;
}

function seconds(since) {
  return `${((Date.now() - since) / 1000).toFixed(0)} s`;
}
