"""Golden draws of torch's CPU generator: normals in every branch of its code, and raw uniforms."""

import torch

from store import save_json, save_tensors

SEEDS = [0, 42, 2**32 + 7, 2**63 + 11, 2**64 - 1]
COUNTS = [1, 2, 5, 15, 16, 17, 31, 32, 100]


def seeded(seed):
    return torch.Generator().manual_seed(seed)


def draws():
    """(name, entry for the index, tensor) of each golden draw."""
    for seed in SEEDS:
        yield draw(f"randn.latent.seed{seed}", seed, "randn", [1, 4, 8, 8])
    for count in COUNTS:
        yield draw(f"randn.n{count}.seed0", 0, "randn", [count])
    yield draw("randn.n5.seed42", 42, "randn", [5])
    yield draw("randn.batch.seed42", 42, "randn", [2, 4, 4, 4])
    for seed in (0, 123):
        yield draw(f"rand.n20.seed{seed}", seed, "rand", [20])


def draw(name, seed, kind, shape):
    tensor = getattr(torch, kind)(shape, generator=seeded(seed))
    return name, {"name": name, "kind": kind, "seed": seed, "shape": shape}, tensor


def sequences():
    """Successive draws from one generator: small ones keep half a pair for the next call."""
    for label, seed, counts in [
        ("small", 42, [3, 4]),
        ("mixed", 42, [3, 16, 2]),  # a large draw in between must not disturb the kept value
        ("blocks", 7, [17, 5, 33]),
    ]:
        generator = seeded(seed)
        for i, count in enumerate(counts):
            name = f"sequence.{label}.{i}"
            tensor = torch.randn(count, generator=generator)
            entry = {"name": name, "kind": "randn", "seed": seed, "shape": [count]}
            yield name, entry | {"sequence": label, "position": i}, tensor


def low_bits_only():
    """Whether torch cuts 64-bit seeds to their low 32 bits."""
    same = [torch.equal(torch.randn(40, generator=seeded(s)),
                        torch.randn(40, generator=seeded(s & 0xFFFFFFFF))) for s in SEEDS]
    return all(same)


def write(out):
    tensors, index = {}, []
    for name, entry, tensor in [*draws(), *sequences()]:
        tensors[name] = tensor
        index.append(entry)
    save_tensors(out / "noise.safetensors", tensors)
    save_json(out / "noise.json", {"seedUsesLow32BitsOnly": low_bits_only(), "draws": index}, indent=1)
