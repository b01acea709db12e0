// Reads PNG pictures and says what is on them, in numbers.

import { PNG } from 'pngjs';

/** A picture from a data URL: `width`, `height` and RGBA `data`, row by row. */
export function decodePicture(dataUrl) {
  const [, base64] = /^data:image\/png;base64,(.+)$/s.exec(dataUrl) ?? [];
  if (!base64) throw new Error(`not a PNG data URL: ${dataUrl.slice(0, 40)}`);
  return PNG.sync.read(Buffer.from(base64, 'base64'));
}

/** The mean colour of the rows from `top` to `bottom`, as shares of the height: `[r, g, b]`. */
export function meanColour(picture, top = 0, bottom = 1) {
  const sums = [0, 0, 0];
  const first = Math.floor(top * picture.height);
  const last = Math.ceil(bottom * picture.height);
  for (let at = first * picture.width * 4; at < last * picture.width * 4; at += 4) {
    for (let channel = 0; channel < 3; channel++) sums[channel] += picture.data[at + channel];
  }
  return sums.map(sum => sum / ((last - first) * picture.width));
}

/** The standard deviation over all pixels and channels: 0 for a flat picture. */
export function spread(picture) {
  const values = [...picture.data].filter((_, index) => index % 4 !== 3);
  const mean = values.reduce((sum, value) => sum + value, 0) / values.length;
  return Math.sqrt(values.reduce((sum, value) => sum + (value - mean) ** 2, 0) / values.length);
}

/** The largest difference of any channel of any pixel, and how many pixels differ at all. */
export function difference(a, b) {
  if (a.width !== b.width || a.height !== b.height) throw new Error('pictures of different sizes');
  let most = 0;
  let pixels = 0;
  for (let at = 0; at < a.data.length; at += 4) {
    const here = Math.max(...[0, 1, 2, 3].map(channel => Math.abs(a.data[at + channel] - b.data[at + channel])));
    most = Math.max(most, here);
    if (here > 0) pixels += 1;
  }
  return { most, pixels };
}

/** The key of the colour in `table` that is nearest to `colour`. */
export function nearest(colour, table) {
  const distance = other => Math.hypot(...other.map((value, channel) => value - colour[channel]));
  return Object.keys(table).reduce((best, key) => (distance(table[key]) < distance(table[best]) ? key : best));
}
