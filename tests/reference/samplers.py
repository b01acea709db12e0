"""Golden runs of every sampler with a model that is one formula, and of whole pipelines with some of them."""

import inspect
import json
import sys
import types
from itertools import product

import numpy as np
import torch
from diffusers import (DDIMScheduler, DPMSolverMultistepScheduler, EulerAncestralDiscreteScheduler,
                       EulerDiscreteScheduler, FlowMatchEulerDiscreteScheduler, HeunDiscreteScheduler, LCMScheduler,
                       PNDMScheduler, StableDiffusionImg2ImgPipeline, StableDiffusionInpaintPipeline,
                       UniPCMultistepScheduler)
from PIL import Image

import models
from pictures import NEGATIVE, PROMPT
from schedules import model
from store import save_json, save_tensors
from transforms import half_mask, parts, start_picture

# Its tree of noise is replaced below, so the package that it comes from is not needed.
sys.modules.setdefault("torchsde", types.ModuleType("torchsde"))
from diffusers.schedulers.scheduling_dpmsolver_sde import DPMSolverSDEScheduler  # noqa: E402

BASE = {"num_train_timesteps": 1000, "beta_start": 0.00085, "beta_end": 0.012, "beta_schedule": "scaled_linear"}
CURVES = {"karras": "use_karras_sigmas", "exponential": "use_exponential_sigmas", "beta": "use_beta_sigmas"}
SPACINGS = ["linspace", "leading", "trailing"]
PREDICTIONS = ["epsilon", "v_prediction"]
ON_TOP, WITHIN = ["euler", "euler_a", "heun", "dpmpp_sde"], ["dpmpp_2m", "dpmpp_2m_sde", "unipc"]
BY_TIME = ["ddim", "plms", "lcm"]
SHAPE, NOISE_SEED, RUN_SEED = (1, 2, 2, 4), 3, 5
CLEAN, NOISE = 0.7, -0.4


class PathScheduler(DPMSolverSDEScheduler):
    """Draws each step's Brownian path from the run's generator: the same distribution as the tree's."""

    generator = None

    def set_timesteps(self, *arguments, **named):
        super().set_timesteps(*arguments, **named)
        self.walked = None
        self.noise_sampler = self.path

    def path(self, sigma, to):
        fresh = torch.randn(self.shape, generator=self.generator)
        if self.walked is None:
            self.walked = (to, fresh)
            return fresh
        (middle, first), self.walked = self.walked, None
        return ((sigma - middle).sqrt() * first + (middle - to).sqrt() * fresh) / (sigma - to).sqrt()

    def step(self, model_output, timestep, sample, **named):
        self.shape = sample.shape
        return super().step(model_output, timestep, sample, **named)


def sgm_uniform(scheduler, steps):
    """Even timesteps down to zero, which is left out, and their sigmas on a line in the logarithm."""
    logarithms = np.log(np.array(((1 - scheduler.alphas_cumprod) / scheduler.alphas_cumprod) ** 0.5))
    times = np.linspace(len(logarithms) - 1, 0, steps + 1)[:-1]
    return np.exp(np.interp(times, np.arange(len(logarithms)), logarithms))


def with_curve(kind, curve, config, steps, **named):
    """A scheduler with its timesteps set."""
    flags = {CURVES[curve]: True} if curve in CURVES else {}
    if curve in SPACINGS:
        config = config | {"timestep_spacing": curve}
    if kind is EulerAncestralDiscreteScheduler and (flags or curve == "sgm_uniform"):
        # It has no curves of its own: Euler's levels are put into it.
        scheduler, levels = kind(**config), with_curve(EulerDiscreteScheduler, curve, config, steps)
        scheduler.set_timesteps(steps)
        scheduler.sigmas, scheduler.timesteps = levels.sigmas, levels.timesteps
        return scheduler
    if curve == "sgm_uniform":
        scheduler = kind(**config, use_exponential_sigmas=True)
        scheduler._convert_to_exponential = lambda in_sigmas, num_inference_steps: sgm_uniform(scheduler, steps)
    else:
        scheduler = kind(**config, **flags)
    scheduler.set_timesteps(steps, **named)
    return scheduler


