"""Writes what the tests read: 200 held-out prompts, and procedural pictures for the scorer's own test.

prompts.json     [{prompt, seed, expected: {time, terrain, object, colour, place, sun?}}]
scorer.png/.json 100 pictures of 128x128 in rows of ten, and their attributes in the same order
"""

import argparse
import json
from pathlib import Path

import numpy as np

from common import sheet
from unet import held_out_prompts
from world import attributes, draw, sample

PROMPTS, PICTURES, FIRST_PICTURE = 200, 100, 30_000_000


def write_prompts(folder):
    prompts, expected = held_out_prompts(PROMPTS)
    rows = [dict(prompt=p, seed=1000 + i, expected=e) for i, (p, e) in enumerate(zip(prompts, expected))]
    lines = ",\n".join(json.dumps(r) for r in rows)
    (folder / "prompts.json").write_text(f"[\n{lines}\n]\n")


def write_pictures(folder):
    scenes = [sample(FIRST_PICTURE + i, held=i % 2 == 0) for i in range(PICTURES)]
    sheet([np.asarray(draw(s)[0]) for s in scenes], 10, folder / "scorer.png")
    rows = [attributes(s) | ({} if s.object else dict(colour=None, place=None)) for s in scenes]
    (folder / "scorer.json").write_text("[\n" + ",\n".join(map(json.dumps, rows)) + "\n]\n")


def main():
    p = argparse.ArgumentParser(description=__doc__)
    p.add_argument("folder", type=Path)
    folder = p.parse_args().folder
    folder.mkdir(parents=True, exist_ok=True)
    write_prompts(folder)
    write_pictures(folder)


if __name__ == "__main__":
    main()
