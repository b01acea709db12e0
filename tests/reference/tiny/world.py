"""The world the small model knows: flat-art scenes drawn from attributes, and which of them are held out.

A scene is a time of day, a terrain, an object with a colour and a place, perhaps a sun or moon on one side
and perhaps clouds. `Scene` holds the attributes, `draw` paints them; `words.py` puts them in words. All chance
comes from explicit seeds, so a scene is the same picture on every machine.

The drawing is made to be read back by `score.py`: backgrounds are muted, object colours saturated and the same
at every time of day, objects wide, the sun above `SUN_BOTTOM` and the object below it.
"""

import hashlib
import math
import random
from dataclasses import asdict, dataclass

from PIL import Image, ImageDraw

TIMES = ("day", "sunset", "night", "sunrise")
TERRAINS = ("mountains", "hills", "desert", "sea", "snow")
OBJECTS = ("house", "boat", "tree", "balloon", "tent")
PLACES = ("left", "middle", "right")
COLOURS = {
    "red": (215, 30, 40),
    "orange": (255, 120, 0),
    "yellow": (255, 220, 0),
    "green": (0, 140, 60),
    "blue": (30, 60, 215),
    "purple": (130, 30, 165),
    "pink": (255, 105, 185),
    "white": (255, 255, 255),
}
# Top and bottom of the sky.
SKIES = {
    "day": ((104, 178, 238), (186, 222, 246)),
    "sunset": ((104, 62, 122), (238, 138, 96)),
    "night": ((12, 16, 46), (38, 46, 98)),
    "sunrise": ((240, 168, 168), (250, 226, 186)),
}
# Main and second tone of the ground, by day.
GROUNDS = {
    "mountains": ((126, 116, 124), (112, 103, 112)),
    "hills": ((138, 178, 96), (122, 162, 84)),
    "desert": ((222, 192, 140), (206, 174, 124)),
    "sea": ((66, 130, 170), (58, 118, 158)),
    "snow": ((206, 220, 236), (192, 208, 228)),
}
# What the hour does to the ground, per channel. Objects keep their colour at every hour.
LIGHT = {"day": (1, 1, 1), "sunset": (0.78, 0.62, 0.66), "night": (0.42, 0.44, 0.58), "sunrise": (0.95, 0.86, 0.84)}
SUNS = {"day": (255, 246, 196), "sunset": (255, 206, 140), "night": (226, 228, 214), "sunrise": (255, 250, 222)}
WOOD, DARK, CREAM = (96, 62, 44), (58, 42, 46), (238, 224, 196)
# A fixed constellation (fractions of the width): the same stars every night cost the model nothing to learn.
STARS = (
    (0.09, 0.07),
    (0.2, 0.3),
    (0.3, 0.12),
    (0.34, 0.4),
    (0.45, 0.05),
    (0.52, 0.22),
    (0.6, 0.1),
    (0.66, 0.34),
    (0.72, 0.16),
    (0.93, 0.3),
    (0.95, 0.07),
    (0.06, 0.42),
    (0.82, 0.42),
)
SUN_BOTTOM = 0.27
CENTRES = {"left": 0.21, "middle": 0.5, "right": 0.79}
HELD_OUT_SHARE = 8


@dataclass(frozen=True)
class Scene:
    """Everything that is drawn. `sun` is the side of the sun or moon or None; `seed` drives the jitter."""

    time: str
    terrain: str
    object: str | None
    colour: str
    place: str
    sun: str | None
    clouds: bool
    seed: int


def held_out(time, terrain, obj, colour, place):
    """True for one in eight combinations; these are never trained on."""
    digest = hashlib.sha256("|".join((time, terrain, obj, colour, place)).encode()).digest()
    return digest[0] % HELD_OUT_SHARE == 0


def sample(seed, held=False):
    """The scene of a seed, from the training combinations or from the held-out ones."""
    r = random.Random(seed)
    while True:
        five = (r.choice(TIMES), r.choice(TERRAINS), r.choice(OBJECTS), r.choice(tuple(COLOURS)), r.choice(PLACES))
        if held_out(*five) == held:
            break
    time, terrain, obj, colour, place = five
    if not held and r.random() < 0.04:
        obj = None
    sun = r.choice(("left", "right")) if r.random() < 0.7 else None
    return Scene(time, terrain, obj, colour, place, sun, r.random() < 0.3, seed)


