"""Goldens of runs that start from a picture: image to image, and inpainting with a four-channel denoiser."""

import numpy as np
import torch
from diffusers import StableDiffusionImg2ImgPipeline, StableDiffusionInpaintPipeline
from PIL import Image

from pictures import NEGATIVE, PROMPT
from store import save_tensors


def start_picture(side):
    """A smooth gradient with a bright disc: something to keep, something to lose."""
    y, x = np.mgrid[0:side, 0:side] / side
    disc = ((x - 0.6) ** 2 + (y - 0.4) ** 2 < 0.05)[..., None]
    pixels = np.where(disc, [250, 230, 90], np.stack([200 * x, 120 + 100 * y, 220 - 180 * y], -1))
    return pixels.astype(np.uint8)


def half_mask(side):
    """The right half repaints, in whole latent cells: how a mask is shrunk is the engine's own choice."""
    mask = np.zeros((side, side), np.uint8)
    mask[:, side // 2:] = 255
    return mask


def parts(pipe):
    return {k: v for k, v in pipe.components.items() if k != "image_encoder"}


def last_latents(pipe, **arguments):
    kept = {}

    def keep(_pipe, _index, _t, values):
        kept["latents"] = values["latents"].clone()
        return values

    image = pipe(PROMPT, negative_prompt=NEGATIVE, guidance_scale=5.0, num_inference_steps=6,
                 generator=torch.Generator().manual_seed(11), callback_on_step_end=keep, **arguments).images[0]
    return kept["latents"], torch.from_numpy(np.array(image))


def write(out, name, pipe):
    side = 8 * pipe.vae_scale_factor
    picture, mask = start_picture(side), half_mask(side)
    tensors = {"picture": torch.from_numpy(picture), "mask": torch.from_numpy(mask)}
    to_image = StableDiffusionImg2ImgPipeline(**parts(pipe), requires_safety_checker=False)
    to_image.set_progress_bar_config(disable=True)
    latents, image = last_latents(to_image, image=Image.fromarray(picture), strength=0.7)
    tensors |= {"img2img.final_latents": latents, "img2img.image": image}
    inpaint = StableDiffusionInpaintPipeline(**parts(pipe), requires_safety_checker=False)
    inpaint.set_progress_bar_config(disable=True)
    latents, image = last_latents(inpaint, image=Image.fromarray(picture), mask_image=Image.fromarray(mask),
                                  height=side, width=side, strength=0.8)
    tensors |= {"inpaint.final_latents": latents, "inpaint.image": image}
    assert (tensors["img2img.image"].float() - tensors["picture"].float()).abs().mean() > 5
    save_tensors(out / f"{name}_transform.safetensors", tensors)
