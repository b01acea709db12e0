"""Writes golden tensors and JSON in one stable form, so that a second run gives identical bytes."""

import hashlib
import json

import numpy as np
import torch
from safetensors.torch import save_file


def save_tensors(path, tensors):
    """Writes `tensors` (name -> torch tensor) contiguous and detached."""
    path.parent.mkdir(parents=True, exist_ok=True)
    save_file({k: v.detach().clone().contiguous() for k, v in tensors.items()}, str(path))


def save_json(path, value, indent=None):
    """Writes JSON; one line by default, because long number lists read badly either way."""
    path.parent.mkdir(parents=True, exist_ok=True)
    separators = None if indent else (",", ":")
    text = json.dumps(value, ensure_ascii=False, indent=indent, separators=separators)
    path.write_text(text + "\n", encoding="utf-8")


def exact(values):
    """f32 values as the doubles they are: JSON then carries them without loss."""
    return [float(np.float32(v)) for v in values]


def sha256(path):
    return hashlib.sha256(path.read_bytes()).hexdigest()


def rms(x):
    return float(x.double().pow(2).mean().sqrt())


def relative(x, reference):
    """‖x − reference‖ / ‖reference‖, the measure the engine's own tests use."""
    x, reference = x.double(), reference.double()
    return float((x - reference).norm() / reference.norm())


def rand(generator, *shape):
    return torch.randn(*shape, generator=generator)