def flow_scheduler(case, config):
    """A flow's scheduler, as a pipeline sets it up for as many tokens."""
    config, named = {"num_train_timesteps": 1000} | config, {}
    if case["sampler"] != "euler":
        kind = {"unipc": UniPCMultistepScheduler}.get(case["sampler"], DPMSolverMultistepScheduler)
        sde = {"algorithm_type": "sde-dpmsolver++"} if case["sampler"] == "dpmpp_2m_sde" else {}
        flow = {"use_flow_sigmas": True, "flow_shift": config.pop("shift"), "prediction_type": "flow_prediction"}
        return with_curve(kind, "default", config | flow | sde, case["steps"])
    if config.get("use_dynamic_shifting"):
        slope = (1.15 - 0.5) / (4096 - 256)
        named["mu"] = case["tokens"] * slope + 0.5 - slope * 256
    if case["scheduler"] == "sgm_uniform":
        named["sigmas"] = np.linspace(1, 1 / case["steps"], case["steps"])
        return with_curve(FlowMatchEulerDiscreteScheduler, "default", config, case["steps"], **named)
    return with_curve(FlowMatchEulerDiscreteScheduler, case["scheduler"], config, case["steps"], **named)


def scheduler_of(case):
    """The reference's scheduler of a case; configurations are what a folder holds."""
    config = {k: v for k, v in case["config"].items() if k != "_class_name"}
    if case["config"].get("_class_name", "").startswith("FlowMatch"):
        return flow_scheduler(case, config)
    kind, more = {
        "euler": (EulerDiscreteScheduler, {}), "euler_a": (EulerAncestralDiscreteScheduler, {}),
        "heun": (HeunDiscreteScheduler, {}), "dpmpp_sde": (PathScheduler, {}),
        "dpmpp_2m": (DPMSolverMultistepScheduler, {}),
        "dpmpp_2m_sde": (DPMSolverMultistepScheduler, {"algorithm_type": "sde-dpmsolver++"}),
        "unipc": (UniPCMultistepScheduler, {}), "ddim": (DDIMScheduler, {"clip_sample": False}),
        "plms": (PNDMScheduler, {"skip_prk_steps": True}), "lcm": (LCMScheduler, {}),
    }[case["sampler"]]
    return with_curve(kind, case["scheduler"], BASE | config | more, case["steps"])


def noised(scheduler, index):
    """A clean value with the noise of an evaluation, as img2img puts it there."""
    clean, noise, t = torch.full((1, 1), CLEAN), torch.full((1, 1), NOISE), scheduler.timesteps[index:index + 1]
    if hasattr(scheduler, "set_begin_index"):
        scheduler.set_begin_index(index)
    add = getattr(scheduler, "add_noise", None) or (lambda x, e, t: scheduler.scale_noise(x, t, e))
    return float(add(clean, noise, t))


def run(case, scheduler):
    """Timesteps, noise scale, noised values, and the latents behind the last evaluation."""
    begin = case["first"] * scheduler.order
    levels = [noised(scheduler, i) for i in range(len(scheduler.timesteps))]
    if hasattr(scheduler, "set_begin_index"):
        scheduler.set_begin_index(begin)
    scale = float(getattr(scheduler, "init_noise_sigma", 1.0))
    x = torch.randn(SHAPE, generator=torch.Generator().manual_seed(NOISE_SEED)) * scale
    generator = torch.Generator().manual_seed(RUN_SEED)
    named = inspect.signature(scheduler.step).parameters
    extra = {"generator": generator} if "generator" in named else {}
    extra |= {"eta": case["eta"]} if "eta" in named else {}
    scheduler.generator = generator
    for t in scheduler.timesteps[begin:]:
        scaled = scheduler.scale_model_input(x, t) if hasattr(scheduler, "scale_model_input") else x
        x = scheduler.step(model(scaled, t.to(torch.float32)), t, x, **extra).prev_sample
    assert x.isfinite().all(), case
    return [float(t) for t in scheduler.timesteps] + [scale] + levels + x.flatten().tolist()


