"""Goldens of SDXL and SD3 with pictures: image to image, inpainting, and SDXL's nine-channel inpainting."""

import inspect

import torch
from diffusers import (SD3Transformer2DModel, StableDiffusion3Img2ImgPipeline, StableDiffusion3InpaintPipeline,
                       StableDiffusionXLImg2ImgPipeline, StableDiffusionXLInpaintPipeline)
from PIL import Image

import sd3
import sdxl
import synthetic
from pictures import NEGATIVE, PROMPT
from sdxl import config_of, differing
from store import relative, save_json, save_tensors
from transforms import half_mask, start_picture

WIDTH, HEIGHT = 24, 16
# Six times these is no whole number: how a pipeline rounds shows.
TO_IMAGE, INPAINT = 0.7, 0.8


def pictures():
    return start_picture(WIDTH)[:HEIGHT], half_mask(WIDTH)[:HEIGHT]


def latents(kind, pipe, **arguments):
    """Final latents of another pipeline made of the same parts."""
    takes = inspect.signature(kind.__init__).parameters
    other = kind(**{name: part for name, part in pipe.components.items() if name in takes})
    other.set_progress_bar_config(disable=True)
    return other(PROMPT, negative_prompt=NEGATIVE, guidance_scale=5.0, num_inference_steps=6, output_type="latent",
                 generator=torch.Generator().manual_seed(11), **arguments).images


def run(name, pipe, to_image, inpaint):
    picture, mask = (Image.fromarray(x) for x in pictures())
    size = {"height": HEIGHT, "width": WIDTH}
    arguments = {"image": picture, "strength": INPAINT, **size}
    made = {f"{name}.inpaint": latents(inpaint, pipe, mask_image=mask, **arguments)}
    if to_image:
        # SDXL's takes the size from the picture alone.
        more = size if "height" in inspect.signature(to_image.__call__).parameters else {}
        made[f"{name}.img2img"] = latents(to_image, pipe, image=picture, strength=TO_IMAGE, **more)
    whole = latents(inpaint, pipe, mask_image=Image.fromarray(pictures()[1] * 0 + 255), **arguments)
    moved = relative(whole[..., : WIDTH // 4], made[f"{name}.inpaint"][..., : WIDTH // 4])
    print(f"  {name}: without its mask inpainting moves what is kept by {moved:.0%}")
    assert moved > 0.05, moved
    return made


def write(out):
    pipe, recipes, _ = sdxl.pipeline(out)
    tensors = run("sdxl", pipe, StableDiffusionXLImg2ImgPipeline, StableDiffusionXLInpaintPipeline)
    nine = sdxl.unet(9)
    said = {"nine": differing(synthetic.fill(nine, sdxl.rule), recipes["unet"])}
    configs = {"nine": config_of(nine)}
    pipe.register_modules(unet=nine)
    tensors |= run("sdxl.nine", pipe, None, StableDiffusionXLInpaintPipeline)
    # The reference inpaints with sixteen channels only.
    model = SD3Transformer2DModel(**sd3.MMDIT | {"in_channels": 16, "out_channels": 16}, **sd3.KINDS["medium"])
    small = SD3Transformer2DModel(**sd3.MMDIT, **sd3.KINDS["medium"])
    said["transformer"] = differing(sd3.fill(model), sd3.fill(small))
    vae, vae_recipe = sd3.autoencoder(latent_channels=16)
    said["vae"] = differing(vae_recipe, recipes["vae"])
    configs |= {"transformer": config_of(model), "vae": config_of(vae)}
    pipe = sd3.pipeline(out, model, latent_channels=16)
    tensors |= run("sd3", pipe, StableDiffusion3Img2ImgPipeline, StableDiffusion3InpaintPipeline)
    tensors["picture"] = torch.from_numpy(pictures()[0])
    save_tensors(out / "family_modes.safetensors", tensors)
    save_json(out / "family_modes.json", {"recipes": said, "configs": configs})


if __name__ == "__main__":
    from pathlib import Path

    from goldens import fix_arithmetic

    fix_arithmetic()
    write(Path(__file__).resolve().parents[1] / "goldens")
