"""What all training stages share: the work folder, the rendered data, the optimiser, the schedule, checkpoints."""

import argparse
import json
import os
import signal
import time
from dataclasses import asdict
from pathlib import Path

import numpy as np
import torch
import torch.distributed as dist
from PIL import Image

from world import Scene, draw, sample

SIZE = 128


def arguments(doc, **extra):
    """Command line of a stage. `extra` adds options as name=default."""
    p = argparse.ArgumentParser(description=doc)
    p.add_argument(
        "--work",
        type=Path,
        default=Path(os.environ.get("FRESCO_TINY_WORK", "tiny-work")),
        help="folder for data, checkpoints and samples (env FRESCO_TINY_WORK)",
    )
    p.add_argument("--minutes", type=float, default=60, help="how long to train in this run")
    p.add_argument("--scenes", type=int, default=24000, help="how many training scenes to render")
    p.add_argument("--seed", type=int, default=0)
    p.add_argument("--threads", type=int, default=0, help="CPU threads, 0 for torch's choice")
    for name, default in extra.items():
        p.add_argument("--" + name.replace("_", "-"), type=type(default), default=default)
    a = p.parse_args()
    a.work.mkdir(parents=True, exist_ok=True)
    if a.threads:
        torch.set_num_threads(a.threads)
    return a


def device():
    return torch.device("cuda" if torch.cuda.is_available() else "cpu")


def autocast(dev):
    """bf16 on CUDA. Float32 on CPUs: with so few channels bf16 measured half as fast there, forward and backward."""
    return torch.autocast(dev.type, dtype=torch.bfloat16, enabled=dev.type == "cuda")


def dataset(work, count):
    """Renders `count` scenes once; returns pictures (N,S,S,3 uint8, memory-mapped), scenes, object boxes (N,4)."""
    pictures, scenes = work / f"pictures-{count}.npy", work / f"scenes-{count}.json"
    if not scenes.exists():
        out = np.lib.format.open_memmap(pictures, "w+", np.uint8, (count, SIZE, SIZE, 3))
        rows = []
        for i in range(count):
            s = sample(i)
            image, box = draw(s, SIZE)
            out[i] = np.asarray(image)
            rows.append([asdict(s), box])
        out.flush()
        scenes.write_text(json.dumps(rows))
    rows = json.loads(scenes.read_text())
    boxes = np.array([b or (0, 0, 1, 1) for _, b in rows], np.float32)
    return np.load(pictures, mmap_mode="r"), [Scene(**s) for s, _ in rows], boxes


def to_unit(pictures, dev):
    """uint8 NHWC to float NCHW in [-1, 1], channels last."""
    x = torch.from_numpy(np.array(pictures)).to(dev).permute(0, 3, 1, 2).float().div(127.5).sub(1)
    return x.contiguous(memory_format=torch.channels_last)


def to_picture(x):
    """Float NCHW in [-1, 1] to uint8 NHWC."""
    return ((x.float().clamp(-1, 1) + 1) * 127.5).round().byte().permute(0, 2, 3, 1).cpu().numpy()