def cases():
    def case(sampler, scheduler="default", config=None, steps=5, **more):
        config = {"timestep_spacing": "leading", "steps_offset": 1} if config is None else config
        return {"sampler": sampler, "scheduler": scheduler, "config": config, "steps": steps, "eta": 0.0, "tokens": 0,
                "first": 0} | more

    every = ON_TOP + WITHIN + BY_TIME
    for sampler, prediction, spacing in product(every, PREDICTIONS, SPACINGS):
        if sampler != "lcm" or spacing == "leading":
            yield case(sampler, config={"prediction_type": prediction, "timestep_spacing": spacing, "steps_offset": 1})
    for sampler, curve in product(ON_TOP + WITHIN, [*CURVES, "sgm_uniform"]):
        yield case(sampler, curve)
    for sampler, spacing in product(["euler", "dpmpp_2m", "ddim"], SPACINGS):
        yield case(sampler, spacing)
    # What a folder leaves out is each sampler's own default.
    for sampler in every:
        yield case(sampler, config={})
        yield from (case(sampler, steps=steps) for steps in [1, 2, 20])
        yield from (case(sampler, steps=6, first=first) for first in [1, 3])
    zero = {"rescale_betas_zero_snr": True, "timestep_spacing": "trailing", "prediction_type": "v_prediction"}
    for sampler in ["euler", "euler_a", *WITHIN, "ddim", "lcm"]:
        yield case(sampler, config=zero)
    for sampler in ["euler", "dpmpp_2m", "dpmpp_2m_sde"]:
        yield case(sampler, config={"final_sigmas_type": "sigma_min"}, steps=16)
    yield from (case("ddim", eta=eta) for eta in [0.4, 1.0])
    yield from (case(sampler, config={"set_alpha_to_one": one}) for sampler in ["ddim", "plms"] for one in [True, False])
    yield from (case(sampler, config={"solver_type": "heun"}) for sampler in ["dpmpp_2m", "dpmpp_2m_sde"])
    # Its other formula is not finite where no noise is left.
    yield case("unipc", config={"solver_type": "bh1", "final_sigmas_type": "sigma_min"})
    yield case("lcm", config={"original_inference_steps": 40, "timestep_scaling": 5.0}, steps=7)
    flow = {"_class_name": "FlowMatchEulerDiscreteScheduler", "shift": 3.0}
    for scheduler in ["default", *CURVES, "sgm_uniform"]:
        yield case("euler", scheduler, config=flow)
    dynamic = flow | {"use_dynamic_shifting": True}
    for more in [{}, {"time_shift_type": "linear"}, {"shift_terminal": 0.1}]:
        yield case("euler", config=dynamic | more, tokens=1024)
    yield case("euler", config=flow, steps=6, first=2)
    yield from (case(sampler, config=flow) for sampler in WITHIN)


# Model, sampler, scheduler, mode: latents of whole pipelines. PLMS from the middle counts in its own way.
PICTURES = [("a", "euler_a", "default", "text"), ("a", "dpmpp_2m", "karras", "text"), ("a", "heun", "default", "text"),
            ("b", "dpmpp_sde", "default", "text"), ("b", "dpmpp_2m_sde", "default", "text"),
            ("b", "unipc", "default", "text"), ("a", "plms", "default", "image"), ("a", "heun", "default", "image"),
            ("b", "lcm", "default", "image"), ("b", "euler_a", "default", "inpaint"), ("b", "ddim", "default", "inpaint"),
            ("b", "heun", "default", "inpaint")]


def paint(pipe, name, sampler, scheduler, mode):
    config = {k: pipe.scheduler.config[k] for k in ["prediction_type", "timestep_spacing", "steps_offset"]}
    made = scheduler_of({"sampler": sampler, "scheduler": scheduler, "config": config, "steps": 5})
    generator, kept = torch.Generator().manual_seed(11), {}
    made.generator = generator

    def keep(_pipe, _index, _t, values):
        kept["latents"] = values["latents"].clone()
        return values

    side = 8 * pipe.vae_scale_factor
    named = {"negative_prompt": NEGATIVE, "guidance_scale": 5.0, "num_inference_steps": 5, "generator": generator,
             "callback_on_step_end": keep}
    given = {"requires_safety_checker": False}
    if mode == "text":
        kind, named = type(pipe), named | {"height": side, "width": side}
    elif mode == "image":
        kind, named = StableDiffusionImg2ImgPipeline, named | {"strength": 0.7}
    else:
        kind, named = StableDiffusionInpaintPipeline, named | {"strength": 0.8, "height": side, "width": side}
        named["mask_image"] = Image.fromarray(half_mask(side))
    if mode != "text":
        named["image"] = Image.fromarray(start_picture(side))
    painter = kind(**parts(pipe) | {"scheduler": made}, **given)
    painter.set_progress_bar_config(disable=True)
    painter(PROMPT, **named)
    return kept["latents"]


def write(out):
    values, listed = [], []
    for case in cases():
        made = run(case, scheduler_of(case))
        values += made
        usual = {"scheduler": "default", "eta": 0.0, "tokens": 0, "first": 0}
        listed.append({k: v for k, v in case.items() if k not in usual or v != usual[k]})
    pictures = {}
    for name, sampler, scheduler, mode in PICTURES:
        pipe = models.load(out / f"sd-{name}")
        pictures[f"{name}.{sampler}.{scheduler}.{mode}"] = paint(pipe, name, sampler, scheduler, mode)
    save_json(out / "samplers.json", {"shape": SHAPE, "clean": CLEAN, "noise": NOISE, "cases": listed,
                                      "pictures": list(pictures)})
    save_tensors(out / "samplers.safetensors", {"values": torch.tensor(values, dtype=torch.float64).float()} | pictures)
    print(f"{len(listed)} runs of samplers, {len(json.dumps(listed))} bytes; {len(pictures)} whole pictures")
