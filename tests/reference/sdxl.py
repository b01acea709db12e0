"""Goldens of Stable Diffusion XL's family: one step of its UNet, one of a UNet made for inpainting, whole runs.

Weights and inputs come by formula (see synthetic.py); only recipes, configurations and outputs are committed.
"""

import json


import torch
from diffusers import AutoencoderKL, EulerDiscreteScheduler, StableDiffusionXLPipeline, UNet2DConditionModel
from transformers import AutoTokenizer, CLIPTextConfig, CLIPTextModel, CLIPTextModelWithProjection

import synthetic
from pictures import NEGATIVE, OTHER, PROMPT
from store import relative, save_json, save_tensors
from synthetic import values

BLOCK = 1e-4  # what the engine's tests allow
# The keys of a CLIP configuration that the engine reads.
CLIP_KEYS = ["vocab_size", "hidden_size", "intermediate_size", "num_hidden_layers", "num_attention_heads",
             "max_position_embeddings", "hidden_act", "layer_norm_eps", "eos_token_id", "projection_dim"]


def short(value):
    """Four digits: a recipe then costs fewer bytes, and both sides read the same number."""
    return float(f"{value:.4g}")


def rule(name, parameter):
    scale, offset = synthetic.rule(name, parameter)
    return short(scale), short(offset)


def config_of(model):
    """What a published folder would say, without versions."""
    said = json.loads(model.to_json_string())
    config = {k: v for k, v in said.items() if v is not None and (k == "_class_name" or not k.startswith("_"))}
    return dict(sorted(config.items()))


def differing(recipe, base):
    """The entries of a recipe that another one lacks or has otherwise."""
    return {name: entry for name, entry in recipe.items() if base.get(name) != entry}


def tokenizers(out):
    """The two tokenizers of the other goldens: one pads with the end token, one with "!"."""
    return [AutoTokenizer.from_pretrained(out / folder / "tokenizer") for folder in ("sd-a", "sd-b")]


def clip(tokenizer, kind, **config):
    """A CLIP, its recipe and its configuration."""
    config = {"vocab_size": len(tokenizer), "max_position_embeddings": 77, "bos_token_id": tokenizer.bos_token_id,
              "eos_token_id": tokenizer.eos_token_id, "pad_token_id": tokenizer.pad_token_id} | config
    model = kind(CLIPTextConfig(**config))
    recipe = synthetic.fill(model, rule)
    said = model.config.to_dict()
    return model, recipe, {key: said[key] for key in CLIP_KEYS}


SMALL = {"hidden_size": 16, "intermediate_size": 32, "num_hidden_layers": 2, "num_attention_heads": 2,
         "hidden_act": "quick_gelu", "projection_dim": 12}
LARGE = {"hidden_size": 24, "intermediate_size": 48, "num_hidden_layers": 2, "num_attention_heads": 3,
         "hidden_act": "gelu", "projection_dim": 20}


def autoencoder(**config):
    return AutoencoderKL(block_out_channels=(8, 8), layers_per_block=1, norm_num_groups=4,
                         down_block_types=["DownEncoderBlock2D"] * 2, up_block_types=["UpDecoderBlock2D"] * 2,
                         sample_size=16, **{"latent_channels": 4, **config})


UNET = {"sample_size": 8, "out_channels": 4, "block_out_channels": (8, 16), "layers_per_block": 1,
        "down_block_types": ("DownBlock2D", "CrossAttnDownBlock2D"),
        "up_block_types": ("CrossAttnUpBlock2D", "UpBlock2D"), "cross_attention_dim": 40,
        "attention_head_dim": (2, 4), "transformer_layers_per_block": (1, 2), "use_linear_projection": True,
        "norm_num_groups": 4}


def unet(channels=4):
    """After SDXL: a first level without attention, depth by level, pooled prompt and six numbers added."""
    return UNet2DConditionModel(in_channels=channels, addition_embed_type="text_time", addition_time_embed_dim=8,
                                projection_class_embeddings_input_dim=20 + 6 * 8, **UNET)


def step_inputs(channels):
    """What the engine's test makes again: [2, c, 8, 12] latents, 77 states, pooled prompts, sizes."""
    return {"sample": values("input.sample", (2, channels, 8, 12), 1.7), "context": values("input.context", (2, 77, 40), 1.7),
            "pooled": values("input.pooled", (2, 20), 1.7),
            "sizes": torch.tensor([[16.0, 24.0, 0.0, 0.0, 16.0, 24.0], [64.0, 32.0, 4.0, 8.0, 16.0, 24.0]])}


def step(model, channels, added=True):
    x = step_inputs(channels)
    conditions = {"text_embeds": x["pooled"], "time_ids": x["sizes"]} if added else None
    t = torch.tensor([999.0, 250.5])
    return model(x["sample"], t, x["context"], added_cond_kwargs=conditions).sample


