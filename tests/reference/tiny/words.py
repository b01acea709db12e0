"""Captions of scenes: the same things said in many ways, in any order, and sometimes only part of them."""

import random

TIME_WORDS = {
    "day": ("by day", "during the day", "in daylight", "at noon"),
    "sunset": ("at sunset", "during sunset", "in the evening", "at dusk"),
    "night": ("at night", "by night", "at midnight", "during the night"),
    "sunrise": ("at sunrise", "during sunrise", "at dawn", "in the early morning"),
}
TIME_ALONE = {
    "day": ("day", "daytime", "daylight"),
    "sunset": ("sunset", "evening", "dusk"),
    "night": ("night", "a night sky", "midnight"),
    "sunrise": ("sunrise", "dawn", "early morning"),
}
TERRAIN_WORDS = {
    "mountains": ("mountains", "the mountains", "a mountain landscape", "rocky mountains"),
    "hills": ("green hills", "hills", "rolling hills", "a hilly landscape"),
    "desert": ("a desert", "the desert", "sand dunes", "a sandy desert"),
    "sea": ("the sea", "the ocean", "a calm sea", "open water"),
    "snow": ("a snowy field", "snow", "a snowy landscape", "a winter landscape"),
}
TERRAIN_AROUND = {
    "mountains": ("in the mountains", "in front of mountains"),
    "hills": ("in the hills", "among green hills"),
    "desert": ("in the desert", "in a desert"),
    "sea": ("at sea", "by the sea", "on the ocean"),
    "snow": ("in the snow", "in a snowy field"),
}
OBJECT_WORDS = {
    "house": ("a {c} house", "a {c} house", "a {c} cottage", "one {c} house"),
    "boat": ("a {c} boat", "a boat with a {c} sail", "a {c} sailboat", "a {c} sailing boat"),
    "tree": ("a {c} tree", "a {c} tree", "one {c} tree", "a tree with {c} leaves"),
    "balloon": ("a {c} balloon", "a {c} hot air balloon", "a {c} balloon", "one {c} balloon"),
    "tent": ("a {c} tent", "a {c} tent", "a {c} camping tent", "one {c} tent"),
}
PLACE_WORDS = {
    "left": ("on the left", "on the left", "on the left side", "at the left"),
    "middle": ("in the middle", "in the middle", "in the center", "in the centre"),
    "right": ("on the right", "on the right", "on the right side", "at the right"),
}
SIDE_WORDS = {
    "left": ("on the left", "on the left side", "at the left"),
    "right": ("on the right", "on the right side", "at the right"),
}
OPENINGS = ("a picture of", "a drawing of", "flat art of", "an illustration of", "a painting of")


def say_object(s, r, place):
    """The object in words, its place before or after it."""
    noun = r.choice(OBJECT_WORDS[s.object]).format(c=s.colour).replace("a orange", "an orange")
    if not place:
        return noun
    where = r.choice(PLACE_WORDS[s.place])
    return f"{where} {noun}" if r.random() < 0.15 else f"{noun} {where}"


def say_background(s, r, time, terrain):
    """Terrain and time in words, as one phrase or two."""
    t, w = r.choice(TIME_WORDS[s.time]), r.choice(TERRAIN_WORDS[s.terrain])
    if r.random() < 0.15:
        t = r.choice(TIME_ALONE[s.time])
        if time and terrain:
            return [f"{t} over {w}"] if r.random() < 0.5 else [w, t]
    elif time and terrain and r.random() < 0.8:
        return [f"{w} {t}"]
    return [w] * terrain + [t] * time


def choose(s, r, full):
    """Which attributes a caption states: all there are, or, in nearly half of the captions, only some.

    People leave things out; a model that seldom saw that draws the object at every place at once.
    """
    partial = not full and r.random() < 0.45

    def keep(p):
        return not partial or r.random() < p

    said = {
        k for k, p in (("time", 0.75), ("terrain", 0.75), ("sun", 0.6), ("clouds", 0.8)) if keep(p) and getattr(s, k)
    }
    if s.object and keep(0.8):
        said |= {"object", "colour"} | ({"place"} if keep(0.5) else set())
    return said


def say_scene(s, r, said):
    """The phrases for background and object, one or several."""
    if {"time", "terrain", "object"} <= said and r.random() < 0.2:
        return [
            f"{say_object(s, r, 'place' in said)} {r.choice(TERRAIN_AROUND[s.terrain])} {r.choice(TIME_WORDS[s.time])}"
        ]
    parts = say_background(s, r, "time" in said, "terrain" in said)
    return parts + ([say_object(s, r, "place" in said)] if "object" in said else [])


def caption_said(s, seed, full=False):
    """A caption and the set of attributes it states. `full` states all there are."""
    r = random.Random(f"say{seed}")
    said = choose(s, r, full)
    parts = say_scene(s, r, said)
    if "sun" in said:
        name = "moon" if s.time == "night" else "sun"
        parts.append(f"{r.choice(('a', 'a', 'the'))} {name} {r.choice(SIDE_WORDS[s.sun])}")
    if "clouds" in said:
        parts.append(r.choice(("clouds", "white clouds", "a cloudy sky")))
    r.shuffle(parts)
    text = r.choice((", ", ", ", ", ", " and ", " with ")).join(parts) if len(parts) == 2 else ", ".join(parts)
    if r.random() < 0.1:
        text = " ".join(w for w in text.split(" ") if w not in ("a", "an", "the", "one"))
    if text and not full and r.random() < 0.15:
        text = f"{r.choice(OPENINGS)} {text}"
    return text, said


def caption(s, seed, full=False):
    """A caption of the scene; see `caption_said`."""
    return caption_said(s, seed, full)[0]
