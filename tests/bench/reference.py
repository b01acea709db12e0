"""The same picture by diffusers in f32: `python reference.py MODEL FOLDER OUT.safetensors SIDE`."""

import sys

import diffusers
import numpy
import torch
from safetensors.numpy import save_file

from layouts import MODELS


def main(name, folder, out, side):
    model, case = MODELS[name], MODELS[name]["run"] | {"side": int(side)}
    kind = getattr(diffusers, model["pipeline"])
    absent = {part: None for part in model.get("absent", [])}
    pipeline = kind.from_pretrained(folder, variant=model.get("variant"), torch_dtype=torch.float32, **absent)
    pipeline.set_progress_bar_config(disable=True)
    with torch.inference_mode():
        latents = pipeline(case["prompt"], num_inference_steps=case["steps"], guidance_scale=case["guidance"],
                           height=case["side"], width=case["side"], output_type="latent",
                           generator=torch.Generator().manual_seed(case["seed"])).images
        noise = torch.randn(latents.shape, generator=torch.Generator().manual_seed(case["seed"]))
        start = noise * getattr(pipeline.scheduler, "init_noise_sigma", 1.0)
        # The autoencoder alone is enough from here; a full-size network less leaves room for its large pictures.
        vae, processor = pipeline.vae, pipeline.image_processor
        del pipeline
        shift = getattr(vae.config, "shift_factor", None) or 0.0
        decoded = vae.decode(latents / vae.config.scaling_factor + shift).sample
    picture = processor.postprocess(decoded, output_type="np")[0]
    # The library writes the memory as it lies: channels would come first.
    picture = numpy.ascontiguousarray((picture * 255).round().astype(numpy.uint8))
    save_file({"latents": latents.float().numpy(), "start": start.numpy(), "picture": picture}, out)


if __name__ == "__main__":
    main(*sys.argv[1:])
