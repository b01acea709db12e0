"""Small random-weight Stable Diffusion models, saved as diffusers folders.

Default initialisation leaves many paths close to zero, and wrong code passes. Here matrices are about
1.2/sqrt(fan-in), norm weights 1 ± 0.2, biases ± 0.1. All that adds to a residual stream (and all else that a
norm reads) is 0.003 times that: the norms bring it back to order one, and a wrong epsilon shows.
"""

import json
import re
import shutil

import torch
from diffusers import AutoencoderKL, EulerDiscreteScheduler, StableDiffusionPipeline, UNet2DConditionModel
from safetensors.torch import load_file, save_file
from transformers import CLIPTextConfig, CLIPTextModel

import tokenizer

STREAM = 0.003
# Layers whose output some norm reads, by the end of their names.
TO_STREAM = re.compile(
    r"(conv_in|conv1|conv2|time_emb_proj|proj_in|to_out\.0|ff\.net\.2"  # UNet and autoencoder
    r"|out_proj|fc2|token_embedding|position_embedding)$"  # text encoder
)
# These pass a stream on: their weights keep its scale, their biases must not drown it.
ON_STREAM = re.compile(r"(conv_shortcut|downsamplers\.0\.conv|upsamplers\.0\.conv|proj_out)$")


# Most of a context is padding: sharper and stronger attention to it lets the prompt through. The other two
# keep residual and attention blocks equally loud in the stream, so that a mistake in either shows.
BOOSTS = {r"attn2\.to_[qk]\.weight$": 1.5, r"attn2\.to_out\.0\.": 3.0, r"proj_out\.weight$": 0.5, r"conv2\.": 3.0}


def boost(name):
    return next((factor for pattern, factor in BOOSTS.items() if re.search(pattern, name)), 1.0)


def randomise(model, seed):
    generator = torch.Generator().manual_seed(seed)
    for name, parameter in sorted(model.named_parameters()):
        layer, kind = name.rsplit(".", 1)
        noise = torch.randn(parameter.shape, generator=generator)
        if parameter.ndim > 1:
            fan_in = 1 if "embedding.weight" in name else parameter[0].numel()
            value = noise * 1.2 / fan_in**0.5
        elif kind == "weight":
            value = 1 + 0.2 * noise
        else:
            value = 0.1 * noise
        small = TO_STREAM.search(layer) or (kind == "bias" and ON_STREAM.search(layer))
        parameter.data = value * (STREAM if small else 1.0) * boost(name)
    return model.eval()


def text_encoder(vocab, pad, seed, **config):
    config = {"vocab_size": len(vocab), "max_position_embeddings": 77, "bos_token_id": vocab[tokenizer.START],
              "eos_token_id": vocab[tokenizer.END], "pad_token_id": vocab[pad]} | config
    return randomise(CLIPTextModel(CLIPTextConfig(**config)), seed)


def autoencoder(seed, blocks, **config):
    model = AutoencoderKL(block_out_channels=blocks, layers_per_block=1, norm_num_groups=4, latent_channels=4,
                          down_block_types=["DownEncoderBlock2D"] * len(blocks),
                          up_block_types=["UpDecoderBlock2D"] * len(blocks), **config)
    model = randomise(model, seed)
    # Keeps most of the picture between its clamps.
    model.decoder.conv_out.weight.data *= 0.5
    return model


def scheduler(**config):
    return EulerDiscreteScheduler(beta_start=0.00085, beta_end=0.012, beta_schedule="scaled_linear", **config)


def assemble(text, unet, vae, schedule, tokens):
    return StableDiffusionPipeline(vae, text, tokens, unet, schedule, None, None, requires_safety_checker=False)


