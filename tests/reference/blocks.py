"""Golden inputs and outputs of single operations, in NCHW as the reference has them."""

import torch
import torch.nn.functional as F
from diffusers.models.activations import GEGLU
from diffusers.models.embeddings import get_timestep_embedding

from store import rand, relative, save_tensors


def convolutions(g):
    """name -> (input, weight, bias, output) of each way in which the models convolve."""
    x, w, b = rand(g, 2, 8, 5, 7), rand(g, 12, 8, 3, 3) * 0.14, rand(g, 12) * 0.1
    even, w1 = rand(g, 2, 8, 6, 8), rand(g, 12, 8, 1, 1) * 0.4
    return {
        "conv3x3": (x, w, b, F.conv2d(x, w, b, padding=1)),
        "conv3x3_stride2": (even, w, b, F.conv2d(even, w, b, stride=2, padding=1)),
        "conv3x3_stride2_odd": (x, w, b, F.conv2d(x, w, b, stride=2, padding=1)),
        # The autoencoder pads on the right and below only.
        "conv3x3_stride2_asymmetric": (even, w, b, F.conv2d(F.pad(even, (0, 1, 0, 1)), w, b, stride=2)),
        "conv1x1": (x, w1, b, F.conv2d(x, w1, b)),
        "upsample_conv3x3": (x, w, b, F.conv2d(F.interpolate(x, scale_factor=2.0, mode="nearest"), w, b, padding=1)),
    }


def norm_inputs(g):
    """Small deviations make epsilon count; a large mean makes the formula of the variance count."""
    return {
        "plain": rand(g, 2, 32, 4, 6) + 0.3,
        "small": rand(g, 2, 32, 4, 6) * 0.004 + 0.002,
        "offset": rand(g, 2, 32, 4, 4) * 0.25 + 50.0,
    }


def group_norms(g):
    w, b = 1 + 0.2 * rand(g, 32), 0.1 * rand(g, 32)
    out = {"groupnorm.weight": w, "groupnorm.bias": b}
    for kind, x in norm_inputs(g).items():
        out[f"groupnorm.{kind}.input"] = x
        for label, eps in [("eps1e-5", 1e-5), ("eps1e-6", 1e-6)]:
            # In double: the reference's own rounding is no part of what is asked for.
            y = F.group_norm(x.double(), 8, w.double(), b.double(), eps)
            out[f"groupnorm.{kind}.{label}.output"] = y.float()
            out[f"groupnorm.{kind}.{label}.silu_output"] = F.silu(y).float()
    check_offset(out)
    return out


def normalised(x, w, b, variance):
    """f32 GroupNorm with the given variance formula, summing one value after the other."""
    v = x.reshape(x.shape[0], 8, -1)
    mean = v.cumsum(-1)[..., -1:] / v.shape[-1]
    var = variance(v, mean)
    y = ((v - mean) / (var.clamp(min=0) + 1e-5).sqrt()).reshape(x.shape)
    return y * w[:, None, None] + b[:, None, None]


def check_offset(out):
    """The offset case must pass with two passes and fail with E[x²] − E[x]²."""
    w, b = out["groupnorm.weight"], out["groupnorm.bias"]
    x, y = out["groupnorm.offset.input"], out["groupnorm.offset.eps1e-5.output"]
    two = normalised(x, w, b, lambda v, m: ((v - m) ** 2).mean(-1, keepdim=True))
    one = normalised(x, w, b, lambda v, m: (v * v).cumsum(-1)[..., -1:] / v.shape[-1] - m * m)
    good, bad = relative(two, y), relative(one, y)
    print(f"  group norm with a large mean: two passes {good:.1e}, one pass {bad:.1e}")
    assert good < 5e-5 and bad > 3e-4, (good, bad)


def layer_norms(g):
    w, b = 1 + 0.2 * rand(g, 32), 0.1 * rand(g, 32)
    out = {"layernorm.weight": w, "layernorm.bias": b}
    for kind, scale in [("plain", 1.0), ("small", 0.004)]:
        x = rand(g, 2, 7, 32) * scale
        out[f"layernorm.{kind}.input"] = x
        out[f"layernorm.{kind}.output"] = F.layer_norm(x, (32,), w, b, 1e-5)
    return out


def attentions(g):
    """[batch, heads, tokens, width of a head]; no weights, scale 1/sqrt(8)."""
    out = {}
    for name, keys, causal in [("self", 33, False), ("cross", 77, False), ("causal", 33, True)]:
        q, k, v = (rand(g, 2, 2, n, 8) for n in (33, keys, keys))
        y = F.scaled_dot_product_attention(q, k, v, is_causal=causal)
        out |= {f"attention.{name}.{part}": t for part, t in [("q", q), ("k", k), ("v", v), ("output", y)]}
    return out


def feed_forward(g):
    layer = GEGLU(16, 32)
    layer.proj.weight.data = rand(g, 64, 16) * 0.4
    layer.proj.bias.data = rand(g, 64) * 0.1
    x = rand(g, 2, 5, 16)
    out = {"geglu.input": x, "geglu.weight": layer.proj.weight, "geglu.bias": layer.proj.bias,
           "geglu.output": layer(x)}
    x = torch.linspace(-6, 6, 97)
    return out | {"activation.input": x, "activation.gelu": F.gelu(x), "activation.silu": F.silu(x),
                  "activation.quick_gelu": x * torch.sigmoid(1.702 * x)}


def timesteps():
    t = torch.tensor([0.0, 1.0, 250.5, 999.0])
    y = get_timestep_embedding(t, 32, flip_sin_to_cos=True, downscale_freq_shift=0)
    return {"timestep_embedding.timesteps": t, "timestep_embedding.output": y}


def write(out):
    g = torch.Generator().manual_seed(100)
    tensors = {}
    for name, parts in convolutions(g).items():
        tensors |= {f"{name}.{k}": v for k, v in zip(("input", "weight", "bias", "output"), parts)}
    for group in (group_norms(g), layer_norms(g), attentions(g), feed_forward(g), timesteps()):
        tensors |= group
    save_tensors(out / "blocks.safetensors", tensors)
