"""Goldens of autoencoders of other forms than the two reference models have: 16 channels as Stable Diffusion 3's."""

import torch
from diffusers import AutoencoderKL

from store import rms, save_json, save_tensors
from synthetic import fill, values

CONFIG = {"block_out_channels": [8, 16, 16], "layers_per_block": 1, "norm_num_groups": 4, "latent_channels": 16,
          "sample_size": 32, "scaling_factor": 1.5305, "shift_factor": 0.0609, "use_quant_conv": False,
          "use_post_quant_conv": False, "down_block_types": ["DownEncoderBlock2D"] * 3,
          "up_block_types": ["UpDecoderBlock2D"] * 3}


def autoencoder():
    model = AutoencoderKL(**CONFIG)
    return model, fill(model)


def write(out):
    model, recipe = autoencoder()
    # As they come out of the denoising loop.
    latents = values("vaes.latents", (1, 16, 6, 9), 2.0)
    picture = values("vaes.picture", (1, 3, 20, 28), 1.0)
    scaling, shift = CONFIG["scaling_factor"], CONFIG["shift_factor"]
    image = model.decode(latents / scaling + shift).sample
    posterior = model.encode(picture).latent_dist
    tensors = {"image": image, "mean": posterior.mean, "logvar": posterior.logvar}
    for name, tensor in tensors.items():
        assert 0.05 < rms(tensor) < 5, (name, rms(tensor))
    save_tensors(out / "vaes.safetensors", tensors)
    save_json(out / "vaes.json", {"config": CONFIG, "recipe": recipe})