def tinted(colour, time):
    """A ground colour in the light of the hour."""
    return tuple(round(v * k) for v, k in zip(colour, LIGHT[time]))


def mix(a, b, t):
    """The colour `t` of the way from `a` to `b`."""
    return tuple(round(x + (y - x) * t) for x, y in zip(a, b))


def sky_at(time, y):
    """The sky's colour at a height (0 top)."""
    return mix(*SKIES[time], min(1, y / 0.62))


class Brush:
    """Filled shapes in fractions of the picture's width, painted at twice the size for smooth edges."""

    def __init__(self, size, background):
        self.side = 2 * size
        self.image = Image.new("RGB", (self.side, self.side), background)
        self.pen = ImageDraw.Draw(self.image)

    def box(self, x0, y0, x1, y1, fill):
        self.pen.rectangle([x0 * self.side, y0 * self.side, x1 * self.side, y1 * self.side], fill=fill)

    def oval(self, x, y, rx, ry, fill):
        self.pen.ellipse(
            [(x - rx) * self.side, (y - ry) * self.side, (x + rx) * self.side, (y + ry) * self.side], fill=fill
        )

    def shape(self, points, fill):
        self.pen.polygon([(x * self.side, y * self.side) for x, y in points], fill=fill)

    def done(self, size):
        return self.image.resize((size, size), Image.BOX)


def paint_sky(b, s, r):
    """The gradient, then stars, clouds and the sun or moon."""
    top, bottom = SKIES[s.time]
    rows = 32
    for i in range(rows):
        b.box(0, i / rows * 0.62, 1, 0.63, mix(top, bottom, i / (rows - 1)))
    if s.time == "night":
        for x, y in STARS:
            b.oval(x, y, 0.011, 0.011, (206, 208, 200))
    if s.clouds:
        for x in (r.uniform(0.36, 0.42), r.uniform(0.58, 0.64)):
            y, k = r.uniform(0.1, 0.19), r.uniform(0.9, 1.1)
            fill = mix(sky_at(s.time, y), (255, 255, 255), 0.5 if s.time != "night" else 0.25)
            b.oval(x, y, 0.11 * k, 0.035 * k, fill)
            b.oval(x - 0.02, y - 0.03, 0.055 * k, 0.045 * k, fill)
    if s.sun:
        x = {"left": 0.15, "right": 0.85}[s.sun] + r.uniform(-0.02, 0.02)
        y, rad = r.uniform(0.13, 0.17), r.uniform(0.08, 0.09)
        b.oval(x, y, rad, rad, SUNS[s.time])
        if s.time == "night":
            b.oval(x + rad * 0.5, y - rad * 0.25, rad * 0.85, rad * 0.85, sky_at(s.time, y))


def paint_peaks(b, s, r, horizon):
    """A row of snow-capped mountains behind the ground."""
    rock, cap = tinted((146, 140, 158), s.time), tinted((226, 230, 236), s.time)
    x = -0.12
    while x < 1.05:
        w, h = r.uniform(0.34, 0.44), r.uniform(0.2, 0.3)
        m, base = x + w / 2, horizon + 0.02
        b.shape([(x, base), (m, base - h), (x + w, base)], rock)
        b.shape(
            [(m - w * 0.16, base - h * 0.68), (m, base - h), (m + w * 0.16, base - h * 0.68), (m, base - h * 0.6)], cap
        )
        x += w * r.uniform(0.62, 0.8)


