"""Goldens of each stage of a model by itself: text encoder, one UNet step, autoencoder."""

import torch

from store import rand, rms, save_tensors
from tokenizer import encode

TEXTS = ["a red house beside a frozen lake at sunset", "the moon <|endoftext|> is shining!", ""]

UNET_TAPS = ["time_embedding", "conv_in", "down_blocks.0.resnets.0", "down_blocks.0.attentions.0.transformer_blocks.0",
             "down_blocks.0.attentions.0", "down_blocks.0.downsamplers.0", "mid_block", "up_blocks.0", "up_blocks.1",
             "conv_norm_out"]
VAE_TAPS = ["encoder.down_blocks.0", "encoder.mid_block", "encoder", "post_quant_conv", "decoder.mid_block",
            "decoder.up_blocks.0"]


class Taps:
    """Records the outputs of named modules while it is open."""

    def __init__(self, model, names):
        self.model, self.names, self.seen = model, names, {}

    def __enter__(self):
        self.handles = [self.model.get_submodule(n).register_forward_hook(self.record(n)) for n in self.names]
        return self.seen

    def record(self, name):
        def hook(_module, _inputs, output):
            # A down block returns its output and what it keeps for the way up.
            self.seen[name] = output[0] if isinstance(output, tuple) else output
        return hook

    def __exit__(self, *_):
        for handle in self.handles:
            handle.remove()


def text(pipe):
    ids = encode(pipe.tokenizer, TEXTS)
    out = pipe.text_encoder(ids, output_hidden_states=True)
    return {"ids": ids.to(torch.int32), "last_hidden_state": out.last_hidden_state, "pooled": out.pooler_output,
            "embeddings": out.hidden_states[0], "penultimate": out.hidden_states[-2]}


def unet_case(pipe, g, height, width, timesteps, taps):
    sample, context = rand(g, 2, 4, height, width), rand(g, 2, 77, pipe.unet.config.cross_attention_dim)
    t = torch.tensor(timesteps, dtype=torch.float32)
    with Taps(pipe.unet, taps) as seen:
        output = pipe.unet(sample, t, context).sample
    tensors = {"sample": sample, "timesteps": t, "context": context, "output": output}
    return tensors | {f"tap.{k}": v for k, v in seen.items()}


def unet(pipe):
    g = torch.Generator().manual_seed(31)
    cases = {"square": unet_case(pipe, g, 8, 8, [999.0, 250.5], UNET_TAPS),
             "wide": unet_case(pipe, g, 8, 12, [1.0, 500.0], [])}
    return {f"{case}.{k}": v for case, tensors in cases.items() for k, v in tensors.items()}


def vae(pipe):
    g = torch.Generator().manual_seed(32)
    factor = pipe.vae_scale_factor
    # As they come out of the denoising loop, divided by the scaling factor.
    latents, wide = rand(g, 1, 4, 8, 8) * 2, rand(g, 1, 4, 8, 12) * 2
    image = rand(g, 1, 3, 8 * factor, 8 * factor).clamp(-1, 1)
    with Taps(pipe.vae, VAE_TAPS) as seen:
        decoded = pipe.vae.decode(latents).sample
        posterior = pipe.vae.encode(image).latent_dist
    return {"decode.latents": latents, "decode.image": decoded, "decode_wide.latents": wide,
            "decode_wide.image": pipe.vae.decode(wide).sample, "encode.image": image,
            "encode.mean": posterior.mean, "encode.logvar": posterior.logvar,
            **{f"tap.{k}": v for k, v in seen.items()}}


def check_scale(name, tensors):
    """Nothing may vanish or blow up; what flows between norms is small on purpose (see models.py)."""
    for key, value in tensors.items():
        if value.dtype == torch.float32 and "timesteps" not in key:
            size = rms(value)
            stream = "tap." in key or key in ("embeddings", "penultimate")
            low, high = (0.001, 5.0) if stream else (0.1, 5.0)
            assert value.isfinite().all() and low < size < high, (name, key, size)


def write(out, name, pipe):
    for stage, make in [("text", text), ("unet", unet), ("vae", vae)]:
        tensors = make(pipe)
        check_scale(f"{name}_{stage}", tensors)
        save_tensors(out / f"{name}_{stage}.safetensors", tensors)
