"""Reads time of day, terrain, object colour, place and sun off a picture of the small world.

All of it is nearest reference colour (squared distance in 8-bit RGB), in fractions of the picture's side, so that it
can be written again in any language:

1. Time: the per-channel median of the strip y < 0.08, nearest of the four skies' top colours.
2. Terrain: the median of the strip y >= 0.92, nearest of the five grounds' second tones in the light of that time.
3. Object: every pixel with 0.29 <= y < 0.92 gets the nearest of these references: the eight object colours; wood,
   dark; for that time the sky at 9 heights, both tones of that terrain, rock, snow cap, island and pond. A pixel
   counts for an object colour only if its distance is below REACH and the four neighbours agree (this drops blurred
   edges, where two colours mix to a third). The colour with most pixels wins; fewer than LEAST of all pixels: none.
4. Place: the mean x of the winning pixels: left below 0.355, right from 0.645, else middle.
5. Sun or moon: pixels with 0.03 <= y < 0.27, x < 0.23 (left) or x >= 0.77 (right), nearer to the sun's colour than to
   the sky's at that height; the side with more, none below 0.004 of all pixels.
"""

import json
import sys
from pathlib import Path

import numpy as np
from PIL import Image

from world import COLOURS, DARK, GROUNDS, SKIES, SUNS, TERRAINS, TIMES, WOOD, mix, sky_at, tinted

REACH = 60**2
LEAST = 0.01
READ = ("time", "terrain", "colour", "place", "sun")


def distances(pixels, references):
    """Squared distances (..., references) of pixels (..., 3)."""
    return ((pixels[..., None, :].astype(np.float32) - np.asarray(references, np.float32)) ** 2).sum(-1)


def nearest(colour, table):
    """The key whose colour is nearest."""
    keys = list(table)
    return keys[int(distances(colour, [table[k] for k in keys]).argmin())]


def rows(picture, top, bottom):
    """The strip between two heights."""
    n = picture.shape[0]
    return picture[round(top * n) : round(bottom * n)]


def median(strip):
    return np.median(strip.reshape(-1, 3), axis=0)


def background(time, terrain):
    """Colours in the object's band that are not the object."""
    sky = [mix(*SKIES[time], t) for t in np.linspace(0.2, 1, 9)]
    ground = [tinted(c, time) for c in GROUNDS[terrain]]
    rest = [tinted(c, time) for c in ((146, 140, 158), (226, 230, 236), GROUNDS["desert"][0], GROUNDS["sea"][0])]
    return [WOOD, DARK, *sky, *ground, *rest]


def agree(mask):
    """Pixels whose four neighbours are in the mask too."""
    m = np.pad(mask, 1)
    return mask & m[:-2, 1:-1] & m[2:, 1:-1] & m[1:-1, :-2] & m[1:-1, 2:]


def read_object(picture, time, terrain):
    """Colour and place of the object, None and None without one."""
    band = rows(picture, 0.29, 0.92)
    d = distances(band, list(COLOURS.values()) + background(time, terrain))
    label = np.where(d.min(-1) < REACH, d.argmin(-1), -1)
    masks = [agree(label == k) for k in range(len(COLOURS))]
    counts = [m.sum() for m in masks]
    best = int(np.argmax(counts))
    if counts[best] < LEAST * picture.shape[0] ** 2:
        return None, None
    x = (np.nonzero(masks[best])[1].mean() + 0.5) / picture.shape[1]
    return list(COLOURS)[best], "left" if x < 0.355 else "right" if x >= 0.645 else "middle"


def read_sun(picture, time):
    """The side of the sun or moon, None without one."""
    n = picture.shape[0]
    band = rows(picture, 0.03, 0.27)
    y = (np.arange(len(band)) + 0.5 + round(0.03 * n)) / n
    sky = np.array([[sky_at(time, v)] for v in y])
    own = distances(band, [SUNS[time]])[..., 0]
    sunny = (own < REACH) & (own < ((band.astype(np.float32) - sky) ** 2).sum(-1))
    left, right = sunny[:, : round(0.23 * n)].sum(), sunny[:, round(0.77 * n) :].sum()
    if max(left, right) < 0.004 * n * n:
        return None
    return "left" if left > right else "right"


def read(picture):
    """All attributes of an RGB picture (S, S, 3) of 8 bits."""
    time = nearest(median(rows(picture, 0, 0.08)), {t: SKIES[t][0] for t in TIMES})
    terrain = nearest(median(rows(picture, 0.92, 1)), {t: tinted(GROUNDS[t][1], time) for t in TERRAINS})
    colour, place = read_object(picture, time, terrain)
    return dict(time=time, terrain=terrain, colour=colour, place=place, sun=read_sun(picture, time))


def score(pictures, expected):
    """Share of right readings per attribute; an attribute that an expectation lacks is not counted."""
    right = {k: [] for k in READ}
    for p, e in zip(pictures, expected):
        got = read(p)
        for k in READ:
            if k in e:
                right[k].append(got[k] == e[k])
    return {k: float(np.mean(v)) for k, v in right.items() if v}


def main():
    """score.py FOLDER: reads 000.png, 001.png, ... of a folder against its prompts.json."""
    folder = Path(sys.argv[1])
    expected = [p["expected"] for p in json.loads((folder / "prompts.json").read_text())]
    pictures = [np.asarray(Image.open(folder / f"{i:03}.png").convert("RGB")) for i in range(len(expected))]
    print(json.dumps(score(pictures, expected), indent=1))


if __name__ == "__main__":
    main()
