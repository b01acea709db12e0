"""Writes a model folder as it is published, with random weights: `python layouts.py MODEL FOLDER`.

Configurations, names, shapes and number formats are the published ones; the parameter counts below are checked. The
vocabulary has the published size and form, its words are made up.
"""

import sys
from pathlib import Path

import diffusers
import torch
import transformers

import words

SD_BLOCKS = {"down_block_types": ["CrossAttnDownBlock2D"] * 3 + ["DownBlock2D"],
             "up_block_types": ["UpBlock2D"] + ["CrossAttnUpBlock2D"] * 3}
BETAS = {"beta_start": 0.00085, "beta_end": 0.012, "beta_schedule": "scaled_linear", "steps_offset": 1}
CLIP_L = {"hidden_size": 768, "intermediate_size": 3072, "num_hidden_layers": 12, "num_attention_heads": 12,
          "hidden_act": "quick_gelu", "projection_dim": 768}
CLIP_G = {"hidden_size": 1280, "intermediate_size": 5120, "num_hidden_layers": 32, "num_attention_heads": 20,
          "hidden_act": "gelu", "projection_dim": 1280}
CLIP_H = {"hidden_size": 1024, "intermediate_size": 4096, "num_hidden_layers": 23, "num_attention_heads": 16,
          "hidden_act": "gelu", "projection_dim": 512}

MODELS = {
    "sd-turbo": {
        "pipeline": "StableDiffusionPipeline", "variant": "fp16", "dtype": torch.float16,
        "count": {"unet": 865_910_724, "text_encoder": 340_387_840, "vae": 83_653_863},
        "run": {"prompt": "a lighthouse on a cliff at sunset", "seed": 7, "steps": 1, "guidance": 0.0, "side": 512},
    },
    "sdxl-base": {
        "pipeline": "StableDiffusionXLPipeline", "variant": "fp16", "dtype": torch.float16,
        "count": {"unet": 2_567_463_684, "text_encoder": 123_060_480, "text_encoder_2": 694_659_840,
                  "vae": 83_653_863},
        "run": {"prompt": "a lighthouse on a cliff at sunset", "seed": 7, "steps": 1, "guidance": 1.0, "side": 1024},
    },
    "sd3.5-medium": {
        "pipeline": "StableDiffusion3Pipeline", "dtype": torch.bfloat16, "absent": ["text_encoder_3", "tokenizer_3"],
        "count": {"vae": 83_819_683, "text_encoder": 123_650_304, "text_encoder_2": 694_659_840},
        "run": {"prompt": "a lighthouse on a cliff at sunset", "seed": 7, "steps": 1, "guidance": 1.0, "side": 1024},
    },
}


def clip(config, projected):
    kind = transformers.CLIPTextModelWithProjection if projected else transformers.CLIPTextModel
    return kind(transformers.CLIPTextConfig(vocab_size=words.SIZE, max_position_embeddings=77, bos_token_id=0,
                                            eos_token_id=2, pad_token_id=1, **config))


def autoencoder(**config):
    return diffusers.AutoencoderKL(block_out_channels=(128, 256, 512, 512), layers_per_block=2, norm_num_groups=32,
                                   down_block_types=["DownEncoderBlock2D"] * 4, up_block_types=["UpDecoderBlock2D"] * 4,
                                   **config)


def sd_turbo():
    unet = diffusers.UNet2DConditionModel(
        sample_size=64, block_out_channels=(320, 640, 1280, 1280), cross_attention_dim=1024,
        attention_head_dim=(5, 10, 20, 20), use_linear_projection=True, **SD_BLOCKS)
    scheduler = diffusers.EulerDiscreteScheduler(timestep_spacing="trailing", **BETAS)
    return {"unet": unet, "text_encoder": clip(CLIP_H, False), "scheduler": scheduler,
            "vae": autoencoder(latent_channels=4, sample_size=768, scaling_factor=0.18215)}, ["tokenizer"]


def sdxl_base():
    unet = diffusers.UNet2DConditionModel(
        sample_size=128, block_out_channels=(320, 640, 1280), cross_attention_dim=2048,
        attention_head_dim=(5, 10, 20), transformer_layers_per_block=(1, 2, 10), use_linear_projection=True,
        down_block_types=["DownBlock2D", "CrossAttnDownBlock2D", "CrossAttnDownBlock2D"],
        up_block_types=["CrossAttnUpBlock2D", "CrossAttnUpBlock2D", "UpBlock2D"], addition_embed_type="text_time",
        addition_time_embed_dim=256, projection_class_embeddings_input_dim=2816)
    scheduler = diffusers.EulerDiscreteScheduler(timestep_spacing="leading", **BETAS)
    return {"unet": unet, "text_encoder": clip(CLIP_L, False), "text_encoder_2": clip(CLIP_G, True),
            "scheduler": scheduler,
            "vae": autoencoder(latent_channels=4, sample_size=1024, scaling_factor=0.13025, force_upcast=True)}, \
        ["tokenizer", "tokenizer_2"]


def sd3_medium():
    transformer = diffusers.SD3Transformer2DModel(
        sample_size=128, patch_size=2, in_channels=16, out_channels=16, num_layers=24, attention_head_dim=64,
        num_attention_heads=24, joint_attention_dim=4096, caption_projection_dim=1536, pooled_projection_dim=2048,
        pos_embed_max_size=384, dual_attention_layers=tuple(range(13)), qk_norm="rms_norm")
    return {"transformer": transformer, "text_encoder": clip(CLIP_L, True), "text_encoder_2": clip(CLIP_G, True),
            "scheduler": diffusers.FlowMatchEulerDiscreteScheduler(shift=3.0),
            "vae": autoencoder(latent_channels=16, sample_size=1024, scaling_factor=1.5305, shift_factor=0.0609,
                               use_quant_conv=False, use_post_quant_conv=False)}, ["tokenizer", "tokenizer_2"]


WRITERS = {"sd-turbo": sd_turbo, "sdxl-base": sdxl_base, "sd3.5-medium": sd3_medium}


def main(name, folder):
    folder, model = Path(folder), MODELS[name]
    torch.manual_seed(1)
    # Made in the number format in which they are published: half the memory and half the time.
    torch.set_default_dtype(model["dtype"])
    with torch.no_grad():
        parts, tokenizers = WRITERS[name]()
    for part, count in model["count"].items():
        have = sum(p.numel() for p in parts[part].parameters())
        if have != count:
            sys.exit(f"{name}: {part} has {have} parameters, published are {count}")
    index = {"_class_name": model["pipeline"], "_diffusers_version": diffusers.__version__}
    for part, made in parts.items():
        variant = {} if part == "scheduler" else {"variant": model.get("variant")}
        made.save_pretrained(folder / part, **variant)
        index[part] = [type(made).__module__.split(".")[0], type(made).__name__]
    for tokenizer in tokenizers:
        words.write(folder / tokenizer, "!" if name == "sd-turbo" or tokenizer.endswith("2") else words.END)
        index[tokenizer] = ["transformers", "CLIPTokenizer"]
    index |= {part: [None, None] for part in model.get("absent", [])}
    words.save(folder / "model_index.json", index)


if __name__ == "__main__":
    main(*sys.argv[1:])