def model_a(vocab, tokens):
    """After Stable Diffusion 1: convolutions around attention, a number of heads, epsilon, leading."""
    text = text_encoder(vocab, tokenizer.END, 11, hidden_size=32, intermediate_size=64, num_hidden_layers=2,
                        num_attention_heads=4, hidden_act="quick_gelu", projection_dim=32)
    unet = randomise(UNet2DConditionModel(
        sample_size=8, in_channels=4, out_channels=4, block_out_channels=(16, 32), layers_per_block=1,
        down_block_types=("CrossAttnDownBlock2D", "DownBlock2D"), up_block_types=("UpBlock2D", "CrossAttnUpBlock2D"),
        cross_attention_dim=32, attention_head_dim=2, norm_num_groups=4), 12)
    vae = autoencoder(13, (8, 8, 16, 16), sample_size=64, scaling_factor=0.18215)
    return assemble(text, unet, vae, scheduler(timestep_spacing="leading", steps_offset=1), tokens)


def model_b(vocab, tokens):
    """After Stable Diffusion 2: linear projections, heads per level, v prediction, trailing."""
    # An end-of-text id of 2 in the configuration asks for the old rule of the pooled output.
    text = text_encoder(vocab, "!", 21, hidden_size=24, intermediate_size=48, num_hidden_layers=3,
                        num_attention_heads=3, hidden_act="gelu", projection_dim=24, eos_token_id=2)
    unet = randomise(UNet2DConditionModel(
        sample_size=8, in_channels=4, out_channels=4, block_out_channels=(16, 24, 24), layers_per_block=2,
        down_block_types=("CrossAttnDownBlock2D", "CrossAttnDownBlock2D", "DownBlock2D"),
        up_block_types=("UpBlock2D", "CrossAttnUpBlock2D", "CrossAttnUpBlock2D"), cross_attention_dim=24,
        attention_head_dim=(2, 3, 4), transformer_layers_per_block=(1, 2, 1), norm_num_groups=8,
        use_linear_projection=True), 22)
    vae = autoencoder(23, (8, 16, 16), sample_size=32, scaling_factor=0.4)
    # The offset has no effect here; the pipeline complains without it.
    schedule = scheduler(timestep_spacing="trailing", steps_offset=1,
                         prediction_type="v_prediction")
    return assemble(text, unet, vae, schedule, tokens)


def add_prefix(folder):
    """Old key names: transformers 5 writes CLIP weights without `text_model.`, published files have it."""
    path = folder / "text_encoder" / "model.safetensors"
    tensors = {f"text_model.{k}": v for k, v in load_file(path).items()}
    save_file(tensors, str(path), metadata={"format": "pt"})


def strip_dtype(folder):
    """Old configurations say `torch_dtype`, or nothing, where new ones say `dtype`."""
    path = folder / "text_encoder" / "config.json"
    config = json.loads(path.read_text())
    config["torch_dtype"] = config.pop("dtype")
    path.write_text(json.dumps(config, indent=2, sort_keys=True) + "\n")


def write(out):
    """Writes both folders; returns them with the vocabulary and merges that they share."""
    merges = tokenizer.train()
    vocab = tokenizer.vocabulary(merges)
    folders = {"a": out / "sd-a", "b": out / "sd-b"}
    for name, make, pad in [("a", model_a, tokenizer.END), ("b", model_b, "!")]:
        folder = folders[name]
        shutil.rmtree(folder, ignore_errors=True)
        pipe = make(vocab, tokenizer.build(vocab, merges, pad))
        # Both writers know how to store half precision; the goldens read the rounded weights back.
        pipe.to(torch.float16 if name == "b" else torch.float32).save_pretrained(folder)
        shutil.rmtree(folder / "tokenizer")
    tokenizer.write_classic(folders["a"] / "tokenizer", vocab, merges, tokenizer.END)
    tokenizer.write_single(folders["b"] / "tokenizer", vocab, merges, "!")
    add_prefix(folders["a"])
    strip_dtype(folders["a"])
    return folders, vocab, merges


def load(folder, dtype=torch.float32):
    pipe = StableDiffusionPipeline.from_pretrained(folder, dtype=dtype, local_files_only=True)
    pipe.set_progress_bar_config(disable=True)
    return pipe
