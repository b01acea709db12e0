"""Goldens of the tiny autoencoder, with 4 and 16 channels, and of RRDB as published (restated here: 50 lines of torch)."""

import torch
from diffusers import AutoencoderTiny
from torch import nn
from torch.nn import functional

from store import rms, save_json, save_tensors
from synthetic import fill, rule, values


def tiny(channels, blocks):
    config = {"encoder_block_out_channels": [12] * len(blocks), "decoder_block_out_channels": [12] * len(blocks),
              "num_encoder_blocks": blocks[::-1], "num_decoder_blocks": blocks, "latent_channels": channels}
    model = AutoencoderTiny(**config)
    return config, model, fill(model, loud)


def loud(name, parameter):
    """Without norms behind them, no layer may be quiet."""
    scale, offset = rule(name, parameter)
    return (float(torch.tensor(3**0.5 * 1.2 / parameter[0].numel()**0.5)) if parameter.ndim > 1 else scale), offset


class Dense(nn.Module):
    def __init__(self, width, growth):
        super().__init__()
        for i in range(5):
            to = growth if i < 4 else width
            setattr(self, f"conv{i + 1}", nn.Conv2d(width + i * growth, to, 3, padding=1))

    def forward(self, x):
        seen = [x]
        for i in range(5):
            y = getattr(self, f"conv{i + 1}")(torch.cat(seen, 1))
            seen.append(functional.leaky_relu(y, 0.2))
        return y * 0.2 + x


class Block(nn.Module):
    def __init__(self, width, growth):
        super().__init__()
        self.rdb1, self.rdb2, self.rdb3 = (Dense(width, growth) for _ in range(3))

    def forward(self, x):
        return self.rdb3(self.rdb2(self.rdb1(x))) * 0.2 + x


class Rrdb(nn.Module):
    """Wang et al. 2018, figure 4, with the names of the published weights."""

    def __init__(self, blocks, width, growth):
        super().__init__()
        self.conv_first = nn.Conv2d(3, width, 3, padding=1)
        self.body = nn.Sequential(*(Block(width, growth) for _ in range(blocks)))
        for name in ("conv_body", "conv_up1", "conv_up2", "conv_hr"):
            setattr(self, name, nn.Conv2d(width, width, 3, padding=1))
        self.conv_last = nn.Conv2d(width, 3, 3, padding=1)

    def forward(self, x):
        x = self.conv_first(x)
        x = x + self.conv_body(self.body(x))
        for conv in (self.conv_up1, self.conv_up2):
            x = functional.leaky_relu(conv(functional.interpolate(x, scale_factor=2, mode="nearest")), 0.2)
        return self.conv_last(functional.leaky_relu(self.conv_hr(x), 0.2))


def write(out):
    tensors, cases = {}, {}
    for name, channels, blocks in [("sd", 4, [3, 2, 1]), ("sd3", 16, [2, 1])]:
        config, model, recipe = tiny(channels, blocks)
        factor = 2 ** (len(blocks) - 1)
        latents = values(f"{name}.latents", (1, channels, 5, 7), 4.0)
        picture = values(f"{name}.picture", (1, 3, 6 * factor, 4 * factor), 1.0)
        tensors[f"{name}.image"] = model.decode(latents).sample
        tensors[f"{name}.encoded"] = model.encode(picture).latents
        cases[name] = {"config": config, "recipe": recipe}
    model = Rrdb(2, 8, 4)
    cases["rrdb"] = {"config": {"blocks": 2, "width": 8, "growth": 4}, "recipe": fill(model, loud)}
    tensors["rrdb.image"] = model(values("rrdb.picture", (1, 3, 6, 5), 0.5, 0.5))
    for name, tensor in tensors.items():
        assert 0.05 < rms(tensor) < 20, (name, rms(tensor))
    save_tensors(out / "taesd.safetensors", tensors)
    save_json(out / "taesd.json", cases)
