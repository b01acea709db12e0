"""Goldens of what is done with pictures: resizing, inpainting checkpoints with nine channels, shared self-attention."""

import numpy as np
import torch
from diffusers import StableDiffusionInpaintPipeline
from PIL import Image

import synthetic
from pictures import NEGATIVE, PROMPT
from store import save_tensors
from transforms import last_latents, parts, start_picture

# From (width, height) to (width, height): smaller, larger, both.
SIZES = [((40, 30), (17, 23)), ((24, 16), (64, 40)), ((33, 20), (12, 50))]
SHARED_ROW, SHARED_WEIGHT = 2, 0.6


def bytes_of(name, *shape):
    """Bytes by formula, sharp everywhere: rounding and clipping show."""
    return (synthetic.values(name, shape, 127.5, 127.5)).floor().clamp(0, 255).to(torch.uint8)


def resized():
    tensors = {}
    for (width, height), to in SIZES:
        name = f"resize.{width}x{height}.{to[0]}x{to[1]}"
        picture = Image.fromarray(bytes_of(name, height, width, 3).numpy())
        tensors[name] = torch.from_numpy(np.array(picture.resize(to, Image.Resampling.LANCZOS)))
    return tensors


def ragged_mask(side):
    """A disc whose edge cuts through latent positions: how the mask is shrunk shows."""
    y, x = np.mgrid[0:side, 0:side] / side
    return np.where((x - 0.55) ** 2 + (y - 0.5) ** 2 < 0.1, 255, 0).astype(np.uint8)


def inpainting(pipe):
    """Model a with one more layer at its entrance: mask and masked latents beside the latents."""
    side = 8 * pipe.vae_scale_factor
    picture, mask = Image.fromarray(start_picture(side)), Image.fromarray(ragged_mask(side))
    tensors = {"inpaint.mask": torch.from_numpy(np.array(mask))}
    narrow = pipe.unet.conv_in
    four = StableDiffusionInpaintPipeline(**parts(pipe), requires_safety_checker=False)
    four.set_progress_bar_config(disable=True)
    arguments = dict(image=picture, mask_image=mask, height=side, width=side)
    whole = half_mask_of(mask)
    latents, image = last_latents(four, **{**arguments, "mask_image": whole}, strength=1.0)
    tensors |= {"inpaint4.1.final_latents": latents}
    wide = torch.nn.Conv2d(9, narrow.out_channels, 3, padding=1)
    wide.weight.data = synthetic.values("inpaint9.conv_in.weight", tuple(wide.weight.shape), 0.004)
    wide.bias.data = narrow.bias.data
    pipe.unet.conv_in = wide
    pipe.unet.register_to_config(in_channels=9)
    nine = StableDiffusionInpaintPipeline(**parts(pipe), requires_safety_checker=False)
    nine.set_progress_bar_config(disable=True)
    for strength in (1.0, 0.8):
        latents, _ = last_latents(nine, **arguments, strength=strength)
        tensors |= {f"inpaint9.{strength:g}.final_latents": latents}
    pipe.unet.conv_in = narrow
    pipe.unet.register_to_config(in_channels=4)
    return tensors


def half_mask_of(mask):
    """The right half, in whole latent positions."""
    pixels = np.zeros_like(np.array(mask))
    pixels[:, pixels.shape[1] // 2:] = 255
    return Image.fromarray(pixels)


class SharedAttention:
    """Self-attention in which every row also sees one row: StyleAligned's rule, blended by a weight."""

    def __call__(self, attention, x, encoder_hidden_states=None, **_):
        alone = encoder_hidden_states is not None
        context = encoder_hidden_states if alone else x
        query, key, value = (self.split(attention, layer(y)) for layer, y in
                             ((attention.to_q, x), (attention.to_k, context), (attention.to_v, context)))
        attend = torch.nn.functional.scaled_dot_product_attention
        y = attend(query, key, value)
        if not alone:
            row = slice(SHARED_ROW, SHARED_ROW + 1)
            seen = [t[row].expand_as(t) for t in (query, key, value)]
            key = torch.cat([self.like(key, seen[1]), seen[1]], 2)
            together = attend(self.like(query, seen[0]), key, torch.cat([value, seen[2]], 2))
            y = y + SHARED_WEIGHT * (together - y)
        y = y.transpose(1, 2).reshape(x.shape)
        return attention.to_out[0](y)

    def split(self, attention, x):
        n, s, width = x.shape
        return x.view(n, s, attention.heads, width // attention.heads).transpose(1, 2)

    def like(self, x, reference):
        def moments(t):
            return t.mean(2, keepdim=True), (t.var(2, keepdim=True, correction=0) + 1e-5).sqrt()
        (mean, deviation), (reference_mean, reference_deviation) = moments(x), moments(reference)
        return (x - mean) / deviation * reference_deviation + reference_mean


def shared(pipe):
    width = pipe.unet.config.cross_attention_dim
    sample = synthetic.values("shared.sample", (3, 4, 8, 8), 1.7)
    context = synthetic.values("shared.context", (3, 77, width), 1.7)
    before = pipe.unet.attn_processors
    plain = pipe.unet(sample, 500, context).sample
    pipe.unet.set_attn_processor(SharedAttention())
    output = pipe.unet(sample, 500, context).sample
    pipe.unet.set_attn_processor(before)
    assert (output - plain).norm() / plain.norm() > 0.05, "sharing shows"
    assert torch.allclose(output[SHARED_ROW], plain[SHARED_ROW], atol=1e-5), "the row itself is left as it was"
    return {"shared.output": output}


def write(out, pipe):
    save_tensors(out / "modes.safetensors", resized() | inpainting(pipe) | shared(pipe))