def sheet(pictures, columns, path):
    """Writes pictures (N,S,S,3 uint8) as one contact sheet."""
    n, s = len(pictures), pictures[0].shape[0]
    g = Image.new("RGB", (columns * s, -(-n // columns) * s))
    for i, p in enumerate(pictures):
        g.paste(Image.fromarray(p), (i % columns * s, i // columns * s))
    g.save(path)


def orthogonalise(g, steps=5):
    """Newton-Schulz iteration that brings all singular values of a matrix near one (Jordan et al., Muon, 2024).

    Every factor is a polynomial in x x^T, so the iteration runs on that small square matrix and touches the long one
    only at its beginning and end.
    """
    a, b, c = 3.4445, -4.7750, 2.0315
    tall = g.size(-2) > g.size(-1)
    x = g.mT if tall else g
    x = x / (x.norm(dim=(-2, -1), keepdim=True) + 1e-7)
    square, product = x @ x.mT, None
    for k in range(steps):
        factor = b * square + c * square @ square
        factor.diagonal(dim1=-2, dim2=-1).add_(a)
        product = factor if product is None else factor @ product
        if k + 1 < steps:
            square = factor @ square @ factor
    x = product @ x
    return x.mT if tall else x


class Muon(torch.optim.Optimizer):
    """Muon for hidden matrices and kernels, AdamW for the rest, one learning rate for both.

    The orthogonal step is scaled to AdamW's usual size, 0.2 sqrt(max(rows, columns)) (Liu et al., 2025). Matrices of
    one shape go through the iteration together. It needs far fewer steps than AdamW, which is what a CPU can afford.
    """

    def __init__(self, params, lr, plain=(), decay=0.01, momentum=0.95):
        plain = {id(p) for p in plain}
        params = list(params)
        hidden = [p for p in params if p.ndim >= 2 and id(p) not in plain]
        rest = [p for p in params if p.ndim < 2 or id(p) in plain]
        super().__init__(
            [dict(params=hidden, muon=True), dict(params=rest, muon=False)], dict(lr=lr, decay=decay, momentum=momentum)
        )

    @torch.no_grad()
    def step(self):
        for g in self.param_groups:
            (self._muon if g["muon"] else self._adam)(g)

    def _muon(self, g):
        shapes = {}
        for p in g["params"]:
            if p.grad is None:
                continue
            m = self.state[p].setdefault("m", torch.zeros_like(p))
            m.lerp_(p.grad, 1 - g["momentum"])
            update = p.grad.lerp(m, g["momentum"]).reshape(p.shape[0], -1)
            shapes.setdefault(update.shape, []).append((p, update))
        for (rows, columns), pairs in shapes.items():
            step = orthogonalise(torch.stack([u for _, u in pairs])) * (0.2 * max(rows, columns) ** 0.5 * g["lr"])
            for (p, _), u in zip(pairs, step):
                p.mul_(1 - g["lr"] * g["decay"]).sub_(u.view(p.shape))

    def _adam(self, g):
        for p in g["params"]:
            if p.grad is None:
                continue
            s = self.state[p]
            if not s:
                s.update(m=torch.zeros_like(p), v=torch.zeros_like(p), n=0)
            s["n"] += 1
            s["m"].lerp_(p.grad, 0.1)
            s["v"].lerp_(p.grad.square(), 0.02)
            step = s["m"] / (1 - 0.9 ** s["n"]) / ((s["v"] / (1 - 0.98 ** s["n"])).sqrt() + 1e-8)
            p.sub_(step, alpha=g["lr"])


def set_rate(optimiser, rate):
    for g in optimiser.param_groups:
        g["lr"] = rate


class Ema:
    """Moving average of parameters; it is what gets exported, so the learning rate may stay high."""

    def __init__(self, params, top):
        self.params, self.top, self.n = list(params), top, 0
        self.average = [p.detach().clone() for p in self.params]

    @torch.no_grad()
    def update(self):
        self.n += 1
        k = min(self.top, (1 + self.n) / (10 + self.n))
        torch._foreach_lerp_(self.average, [p.detach() for p in self.params], 1 - k)

    def __enter__(self):
        """Puts the average into the model for the length of a `with`."""
        self.kept = [p.detach().clone() for p in self.params]
        self._put(self.average)

    def __exit__(self, *_):
        self._put(self.kept)

    @torch.no_grad()
    def _put(self, values):
        for p, v in zip(self.params, values):
            p.copy_(v)

    def settle(self):
        """Makes the average the model's own values."""
        self._put(self.average)

    def state_dict(self):
        return dict(n=self.n, average=self.average)

    def load_state_dict(self, d):
        self.n = d["n"]
        for a, b in zip(self.average, d["average"]):
            a.copy_(b)


class Crew:
    """Processes that train one model together (`torchrun --nproc-per-node 2 unet.py ...`), or just this one.

    They meet once per step. On a busy CPU that loses far less than the threads of one process, which meet in every
    operation and wait for the slower each time.
    """

    def __init__(self):
        self.size, self.rank = int(os.environ.get("WORLD_SIZE", 1)), int(os.environ.get("RANK", 0))
        if self.size > 1:
            dist.init_process_group("gloo")

    @torch.no_grad()
    def average(self, params, *numbers):
        """Replaces gradients by their mean over the crew; returns the means of the numbers."""
        if self.size == 1:
            return numbers
        grads = [p.grad for p in params if p.grad is not None]
        flat = torch.cat([*(g.flatten() for g in grads), grads[0].new_tensor(numbers)])
        dist.all_reduce(flat)
        flat /= self.size
        parts = flat.split([*(g.numel() for g in grads), len(numbers)])
        for g, mean in zip(grads, parts):
            g.copy_(mean.view(g.shape))
        return parts[-1].tolist()


class Clock:
    """Learning rate over one run: a short warm-up, level, then down to a twentieth over the last quarter.

    A later run goes up to the level again, so that training can be continued at any time. SIGTERM ends a run early;
    the stage saves as at its end.
    """

    def __init__(self, minutes, rate, warm=50):
        self.start, self.budget, self.rate, self.warm, self.steps = time.time(), minutes * 60, rate, warm, 0
        self.stopped = False
        signal.signal(signal.SIGTERM, self._stop)

    def _stop(self, *_):
        self.stopped = True

    def elapsed(self):
        return time.time() - self.start

    def over(self):
        return self.stopped or self.elapsed() > self.budget

    def next(self):
        """The learning rate of the next step."""
        self.steps += 1
        left = max(0.0, 1 - self.elapsed() / self.budget)
        return self.rate * min(1, self.steps / self.warm) * (0.05 + 0.95 * min(1, left / 0.25))


def save(path, **parts):
    """Writes a checkpoint; a run that is stopped while writing leaves the one before whole."""
    fresh = path.with_suffix(".new")
    torch.save({k: v.state_dict() if hasattr(v, "state_dict") else v for k, v in parts.items()}, fresh)
    os.replace(fresh, path)


def load(path, dev, **parts):
    """Restores what `save` wrote into the given objects; returns the plain values, empty without a checkpoint."""
    if not path.exists():
        return {}
    state = torch.load(path, map_location=dev, weights_only=True)
    for k, v in parts.items():
        v.load_state_dict(state[k])
    return {k: v for k, v in state.items() if k not in parts}
