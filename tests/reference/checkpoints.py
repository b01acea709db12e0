"""Checkpoints in the original layouts, by formula, and what diffusers makes of their tensors.

A golden holds the original names with their shapes, and for each component one short digest a tensor, in the order
of the names that diffusers gives: the digest is of name, shape and values. That the names are those of a whole model
is checked by loading the converted tensors into diffusers' own, strictly.
"""

import numpy as np
import torch
from diffusers import AutoencoderKL, SD3Transformer2DModel, UNet2DConditionModel
from diffusers.loaders import single_file_utils as reference
from transformers import CLIPTextConfig, CLIPTextModelWithProjection, T5Config, T5EncoderModel

import layouts
import synthetic
from layouts import inside, joined
from store import save_json

DENOISER = "model.diffusion_model."

# The first family's sizes are those of the golden model A: the engine draws its picture from this layout, too.
UNETS = {
    "sd1": {"in": 4, "widths": [16, 32], "depths": [1, 0], "layers": 1, "middle": 1, "context": 32, "linear": False},
    "sd2": {"in": 9, "widths": [8, 16], "depths": [1, 1], "layers": 1, "context": 24, "linear": True},
    "sdxl": {"in": 4, "widths": [8, 8, 16], "depths": [0, 2, 1], "layers": 2, "context": 40, "linear": True,
             "added": 36},
}
VAES = {"sd1": ([8, 8, 16, 16], 1, 4, True), "sd2": ([8, 8], 1, 4, True), "sdxl": ([8, 16], 2, 4, True),
        "sd3": ([8, 8], 1, 16, False)}


def tensors(names):
    return {name: synthetic.values(name, tuple(shape), 1.0) for name, shape in names.items()}


def digest(name, value):
    """FNV-1a of name, shape and values, folded to 32 bits."""
    text = f"{name}{list(value.shape)}".replace(" ", "")
    state = synthetic.fnv1a(text)
    # Values one 32-bit word at a time.
    for word in np.ascontiguousarray(value.numpy()).view(np.uint32).ravel().tolist():
        state = ((state ^ word) * 0x100000001B3) & synthetic.MASK
    return f"{(state ^ (state >> 32)) & 0xFFFFFFFF:08x}"


def digests(converted):
    return "".join(digest(name, converted[name]) for name in sorted(converted))


def nested(names):
    """Names as a tree, because published names repeat their beginnings; a layer's weight and bias as one text."""
    tree = {}
    for name, shape in names.items():
        *path, leaf = name.split(".")
        at = tree
        for part in path[:-1] if leaf in ("weight", "bias") else path:
            at = at.setdefault(part, {})
        if leaf in ("weight", "bias") and names.get(".".join([*path, "bias"])) == shape[:1]:
            at[path[-1]] = ",".join(map(str, names[".".join([*path, "weight"])]))
        elif leaf == "weight":
            at.setdefault(path[-1], {})[leaf] = shape
        else:
            assert leaf != "bias", name
            at[leaf] = shape
    return tree


def unet(names, c):
    config = {"layers_per_block": c["layers"]} | ({"addition_embed_type": "text_time"} if "added" in c else {})
    converted = reference.convert_ldm_unet_checkpoint(tensors(names), config)
    added = {"addition_embed_type": "text_time", "addition_time_embed_dim": 4,
             "projection_class_embeddings_input_dim": c["added"]} if "added" in c else {}
    kinds = [("CrossAttn" if depth else "") for depth in c["depths"]]
    model = UNet2DConditionModel(
        in_channels=c["in"], out_channels=4, block_out_channels=c["widths"], layers_per_block=c["layers"],
        down_block_types=[f"{kind}DownBlock2D" for kind in kinds],
        up_block_types=[f"{kind}UpBlock2D" for kind in reversed(kinds)], cross_attention_dim=c["context"],
        transformer_layers_per_block=[max(depth, 1) for depth in c["depths"]], attention_head_dim=2,
        norm_num_groups=4, use_linear_projection=c["linear"], **added)
    model.load_state_dict(converted, strict=True)
    return converted


def vae(names, widths, layers, latent, quant):
    kinds = {"down_block_types": ["DownEncoderBlock2D"] * len(widths),
             "up_block_types": ["UpDecoderBlock2D"] * len(widths)}
    converted = reference.convert_ldm_vae_checkpoint(tensors(names), kinds)
    model = AutoencoderKL(block_out_channels=widths, layers_per_block=layers, latent_channels=latent,
                          norm_num_groups=4, use_quant_conv=quant, use_post_quant_conv=quant, **kinds)
    model.load_state_dict(converted, strict=True)
    return converted


