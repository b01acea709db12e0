"""Writes the trained parts as a diffusers folder in half precision, with model card and SHA256SUMS.

Other files of the folder (`fresco.json`, the catalogue entry) stay as they are and are summed too.
"""

import hashlib
import json
import shutil
from pathlib import Path

import torch
from diffusers import AutoencoderKL, StableDiffusionPipeline

import text
import unet as stage
from common import Ema, arguments

CARD = Path(__file__).with_name("card.md")
LIMIT = 25_000_000


def trained(work):
    """Autoencoder, tokenizer, text encoder and UNet with averaged weights, and the number of steps."""
    vae = AutoencoderKL.from_pretrained(work / "vae")
    tok = text.tokenizer(work)
    encoder, unet = text.build(tok), stage.build()
    state = torch.load(work / "unet.pt", map_location="cpu", weights_only=True)
    ema = Ema([*encoder.parameters(), *unet.parameters()], 0.999)
    encoder.load_state_dict(state["encoder"])
    unet.load_state_dict(state["unet"])
    ema.load_state_dict(state["ema"])
    ema.settle()
    vae.register_to_config(scaling_factor=state["scale"])
    return vae, tok, encoder, unet, state["step"]


def strip_paths(folder):
    """diffusers notes where it loaded a part from; that is nobody's business."""
    for file in folder.glob("*/config.json"):
        config = json.loads(file.read_text())
        config.pop("_name_or_path", None)
        file.write_text(json.dumps(config, indent=2, sort_keys=True) + "\n")


def write_sums(folder):
    """sha256 of every file, in the form `sha256sum -c` reads."""
    files = sorted(p for p in folder.rglob("*") if p.is_file() and p.name != "SHA256SUMS")
    lines = [f"{hashlib.sha256(p.read_bytes()).hexdigest()}  {p.relative_to(folder).as_posix()}" for p in files]
    (folder / "SHA256SUMS").write_text("\n".join(lines) + "\n")
    size = sum(p.stat().st_size for p in files)
    assert size <= LIMIT, f"{size} bytes are more than {LIMIT}"
    return size


def main():
    a = arguments(__doc__, to="tiny-export", training="", scores="not measured")
    vae, tok, encoder, unet, step = trained(a.work)
    folder = Path(a.to)
    pipe = StableDiffusionPipeline(
        vae, encoder, tok, unet, stage.scheduler(), None, None, requires_safety_checker=False
    )
    pipe.to(dtype=torch.float16)
    pipe.save_pretrained(folder)
    for name in ("vocab.json", "merges.txt"):
        shutil.copy(a.work / "tokenizer" / name, folder / "tokenizer" / name)
    for file in folder.rglob("*.safetensors"):
        file.chmod(0o644)
    strip_paths(folder)
    training = a.training or f"{step:,} steps of the UNet"
    card = CARD.read_text().format(guidance=f"{stage.GUIDANCE:g}", training=training, scores=a.scores)
    (folder / "README.md").write_text(card)
    print(folder, write_sums(folder), "bytes, step", step)


if __name__ == "__main__":
    main()
