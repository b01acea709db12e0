"""Goldens of whole pictures: StableDiffusionPipeline with the noise, every step's latents and the bytes."""

import numpy as np
import torch

from store import relative, save_tensors

PROMPT, NEGATIVE = "a red house beside a frozen lake at sunset, highly detailed", "blurry, rainy day"
OTHER = "two white sailboats near the sea by night"


def runs(pipe):
    """name -> parameters; latents are 8x8, and once 8x12."""
    side = 8 * pipe.vae_scale_factor
    base = {"prompt": PROMPT, "negativePrompt": NEGATIVE, "seed": 7, "steps": 4, "guidanceScale": 5.0,
            "height": side, "width": side}
    return {"guided": base, "unguided": base | {"guidanceScale": 1.0},
            "wide": base | {"width": side * 3 // 2, "prompt": OTHER, "negativePrompt": "", "seed": 2**32 + 7}}


def latent_noise(pipe, run):
    factor = pipe.vae_scale_factor
    shape = (1, 4, run["height"] // factor, run["width"] // factor)
    return torch.randn(shape, generator=torch.Generator().manual_seed(run["seed"]))


def paint(pipe, run):
    """The run's tensors. `noise` is as drawn, before the scheduler scales it."""
    # Given, not drawn by the pipeline: in double it would draw other values. `check_noise` says they agree.
    steps = []

    def keep(_pipe, _index, _t, values):
        steps.append(values["latents"])
        return values

    noise = latent_noise(pipe, run)
    image = pipe(run["prompt"], negative_prompt=run["negativePrompt"], num_inference_steps=run["steps"],
                 guidance_scale=run["guidanceScale"], height=run["height"], width=run["width"],
                 latents=noise.to(pipe.dtype), callback_on_step_end=keep).images[0]
    decoded = pipe.vae.decode(steps[-1] / pipe.vae.config.scaling_factor).sample
    return {"noise": noise, "latents": torch.stack(steps), "final_latents": steps[-1], "decoded": decoded,
            "image": torch.from_numpy(np.array(image))}


def check_noise(pipe, run):
    """The pipeline starts from the drawn noise times the scheduler's initial scale."""
    pipe.scheduler.set_timesteps(run["steps"])
    start = pipe.prepare_latents(1, 4, run["height"], run["width"], torch.float32, torch.device("cpu"),
                                 torch.Generator().manual_seed(run["seed"]))
    assert torch.equal(start, latent_noise(pipe, run) * pipe.scheduler.init_noise_sigma)


def check_prompt_matters(name, pipe, run, latents):
    other = paint(pipe, run | {"prompt": OTHER})["final_latents"]
    moved = relative(other, latents)
    print(f"  {name}: another prompt moves the final latents by {moved:.0%}")
    assert 0.1 < moved < 3, moved


def check_rounding(name, double, run, tensors):
    """A run in double: how far rounding alone may carry the latents, to be well under 1e-3."""
    error = relative(tensors["final_latents"], paint(double, run)["final_latents"])
    print(f"  {name}: rounding moves the final latents by {error:.1e}")
    assert error < 1e-4, error


def check_image(tensors):
    """Neither flat nor all clamped, and the bytes are the decoded values rounded half to even."""
    image, decoded = tensors["image"], tensors["decoded"]
    spread, clamped = float(image.float().std()), float((decoded.abs() > 1).float().mean())
    assert spread > 20 and clamped < 0.5, (spread, clamped)
    by_hand = ((decoded[0] / 2 + 0.5).clamp(0, 1) * 255).round().to(torch.uint8).permute(1, 2, 0)
    assert torch.equal(image, by_hand)


def write(out, name, pipe, double):
    """`double` is the same pipeline in f64. Returns the parameters of the runs."""
    tensors, parameters = {}, runs(pipe)
    for label, run in parameters.items():
        check_noise(pipe, run)
        made = paint(pipe, run)
        check_image(made)
        check_rounding(f"{name} {label}", double, run, made)
        tensors |= {f"{label}.{k}": v for k, v in made.items()}
    check_prompt_matters(f"{name} guided", pipe, parameters["guided"], tensors["guided.final_latents"])
    check_prompt_matters(f"{name} unguided", pipe, parameters["unguided"], tensors["unguided.final_latents"])
    save_tensors(out / f"{name}_picture.safetensors", tensors)
    return parameters
