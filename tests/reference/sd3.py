"""Goldens of Stable Diffusion 3's family: steps of MMDiTs after SD3.5 medium, SD3.5 large and SD3, and whole runs.

Weights and inputs come by formula (see synthetic.py); only recipes, configurations and outputs are committed. The
text encoders and the autoencoder are those of sdxl.py.
"""

import re

import torch
from diffusers import FlowMatchEulerDiscreteScheduler, SD3Transformer2DModel, StableDiffusion3Pipeline
from transformers import CLIPTextModelWithProjection, T5Config, T5EncoderModel, T5Tokenizer

import sdxl
import synthetic
import t5
from sdxl import config_of, differing, paint, short
from store import relative, save_json, save_tensors
from synthetic import values

BOUND = 2e-5  # what the engine's tests allow here: the two forms of GELU are that close
# What a norm reads is small, as in models.py: a wrong epsilon then shows.
SMALL = re.compile(r"(pos_embed\.proj|context_embedder|to_out\.0|to_add_out|net\.2|attn2?\.(to|add)_[qk](_proj)?)$")
MMDIT = {"sample_size": 8, "patch_size": 2, "in_channels": 4, "out_channels": 4, "num_layers": 3,
         "attention_head_dim": 8, "num_attention_heads": 2, "joint_attention_dim": 48, "caption_projection_dim": 16,
         "pooled_projection_dim": 32, "pos_embed_max_size": 13}
LOUD = 2.0
KINDS = {"medium": {"dual_attention_layers": (0, 1), "qk_norm": "rms_norm"}, "large": {"qk_norm": "rms_norm"},
         "first": {}}
BLOCKS = [f"transformer_blocks.{i}" for i in range(3)]


def rule(name, parameter):
    scale, offset = synthetic.rule(name, parameter)
    layer = name.rsplit(".", 1)[0]
    # The rule of synthetic.py knows some of these layers already.
    known = synthetic.TO_STREAM.search(layer) is not None
    factor = synthetic.STREAM if SMALL.search(layer) and not known else 1.0
    # Feed-forward layers as loud as attention, and wide enough awake for their activation to count.
    factor *= LOUD if re.search(r"ff(_context)?\.net", layer) else 1.0
    return short(scale * factor), short(offset * factor)


def fill(model):
    """The table of positions is no parameter, but it is in the files."""
    recipe = synthetic.fill(model, rule)
    table = model.pos_embed.pos_embed
    recipe["pos_embed.pos_embed"] = [list(table.shape), 0.004, 0.0]
    model.pos_embed.pos_embed = values("pos_embed.pos_embed", tuple(table.shape), 0.004)
    return recipe


def step_inputs():
    """What the engine's test makes again; five rows of patches out of thirteen round down."""
    return {"sample": values("input.sample", (2, 4, 10, 12), 1.7), "context": values("input.context", (2, 9, 48), 1.7),
            "pooled": values("input.pooled", (2, 32), 1.7)}


def step(model, **changed):
    x = step_inputs() | changed
    return model(x["sample"], x["context"], x["pooled"], torch.tensor([1000.0, 310.5])).sample


def outputs(model):
    """The step, and what each block makes of patches and prompt; the last one gives no prompt."""
    seen = {}

    def keep(name):
        def hook(_module, _inputs, made):
            seen[f"{name}.x"] = made[1]
            if made[0] is not None:
                seen[f"{name}.prompt"] = made[0]
        return hook

    handles = [model.get_submodule(name).register_forward_hook(keep(name)) for name in BLOCKS]
    seen["step"] = step(model)
    for handle in handles:
        handle.remove()
    return seen


def mutations(model):
    """name -> a function that breaks the model and gives back what mends it."""
    def epsilon(module):
        def broken():
            kept, module.eps = module.eps, 1e-5
            return lambda: setattr(module, "eps", kept)
        return broken

    def halves(module):
        def broken():
            kept = module.linear.weight.data, module.linear.bias.data
            half = kept[0].shape[0] // 2
            module.linear.weight.data, module.linear.bias.data = kept[0].roll(half, 0), kept[1].roll(half, 0)

            def mend():
                module.linear.weight.data, module.linear.bias.data = kept
            return mend
        return broken

    def gelu(module):
        def broken():
            kept, module.approximate = module.approximate, "none"
            return lambda: setattr(module, "approximate", kept)
        return broken

    # The last block's prompt asks nothing: its queries are never read.
    dead = f"{BLOCKS[-1]}.attn.norm_added_q"
    norms = {n: m for n, m in model.named_modules() if hasattr(m, "eps") and "norm" in n and n != dead}
    found = {f"epsilon of {n}": epsilon(m) for n, m in norms.items()}
    found |= {f"activation of {n}": gelu(m) for n, m in model.named_modules() if hasattr(m, "approximate")}
    found["halves of norm_out"] = halves(model.norm_out)
    found["halves of the last norm1_context"] = halves(model.transformer_blocks[-1].norm1_context)
    return found