def clip(names, prefix):
    values = tensors(names)
    return {name.removeprefix(prefix): values[name] for name in names if name.startswith(prefix)}


def open_clip(names, prefix, width, projection):
    config = CLIPTextConfig(hidden_size=width, projection_dim=projection, intermediate_size=4 * width,
                            num_hidden_layers=2, num_attention_heads=2, vocab_size=40)
    converted = reference.convert_open_clip_checkpoint(CLIPTextModelWithProjection(config), tensors(names), prefix)
    return {name if name.startswith("text_") else f"text_model.{name}": value for name, value in converted.items()}


def mmdit(names, **c):
    converted = reference.convert_sd3_transformer_checkpoint_to_diffusers(tensors(names))
    model = SD3Transformer2DModel(
        sample_size=8, patch_size=2, in_channels=4, num_layers=c["blocks"], attention_head_dim=c["head"],
        num_attention_heads=c["width"] // c["head"], joint_attention_dim=c["context"],
        caption_projection_dim=c["width"], pooled_projection_dim=c["pooled"], out_channels=4,
        pos_embed_max_size=c["positions"], dual_attention_layers=tuple(c["dual"]), qk_norm="rms_norm")
    model.load_state_dict(converted, strict=True)
    return converted


def t5():
    config = T5Config(vocab_size=20, d_model=16, d_kv=8, d_ff=24, num_layers=2, num_heads=2,
                      feed_forward_proj="gated-gelu")
    names = {name: list(value.shape) for name, value in T5EncoderModel(config).named_parameters()}
    return inside("text_encoders.t5xxl.transformer.", names)


def family(name):
    """The original names of a family's checkpoint, and the converted tensors of its components."""
    autoencoder = inside("first_stage_model.", layouts.vae(*VAES[name]))
    parts = {"vae": vae(autoencoder, *VAES[name])}
    # What is in such files besides the model.
    all_names = joined(autoencoder, {"model_ema.decay": [], "alphas_cumprod": [10]})
    if name in UNETS:
        denoiser = inside(DENOISER, layouts.unet(UNETS[name]))
        parts["unet"] = unet(denoiser, UNETS[name])
    else:
        c = {"width": 16, "blocks": 3, "dual": [0, 1], "context": 24, "pooled": 12, "positions": 4, "head": 8}
        denoiser = inside(DENOISER, layouts.mmdit(**c))
        parts["transformer"] = mmdit(denoiser, **c)
    text = {}
    if name == "sd1":
        text = inside("cond_stage_model.transformer.", layouts.clip(32, 2, 770))
        parts["text_encoder"] = clip(text, "cond_stage_model.transformer.")
    elif name == "sd2":
        text = inside("cond_stage_model.model.", layouts.open_clip(24, 2, 40, 24))
        parts["text_encoder"] = open_clip(text, "cond_stage_model.model.", 24, 24)
    elif name == "sdxl":
        first = inside("conditioner.embedders.0.transformer.", layouts.clip(16, 1, 40))
        second = inside("conditioner.embedders.1.model.", layouts.open_clip(24, 2, 40, 20))
        parts["text_encoder"] = clip(first, "conditioner.embedders.0.transformer.")
        parts["text_encoder_2"] = open_clip(second, "conditioner.embedders.1.model.", 24, 20)
        text = joined(first, second)
    else:
        first = inside("text_encoders.clip_l.transformer.", layouts.clip(16, 1, 40))
        second = inside("text_encoders.clip_g.transformer.", layouts.clip(24, 1, 40))
        third = t5()
        parts["text_encoder"] = clip(first, "text_encoders.clip_l.transformer.")
        parts["text_encoder_2"] = clip(second, "text_encoders.clip_g.transformer.")
        parts["text_encoder_3"] = reference.convert_sd3_t5_checkpoint_to_diffusers(tensors(third))
        text = joined(first, second, third)
    return joined(all_names, denoiser, text), parts


def write(out):
    golden = {}
    for name in VAES:
        names, parts = family(name)
        golden[name] = {"names": nested(names), "parts": {part: digests(found) for part, found in parts.items()}}
    save_json(out / "checkpoints.json", golden)
