"""Golden noise schedules of the Euler sampler, and short runs of it with a model that is one formula."""

from itertools import product

import torch
from diffusers import EulerDiscreteScheduler

from store import exact, save_json, save_tensors

SPACINGS = ["trailing", "leading", "linspace"]
PREDICTIONS = ["epsilon", "v_prediction"]
STEPS = [1, 2, 4, 8, 20, 50]


def config(spacing, prediction, betas="scaled_linear", offset=None):
    # Published folders pair leading spacing with an offset of one.
    offset = (1 if spacing == "leading" else 0) if offset is None else offset
    return {"num_train_timesteps": 1000, "beta_start": 0.00085, "beta_end": 0.012, "beta_schedule": betas,
            "timestep_spacing": spacing, "steps_offset": offset, "prediction_type": prediction}


def entry(config, steps):
    scheduler = EulerDiscreteScheduler(**config)
    scheduler.set_timesteps(steps)
    return {"config": config, "steps": steps, "timesteps": exact(scheduler.timesteps),
            "sigmas": exact(scheduler.sigmas), "initNoiseSigma": exact([scheduler.init_noise_sigma])[0]}


def entries():
    for spacing, prediction, steps in product(SPACINGS, PREDICTIONS, STEPS):
        yield entry(config(spacing, prediction), steps)
    for steps in STEPS:
        yield entry(config("leading", "epsilon", offset=0), steps)
    for spacing in SPACINGS:
        yield entry(config(spacing, "epsilon", betas="linear"), 8)


def model(x, t):
    """Stands in for the network: depends on its input and on the time, and has no weights."""
    return torch.sin(x * 0.7) + 0.001 * t


def run(spacing, prediction, noise):
    scheduler = EulerDiscreteScheduler(**config(spacing, prediction))
    scheduler.set_timesteps(4)
    x, steps = noise * scheduler.init_noise_sigma, []
    for t in scheduler.timesteps:
        x = scheduler.step(model(scheduler.scale_model_input(x, t), t), t, x).prev_sample
        steps.append(x)
    return torch.stack(steps)


def write(out):
    save_json(out / "schedules.json", {"entries": list(entries())})
    noise = torch.randn(1, 4, 8, 8, generator=torch.Generator().manual_seed(3))
    tensors = {"noise": noise}
    for spacing, prediction in product(SPACINGS, PREDICTIONS):
        tensors[f"{spacing}.{prediction}.latents"] = run(spacing, prediction, noise)
    save_tensors(out / "schedule_run.safetensors", tensors)