def check_step(model):
    """Neither the pooled prompt nor a size may be without effect, nor the order of sizes."""
    whole = step(model, 4)
    for label, change in [("pooled", {"text_embeds": 0}), ("sizes", {"time_ids": 0}), ("order", {"time_ids": 1})]:
        x = step_inputs(4)
        conditions = {"text_embeds": x["pooled"], "time_ids": x["sizes"]}
        for key, how in change.items():
            conditions[key] = conditions[key] * 0 if how == 0 else conditions[key][:, [1, 0, 2, 3, 5, 4]]
        other = model(x["sample"], torch.tensor([999.0, 250.5]), x["context"], added_cond_kwargs=conditions).sample
        moved = relative(other, whole)
        print(f"  sdxl: without or with another {label} a step moves by {moved:.1e}")
        assert moved > 20 * BLOCK, (label, moved)


def runs():
    base = {"prompt": PROMPT, "negativePrompt": NEGATIVE, "seed": 7, "steps": 3, "guidanceScale": 5.0, "height": 16,
            "width": 24}
    return {"guided": base, "blank": base | {"negativePrompt": "", "seed": 8}, "unguided": base | {"guidanceScale": 1.0}}


def paint(pipe, run, **more):
    """Latents and decoded picture of a run; an empty negative prompt is none, as the engine has it."""
    latents = pipe(run["prompt"], negative_prompt=run["negativePrompt"] or None, num_inference_steps=run["steps"],
                   guidance_scale=run["guidanceScale"], height=run["height"], width=run["width"],
                   generator=torch.Generator().manual_seed(run["seed"]), output_type="latent", **more).images
    return latents


def check_runs(name, pipe, parameters, tensors):
    for label, run in parameters.items():
        moved = relative(paint(pipe, run | {"prompt": OTHER}), tensors[f"{label}.latents"])
        print(f"  {name} {label}: another prompt moves the latents by {moved:.0%}")
        assert 0.02 < moved < 3, moved


def pipeline(out):
    """The pipeline, and the recipes and configurations of its parts and of an inpainting UNet."""
    first, second = tokenizers(out)
    small, small_recipe, small_config = clip(first, CLIPTextModelWithProjection, **SMALL)
    large, large_recipe, large_config = clip(second, CLIPTextModelWithProjection, **LARGE)
    # The pipeline's own class for the first encoder has no projection; the rest of the weights is the same.
    plain = CLIPTextModel(small.config).eval()
    plain.load_state_dict({k.removeprefix("text_model."): v for k, v in small.state_dict().items()
                           if not k.startswith("text_projection")})
    vae = autoencoder(scaling_factor=0.13025)
    vae_recipe = synthetic.fill(vae, rule)
    model = unet()
    recipe = synthetic.fill(model, rule)
    schedule = EulerDiscreteScheduler(beta_start=0.00085, beta_end=0.012, beta_schedule="scaled_linear",
                                      timestep_spacing="leading", steps_offset=1)
    pipe = StableDiffusionXLPipeline(vae=vae, text_encoder=plain, text_encoder_2=large, tokenizer=first,
                                     tokenizer_2=second, unet=model, scheduler=schedule,
                                     force_zeros_for_empty_prompt=True, add_watermarker=False)
    pipe.set_progress_bar_config(disable=True)
    recipes = {"text_encoder": small_recipe, "text_encoder_2": large_recipe, "vae": vae_recipe, "unet": recipe}
    configs = {"text_encoder": small_config, "text_encoder_2": large_config, "vae": config_of(vae),
               "unet": config_of(model)}
    return pipe, recipes, configs


def write(out):
    pipe, recipes, configs = pipeline(out)
    check_step(pipe.unet)
    nine = UNet2DConditionModel(in_channels=9, **UNET)
    recipes["inpainting"] = differing(synthetic.fill(nine, rule), recipes["unet"])
    configs |= {"inpainting": config_of(nine), "scheduler": config_of(pipe.scheduler)}
    parameters = runs()
    tensors = {f"{label}.latents": paint(pipe, run) for label, run in parameters.items()}
    check_runs("sdxl", pipe, parameters, tensors)
    tensors |= {"step": step(pipe.unet, 4), "inpainting.step": step(nine, 9, added=False)}
    save_tensors(out / "sdxl.safetensors", tensors)
    save_json(out / "sdxl.json", {"recipes": recipes, "configs": configs, "runs": parameters})


if __name__ == "__main__":
    from pathlib import Path

    from goldens import fix_arithmetic

    fix_arithmetic()
    write(Path(__file__).resolve().parents[1] / "goldens")
