"""Writes the golden tensors that the engine is compared with: `python goldens.py [OUT_DIR]`."""

import sys
from pathlib import Path

import diffusers
import numpy
import torch
import transformers
from safetensors.torch import load_file

import blocks
import clip_variants
import checkpoints
import family_modes
import gguf_files
import lora
import models
import modes
import noise
import pictures
import prompt_language
import samplers
import post
import schedules
import sd3
import sdxl
import sensitivity
import stages
import t5
import taesd
import transforms
import vaes
import vit
from prompts import PROMPTS
from store import save_json, sha256
from tokenizer import END, encode, slow_ids

LIMIT_BYTES = 5_000_000


def fix_arithmetic():
    """One thread and no choice of algorithms: sums come in one order."""
    torch.set_num_threads(1)
    torch.use_deterministic_algorithms(True)
    torch.set_grad_enabled(False)
    for library in (transformers, diffusers):
        library.utils.logging.set_verbosity_error()
        library.utils.logging.disable_progress_bar()


def write_tokens(out, pipes, vocab, merges):
    """Ids of every prompt by both tokenizers, which must also follow the rules as written out."""
    entries = [{"text": text} for text in PROMPTS]
    for name, pad in [("a", END), ("b", "!")]:
        for entry, ids in zip(entries, encode(pipes[name].tokenizer, PROMPTS).tolist()):
            entry[name] = ids
            slow = slow_ids(entry["text"], vocab, merges, pad)
            assert ids == slow, (name, entry["text"], ids, slow)
    save_json(out / "tokens.json", {"maxLength": 77, "prompts": entries})


def write_manifest(out):
    files = {p.relative_to(out).as_posix(): sha256(p) for p in sorted(out.rglob("*"))
             if p.is_file() and p.name != "manifest.json" and not p.name.startswith("embedded.")}
    versions = {m.__name__: m.__version__.split("+")[0] for m in (torch, diffusers, transformers, numpy)}
    save_json(out / "manifest.json", {"versions": versions, "files": files}, indent=1)


def check_size(out):
    total = sum(p.stat().st_size for p in out.rglob("*") if p.is_file())
    print(f"{total / 1e6:.2f} MB in {out.name}")
    assert total < LIMIT_BYTES, total


def main(out):
    fix_arithmetic()
    out.mkdir(parents=True, exist_ok=True)
    print("noise, blocks, schedules")
    for part in (noise, blocks, schedules, vaes, taesd, post, vit):
        part.write(out)
    print("models")
    folders, vocab, merges = models.write(out)
    pipes = {name: models.load(folder) for name, folder in folders.items()}
    write_tokens(out, pipes, vocab, merges)
    parameters = {}
    for name, pipe in pipes.items():
        stages.write(out, name, pipe)
        parts = {s: load_file(out / f"{name}_{s}.safetensors") for s in ("text", "unet", "vae")}
        sensitivity.check(name, pipe, parts)
        double = models.load(folders[name], torch.float64)
        parameters[name] = pictures.write(out, name, pipe, double)
        transforms.write(out, name, pipe)
    samplers.write(out)
    modes.write(out, pipes["a"])
    save_json(out / "pictures.json", parameters, indent=1)
    print("text encoders")
    for part in (clip_variants, t5, prompt_language):
        part.write(out)
    print("families")
    for part in (sdxl, sd3, family_modes):
        part.write(out)
    print("files")
    for part in (checkpoints, gguf_files, lora):
        part.write(out)
    write_manifest(out)
    check_size(out)


if __name__ == "__main__":
    main(Path(sys.argv[1]) if len(sys.argv) > 1 else Path(__file__).resolve().parents[1] / "goldens")