def paint_ground(b, s, r):
    """The terrain below the horizon: two tones, straight for sea and rock, waves of land for the others."""
    first, second = (tinted(c, s.time) for c in GROUNDS[s.terrain])
    horizon = r.uniform(0.54, 0.6)
    if s.terrain == "mountains":
        paint_peaks(b, s, r, horizon)
    if s.terrain in ("mountains", "sea"):
        b.box(0, horizon, 1, 1, first)
        b.box(0, horizon + 0.2, 1, 1, second)
        if s.terrain == "sea":
            for k in range(4):
                x, y = r.uniform(0, 0.85), horizon + 0.06 + 0.09 * k
                b.box(x, y, x + 0.13, y + 0.014, mix(first, (255, 255, 255), 0.25))
        return
    height = {"hills": 0.055, "desert": 0.025, "snow": 0.015}[s.terrain]
    for k, fill in enumerate((first, second)):
        phase, turns, level = r.uniform(0, 2 * math.pi), r.uniform(0.8, 1.4), horizon + 0.17 * k
        curve = [(i / 48, level + height * math.sin(phase + turns * 2 * math.pi * i / 48)) for i in range(49)]
        b.shape([(0, 1.02), *curve, (1, 1.02)], fill)


def paint_house(b, x, y, s, c):
    b.box(x - s, y - s * 1.15, x + s, y, c)
    b.shape([(x - s * 1.25, y - s * 1.15), (x, y - s * 2.1), (x + s * 1.25, y - s * 1.15)], WOOD)
    b.box(x - s * 0.25, y - s * 0.65, x + s * 0.2, y, DARK)


def paint_boat(b, x, y, s, c):
    b.shape([(x - s * 1.2, y - s * 0.45), (x + s * 1.2, y - s * 0.45), (x + s * 0.75, y), (x - s * 0.75, y)], WOOD)
    b.shape([(x - s * 0.95, y - s * 0.6), (x, y - s * 2.5), (x + s * 0.95, y - s * 0.6)], c)


def paint_tree(b, x, y, s, c):
    b.box(x - s * 0.18, y - s, x + s * 0.18, y, WOOD)
    b.oval(x, y - s * 1.6, s * 1.05, s * 1.0, c)


def paint_balloon(b, x, y, s, c):
    y = 0.6 - (0.8 - y)
    b.shape(
        [
            (x - s * 0.75, y - s * 0.75),
            (x + s * 0.75, y - s * 0.75),
            (x + s * 0.22, y + s * 0.05),
            (x - s * 0.22, y + s * 0.05),
        ],
        c,
    )
    b.oval(x, y - s * 1.25, s * 1.0, s * 1.0, c)
    b.box(x - s * 0.25, y + s * 0.05, x + s * 0.25, y + s * 0.5, WOOD)


def paint_tent(b, x, y, s, c):
    b.shape([(x - s * 1.35, y), (x, y - s * 1.8), (x + s * 1.35, y)], c)
    b.shape([(x - s * 0.35, y), (x, y - s * 0.95), (x + s * 0.35, y)], DARK)


PAINT = {"house": paint_house, "boat": paint_boat, "tree": paint_tree, "balloon": paint_balloon, "tent": paint_tent}


def paint_object(b, s, r):
    """The object; on water it stands on an island, and a boat on land lies in a pond. Returns its box in fractions."""
    x = CENTRES[s.place] + r.uniform(-0.03, 0.03)
    y, k = r.uniform(0.82, 0.86), r.uniform(0.125, 0.145)
    if s.terrain == "sea" and s.object in ("house", "tree", "tent"):
        b.oval(x, y, k * 1.6, k * 0.35, tinted(GROUNDS["desert"][0], s.time))
    if s.terrain != "sea" and s.object == "boat":
        b.oval(x, y, k * 1.6, k * 0.35, tinted(GROUNDS["sea"][0], s.time))
    PAINT[s.object](b, x, y, k, COLOURS[s.colour])
    foot = y + k * 0.35 if s.object != "balloon" else y - 0.2 + k * 0.5
    return (x - k * 1.6, foot - k * 2.9, x + k * 1.6, foot)


def draw(s, size=128):
    """The picture of a scene and the box (x0, y0, x1, y1, fractions) of its object, None without one."""
    r = random.Random(f"draw{s.seed}")
    b = Brush(size, SKIES[s.time][1])
    paint_sky(b, s, r)
    paint_ground(b, s, r)
    box = paint_object(b, s, r) if s.object else None
    return b.done(size), box


def attributes(s):
    """The scene as a plain dictionary, without its jitter seed."""
    return {k: v for k, v in asdict(s).items() if k != "seed"}
