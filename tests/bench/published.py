"""Full-size models with random weights in the exact published layouts: do they load, how long, how much memory, and
does the picture agree with diffusers'?

    python published.py FRESCO_BINARY [--models sd-turbo sdxl-base sd3.5-medium] [--folder DIR] [--keep]

Needs the packages of ../reference/requirements.txt, some 22 GB of disk for all three (the folders are removed again
unless --keep) and the memory that the table in README.md names. Every measured program is a process of its own.
"""

import argparse
import json
import shutil
import sys
import tempfile
from pathlib import Path

import compare
from layouts import MODELS
from measure import measured

HERE = Path(__file__).resolve().parent
BOUND = 2e-3  # relative error of the final latents and of what one step changes in them, f32


def write(name, folder):
    if not (folder / "model_index.json").exists():
        part = folder.with_suffix(".part")
        shutil.rmtree(part, ignore_errors=True)
        measured([sys.executable, HERE / "layouts.py", name, part])
        part.rename(folder)


def run(name, folder, side, binary, device, extra):
    """One model: diffusers' process, ours, and how far apart they are."""
    case = MODELS[name]["run"] | ({"side": side} if side else {})
    theirs = measured([sys.executable, HERE / "reference.py", name, folder, folder / "theirs.safetensors", case["side"]])
    ours = measured([binary, "generate", "--model", folder, "--prompt", case["prompt"], "--seed", case["seed"],
                     "--steps", case["steps"], "--guidance", case["guidance"], "--width", case["side"],
                     "--height", case["side"], "--device", device, "--out", folder / "ours.png",
                     "--dump-latents", folder / "ours.safetensors", "--json", *extra])
    summary = json.loads(ours.pop("output").strip().splitlines()[-1])
    theirs.pop("output")
    error = compare.latents(folder / "theirs.safetensors", folder / "ours.safetensors")
    return {"model": name, **case, "device": summary["device"], "diffusers": theirs, "fresco": ours,
            "relativeError": error, "pixels": compare.pixels(folder / "theirs.safetensors", folder / "ours.png")}


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("binary", type=Path)
    parser.add_argument("--models", nargs="+", choices=MODELS, default=list(MODELS))
    parser.add_argument("--folder", type=Path)
    parser.add_argument("--side", type=int, help="pixels, where the model's own size is too slow")
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--keep", action="store_true")
    parser.add_argument("--extra", nargs="*", default=[], help="more of `fresco generate`, without the dashes: a=b")
    chosen = parser.parse_args()
    extra = [f"--{word}" for word in chosen.extra]
    root = chosen.folder or Path(tempfile.mkdtemp(prefix="fresco-bench-"))
    far = []
    for name in chosen.models:
        folder = root / name
        root.mkdir(parents=True, exist_ok=True)
        write(name, folder)
        found = run(name, folder, chosen.side, chosen.binary, chosen.device, extra)
        print(json.dumps(found), flush=True)
        far += [name] if max(found["relativeError"].values()) > BOUND else []
        if not chosen.keep:
            shutil.rmtree(folder)
    if far:
        sys.exit(f"further than {BOUND} from diffusers: {', '.join(far)}")


if __name__ == "__main__":
    main()
