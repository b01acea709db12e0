// The colours of the world that the embedded model was trained on, as tests/reference/tiny/world.py draws it.

/** The sky at its top and at the horizon, which lies at `HORIZON` of the height. */
const SKIES = {
  day: [[104, 178, 238], [186, 222, 246]],
  sunset: [[104, 62, 122], [238, 138, 96]],
  night: [[12, 16, 46], [38, 46, 98]],
  sunrise: [[240, 168, 168], [250, 226, 186]],
};
const HORIZON = 0.62;
/** The ground at the bottom edge, by day. */
const GROUNDS = {
  mountains: [112, 103, 112],
  hills: [122, 162, 84],
  desert: [206, 174, 124],
  sea: [58, 118, 158],
  snow: [192, 208, 228],
};
/** What the hour does to the ground, per channel. */
const LIGHT = { day: [1, 1, 1], sunset: [0.78, 0.62, 0.66], night: [0.42, 0.44, 0.58], sunrise: [0.95, 0.86, 0.84] };

/** The share of the height at the top where sky is, whatever else the picture has. */
export const SKY_BAND = [0, 0.12];
/** The share of the height at the bottom where ground is. */
export const GROUND_BAND = [0.93, 1];

/** The sky band's mean colour, for each time of day. */
export function skies() {
  const at = SKY_BAND[1] / 2 / HORIZON;
  const mean = ([top, bottom]) => top.map((value, channel) => value + (bottom[channel] - value) * at);
  return mapValues(SKIES, mean);
}

/** The ground band's colour at a time of day, for each terrain. */
export function grounds(time) {
  return mapValues(GROUNDS, colour => colour.map((value, channel) => value * LIGHT[time][channel]));
}

function mapValues(table, change) {
  return Object.fromEntries(Object.entries(table).map(([key, value]) => [key, change(value)]));
}
