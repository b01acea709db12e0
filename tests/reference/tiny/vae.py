"""Trains the autoencoder: 128x128 pictures to 16x16x4 latents (factor 8) and back.

Most steps see 64x64 crops, half of them around the object: the network is convolutional, an empty sky teaches it
nothing, and a step costs a quarter. The last part of a run sees whole pictures, so that group normalisation and the
middle attention meet what they will meet in use. Instead of a learnt posterior the latents carry fixed noise.
With `--decoder-only 1` the latents stay as they are and only the decoder improves.
"""

import math
import time
from contextlib import nullcontext

import numpy as np
import torch
import torch.nn.functional as F
from diffusers import AutoencoderKL

from common import (
    Clock,
    Ema,
    Muon,
    arguments,
    autocast,
    dataset,
    device,
    load,
    save,
    set_rate,
    sheet,
    to_picture,
    to_unit,
)
from world import draw, sample

NOISE = 0.1
CROP = 64


def build(channels=(16, 24, 48, 96)):
    """The autoencoder; residual branches start at zero, so that it starts as a nearly linear map and learns at once."""
    m = AutoencoderKL(
        in_channels=3,
        out_channels=3,
        latent_channels=4,
        sample_size=128,
        layers_per_block=1,
        norm_num_groups=8,
        block_out_channels=channels,
        down_block_types=("DownEncoderBlock2D",) * 4,
        up_block_types=("UpDecoderBlock2D",) * 4,
    )
    for name, p in m.named_parameters():
        if ".conv2." in name or ".to_out.0." in name:
            torch.nn.init.zeros_(p)
    with torch.no_grad():  # the posterior's spread is the fixed noise; its half of the layer gets no gradient
        m.quant_conv.weight[4:] = 0
        m.quant_conv.bias[4:] = 2 * math.log(NOISE)
    return m.to(memory_format=torch.channels_last)


def plain(m):
    """Parameters for AdamW: the layers at the picture and at the latent."""
    return [m.encoder.conv_in.weight, m.decoder.conv_out.weight, m.quant_conv.weight, m.post_quant_conv.weight]


def crops(pictures, boxes, rng, count):
    """Crops of CROP pixels at multiples of 8, about half of them around the object."""
    out = np.empty((count, CROP, CROP, 3), np.uint8)
    room = pictures.shape[1] - CROP
    for k, i in enumerate(rng.integers(len(pictures), size=count)):
        if rng.random() < 0.6:
            x0, y0, x1, y1 = boxes[i] * pictures.shape[1]
            at = np.array([(y0 + y1) / 2, (x0 + x1) / 2]) - CROP / 2 + rng.uniform(-20, 20, 2)
        else:
            at = rng.uniform(0, room, 2)
        y, x = (np.clip(at / 8, 0, room // 8).round() * 8).astype(int)
        out[k] = pictures[i, y : y + CROP, x : x + CROP]
    return out


def difference(y, x):
    """L1 and L2 on values, L1 on horizontal and vertical steps: flat areas stay flat and edges sharp."""
    gx = F.l1_loss(y[..., 1:] - y[..., :-1], x[..., 1:] - x[..., :-1])
    gy = F.l1_loss(y[..., 1:, :] - y[..., :-1, :], x[..., 1:, :] - x[..., :-1, :])
    return F.l1_loss(y, x) + F.mse_loss(y, x) + 0.5 * (gx + gy)


def check(m, dev):
    """PSNR in dB over 64 unseen pictures, and pairs of original and reconstruction."""
    x = np.stack([np.asarray(draw(sample(10_000_000 + i, held=True))[0]) for i in range(64)])
    with torch.no_grad():
        y = torch.cat(
            [m.decode(m.encode(to_unit(x[i : i + 16], dev)).latent_dist.mean).sample for i in range(0, 64, 16)]
        )
    y = to_picture(y)
    mse = ((x.astype(np.float32) - y) ** 2).mean((1, 2, 3))
    return float((10 * np.log10(255**2 / mse)).mean()), [p for pair in zip(x[:24], y[:24]) for p in pair]


def freeze_encoder(m, ema):
    """Goes on with the decoder alone, from the averages: a UNet trained on the latents stays valid."""
    ema.settle()
    for part in (m.encoder, m.quant_conv):
        part.requires_grad_(False)


class Trainer:
    """Everything one training step needs."""

    def __init__(self, a, dev):
        self.a, self.dev, self.rng = a, dev, np.random.default_rng([a.seed, int(time.time())])
        self.pictures, _, self.boxes = dataset(a.work, a.scenes)
        self.model = build().to(dev)
        self.learnt = list(self.model.parameters())
        self.optimiser = Muon(self.learnt, a.rate, plain(self.model))
        self.ema = Ema(self.learnt, 0.998)
        self.step = load(a.work / "vae.pt", dev, **self.kept()).get("step", 0)
        if a.decoder_only:
            freeze_encoder(self.model, self.ema)

    def kept(self):
        """What a checkpoint holds besides numbers."""
        return dict(model=self.model, optimiser=self.optimiser, ema=self.ema)

    def batch(self, whole):
        """Crops, or a quarter as many whole pictures."""
        if not whole:
            return crops(self.pictures, self.boxes, self.rng, self.a.batch)
        return self.pictures[np.sort(self.rng.integers(len(self.pictures), size=max(1, self.a.batch // 4)))]

    def train(self, whole):
        """One step; returns its mean squared error."""
        x = to_unit(self.batch(whole), self.dev)
        with autocast(self.dev):
            with torch.no_grad() if self.a.decoder_only else nullcontext():
                z = self.model.encode(x).latent_dist.mean
            y = self.model.decode(z + NOISE * torch.randn_like(z)).sample
        loss = difference(y.float(), x) + 1e-3 * z.float().square().mean()
        self.optimiser.zero_grad()
        loss.backward()
        torch.nn.utils.clip_grad_norm_(self.learnt, 1.0)
        self.optimiser.step()
        self.ema.update()
        self.step += 1
        return F.mse_loss(y.detach().float(), x).item()

    def report(self):
        """Writes the checkpoint, the averaged model and a sheet; prints the PSNR of unseen pictures."""
        save(self.a.work / "vae.pt", **self.kept(), step=self.step)
        with self.ema:
            psnr, pairs = check(self.model, self.dev)
            self.model.save_pretrained(self.a.work / "vae")
        sheet(pairs, 12, self.a.work / "vae.png")
        print(f"{self.step} unseen psnr {psnr:.2f} dB", flush=True)


def main():
    a = arguments(__doc__, batch=16, rate=3e-3, whole=0.4, decoder_only=0)
    torch.manual_seed(a.seed)
    trainer = Trainer(a, device())
    clock, mean, last = Clock(a.minutes, a.rate), None, time.time()
    print("parameters", sum(p.numel() for p in trainer.learnt), "from step", trainer.step, flush=True)
    while not clock.over():
        rate = clock.next()
        set_rate(trainer.optimiser, rate)
        # Crops normalise differently: what the decoder alone learns must come from latents of whole pictures.
        mse = trainer.train(a.decoder_only or clock.elapsed() > (1 - a.whole) * clock.budget)
        mean = mse if mean is None else 0.98 * mean + 0.02 * mse
        if trainer.step % 100 == 0:
            psnr = 10 * math.log10(4 / mean)
            print(f"{trainer.step} {clock.elapsed():.0f}s psnr {psnr:.2f} rate {rate:.1e}", flush=True)
        if time.time() - last > 240 or clock.over():
            last = time.time()
            trainer.report()


if __name__ == "__main__":
    main()