def check(kind, model):
    """Each mistake must move some output by more than the engine's tests allow."""
    whole, weakest = outputs(model), ("", 1.0)
    for name, broken in mutations(model).items():
        mend = broken()
        moved = max(relative(y, whole[key]) for key, y in outputs(model).items())
        mend()
        weakest = min(weakest, (name, moved), key=lambda pair: pair[1])
    for key in ("pooled", "context"):
        moved = relative(step(model, **{key: step_inputs()[key] * 0}), whole["step"])
        print(f"  sd3 {kind}: without {key} a step moves by {moved:.1e}")
        assert moved > 1000 * BOUND
    print(f"  sd3 {kind}: the mistake that shows least is {weakest[0]}, {weakest[1]:.1e}")
    assert weakest[1] > 2 * BOUND, weakest


def autoencoder(**channels):
    vae = sdxl.autoencoder(scaling_factor=1.5305, shift_factor=0.0609, use_quant_conv=False, use_post_quant_conv=False,
                           **channels)
    return vae, synthetic.fill(vae, sdxl.rule)


def pipeline(out, transformer, **channels):
    """Without T5."""
    first, second = sdxl.tokenizers(out)
    small, _, _ = sdxl.clip(first, CLIPTextModelWithProjection, **sdxl.SMALL)
    large, _, _ = sdxl.clip(second, CLIPTextModelWithProjection, **sdxl.LARGE)
    schedule = FlowMatchEulerDiscreteScheduler(num_train_timesteps=1000, shift=3.0)
    pipe = StableDiffusion3Pipeline(transformer=transformer, scheduler=schedule, vae=autoencoder(**channels)[0],
                                    text_encoder=small, tokenizer=first, text_encoder_2=large, tokenizer_2=second,
                                    text_encoder_3=None, tokenizer_3=None)
    pipe.set_progress_bar_config(disable=True)
    return pipe


def write(out):
    tensors, recipes, configs, medium = {}, {}, {}, None
    for kind, more in KINDS.items():
        model = SD3Transformer2DModel(**MMDIT, **more)
        recipe = fill(model)
        recipes[kind] = differing(recipe, recipes["medium"]) if recipes else recipe
        configs[kind] = config_of(model)
        tensors[f"{kind}.step"] = step(model)
        if kind == "medium":
            check(kind, model)
            tensors |= {f"{kind}.{name}": y for name, y in outputs(model).items()}
            medium = model
    pipe = pipeline(out, medium)
    # Where T5 is missing, zeros stand behind the states: both are run.
    tokens = T5Tokenizer.from_pretrained(out / "t5", extra_ids=4)
    config = t5.CONFIG | {"vocab_size": len(tokens), "d_model": 48, "num_layers": 2}
    encoder = T5EncoderModel(T5Config(**config))
    recipes["text_encoder_3"] = synthetic.fill(encoder, lambda *of: tuple(short(x) for x in t5.rule(*of)))
    parameters = {label: run | {"height": 16, "width": 24} for label, run in sdxl.runs().items()}
    runs = {f"{label}.latents": paint(pipe, run) for label, run in parameters.items()}
    sdxl.check_runs("sd3", pipe, parameters, runs)
    pipe.register_modules(text_encoder_3=encoder, tokenizer_3=tokens)
    runs["guided.t5.latents"] = paint(pipe, parameters["guided"])
    moved = relative(runs["guided.t5.latents"], runs["guided.latents"])
    print(f"  sd3: T5 moves the latents by {moved:.0%}")
    assert moved > 0.02, moved
    save_tensors(out / "sd3.safetensors", tensors | runs)
    save_json(out / "sd3.json", {"recipes": recipes, "configs": configs | {"vae": config_of(pipe.vae), "text_encoder_3": config,
              "scheduler": config_of(pipe.scheduler)}, "runs": parameters})


if __name__ == "__main__":
    from pathlib import Path

    from goldens import fix_arithmetic

    fix_arithmetic()
    write(Path(__file__).resolve().parents[1] / "goldens")
