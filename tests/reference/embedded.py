"""Writes pictures of the embedded model as diffusers makes them: `python embedded.py [MODEL] [OUT]`.

Run it after every new export of the model: the engine has to give these very pictures.
"""

import json
import sys
from pathlib import Path

import numpy as np
import torch
from diffusers import StableDiffusionPipeline

from store import save_json, save_tensors

ROOT = Path(__file__).resolve().parents[2]
RUNS = [
    {"prompt": "mountains at sunset, a sun on the left, a red tent on the right", "seed": 1},
    {"prompt": "the sea at night, a moon on the right, a yellow boat in the middle", "seed": 2**40 + 3},
    {"prompt": "hills by day, a blue house on the left", "seed": 3, "guidance": 1.0},
    {"prompt": "snow at sunrise, a purple balloon on the right", "negative": "night", "seed": 4, "width": 192},
]


def main(model, out):
    info = json.loads((model / "fresco.json").read_text())
    pipe = StableDiffusionPipeline.from_pretrained(model, torch_dtype=torch.float32, safety_checker=None)
    pipe.set_progress_bar_config(disable=True)
    tensors, runs = {}, []
    for i, run in enumerate(RUNS):
        side = info["defaultSide"]
        full = {"prompt": run["prompt"], "negativePrompt": run.get("negative", ""), "seed": run["seed"],
                "steps": info["defaultSteps"], "guidanceScale": run.get("guidance", info["defaultGuidance"]),
                "width": run.get("width", side), "height": side}
        image = pipe(full["prompt"], negative_prompt=full["negativePrompt"], num_inference_steps=full["steps"],
                     guidance_scale=full["guidanceScale"], width=full["width"], height=full["height"],
                     generator=torch.Generator().manual_seed(full["seed"])).images[0]
        tensors[f"image.{i}"] = torch.from_numpy(np.array(image))
        runs.append(full)
    save_tensors(out / "embedded.safetensors", tensors)
    save_json(out / "embedded.json", runs, indent=1)


if __name__ == "__main__":
    arguments = [Path(a) for a in sys.argv[1:]]
    main(*(arguments + [ROOT / "public/models/fresco-tiny", ROOT / "tests/goldens"][len(arguments):]))
