"""Weights by formula: the reference fills a model's parameters, the engine's tests fill the same ones without a file.

A committed golden then holds outputs and a recipe (`{name: [shape, scale, offset]}`), not weights. Value `i` of tensor
`name` is `offset + scale * (2 u - 1)` with `u` the top 24 bits of SplitMix64 (Steele et al. 2014), seeded by the FNV-1a
hash of the name and stepped `i + 1` times: exact in f64, rounded once to f32.
"""

import numpy as np
import torch

from models import ON_STREAM, STREAM, TO_STREAM, boost

MASK = (1 << 64) - 1


def fnv1a(name):
    value = 0xCBF29CE484222325
    for byte in name.encode():
        value = ((value ^ byte) * 0x100000001B3) & MASK
    return value


def values(name, shape, scale, offset=0.0):
    """The f32 tensor of this name."""
    count = int(np.prod(shape, dtype=np.int64))
    with np.errstate(over="ignore"):
        z = np.uint64(fnv1a(name)) + np.arange(1, count + 1, dtype=np.uint64) * np.uint64(0x9E3779B97F4A7C15)
        z = (z ^ (z >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
        z = (z ^ (z >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
        z ^= z >> np.uint64(31)
    u = (z >> np.uint64(40)).astype(np.float64) / 2.0**24
    return torch.from_numpy((offset + scale * (2.0 * u - 1.0)).astype(np.float32)).reshape(shape)


def rule(name, parameter):
    """Scale and offset of a parameter, with the spreads of `models.randomise`."""
    layer, kind = name.rsplit(".", 1) if "." in name else ("", name)
    if parameter.ndim > 1:
        fan_in = 1 if "embedding.weight" in name or "shared.weight" in name else parameter[0].numel()
        deviation, offset = 1.2 / fan_in**0.5, 0.0
    elif kind == "weight":
        deviation, offset = 0.2, 1.0
    else:
        deviation, offset = 0.1, 0.0
    small = TO_STREAM.search(layer) or (kind == "bias" and ON_STREAM.search(layer))
    factor = (STREAM if small else 1.0) * boost(name)
    # A uniform of half-width sqrt(3) has deviation 1.
    return float(np.float32(3**0.5 * deviation * factor)), float(np.float32(offset * factor))


def fill(model, rule=rule):
    """Sets every parameter of `model` by formula and returns the recipe that the engine's tests need."""
    recipe = {}
    for name, parameter in sorted(model.named_parameters()):
        scale, offset = rule(name, parameter)
        parameter.data = values(name, tuple(parameter.shape), scale, offset)
        recipe[name] = [list(parameter.shape), scale, offset]
    model.eval()
    return recipe
