"""Scores an exported folder through diffusers: held-out prompts at some guidances and step counts, with sheets."""

import argparse
import json
from pathlib import Path

import numpy as np
import torch
from diffusers import StableDiffusionPipeline

from common import sheet
from score import score
from unet import GUIDANCE, STEPS, held_out_prompts


def pictures(pipe, prompts, guidance, steps, batch=10):
    """One picture per prompt, seeds 1000, 1001, ..."""
    out = []
    for i in range(0, len(prompts), batch):
        seeds = [torch.Generator().manual_seed(1000 + k) for k in range(i, min(i + batch, len(prompts)))]
        out += pipe(
            prompts[i : i + batch],
            num_inference_steps=steps,
            guidance_scale=guidance,
            generator=seeds,
            height=128,
            width=128,
            output_type="np",
        ).images.tolist()
    return (np.array(out) * 255).round().astype(np.uint8)


def main():
    p = argparse.ArgumentParser(description=__doc__)
    p.add_argument("folder", type=Path)
    p.add_argument("--count", type=int, default=200)
    p.add_argument("--guidance", type=float, nargs="+", default=[GUIDANCE, 1.0])
    p.add_argument("--steps", type=int, nargs="+", default=[STEPS])
    p.add_argument("--sheets", type=Path, help="folder for contact sheets")
    a = p.parse_args()
    pipe = StableDiffusionPipeline.from_pretrained(a.folder, torch_dtype=torch.float32)
    pipe.set_progress_bar_config(disable=True)
    prompts, expected = held_out_prompts(a.count)
    for steps in a.steps:
        for guidance in a.guidance:
            made = pictures(pipe, prompts, guidance, steps)
            print(json.dumps(dict(guidance=guidance, steps=steps, count=a.count, **score(made, expected))), flush=True)
            if a.sheets:
                a.sheets.mkdir(parents=True, exist_ok=True)
                sheet(made[:40], 8, a.sheets / f"guidance-{guidance:g}-steps-{steps}.png")


if __name__ == "__main__":
    main()
