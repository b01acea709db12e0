"""Goldens of vision transformers that name what a picture shows: a small one, and one of timm's "tiny" with few patches."""

import numpy as np
import torch
from PIL import Image
from transformers import ViTConfig, ViTForImageClassification

from modes import bytes_of
from store import relative, save_json, save_tensors
from synthetic import fill, rule, values

LABELS = {0: "normal", 1: "nsfw", 2: "other"}
KINDS = {
    "small": {"hidden_size": 16, "num_hidden_layers": 2, "num_attention_heads": 2, "intermediate_size": 24,
              "image_size": 12, "patch_size": 4, "layer_norm_eps": 1e-5},
    "tiny": {"hidden_size": 192, "num_hidden_layers": 12, "num_attention_heads": 3, "intermediate_size": 768,
             "image_size": 32, "patch_size": 16, "layer_norm_eps": 1e-6},
}
# Width and height of the picture that is named, larger than what is seen and not square.
SHAPE = (52, 36)
MEAN, DEVIATION = [0.4, 0.5, 0.6], [0.3, 0.25, 0.2]


def loud(name, parameter):
    """Positions and the first state as loud as a patch."""
    scale, offset = rule(name, parameter)
    return (1.0 if name.endswith(("cls_token", "position_embeddings")) else scale), offset


def sees(picture, side, filter):
    """Resized and normalised, as the published processors do."""
    resized = picture.resize((side, side), filter)
    x = torch.from_numpy(np.array(resized)).float() / 255
    return resized, ((x - torch.tensor(MEAN)) / torch.tensor(DEVIATION)).permute(2, 0, 1)[None]


def write(out):
    tensors, index = {}, {}
    picture = Image.fromarray(bytes_of("vit.picture", SHAPE[1], SHAPE[0], 3).numpy())
    for kind, config in KINDS.items():
        model = ViTForImageClassification(ViTConfig(**config, id2label=LABELS))
        recipe = fill(model, loud)
        side = config["image_size"]
        x = values("input.picture", (2, 3, side, side), 1.7)
        logits = model(x).logits
        filter = Image.Resampling.BILINEAR if kind == "small" else Image.Resampling.BICUBIC
        resized, seen = sees(picture, side, filter)
        tensors |= {f"{kind}.logits": logits, f"{kind}.resized": torch.from_numpy(np.array(resized)),
                    f"{kind}.probabilities": model(seen).logits.softmax(1)[0]}
        moved = relative(model(x.flip(3)).logits, logits)
        print(f"  vit {kind}: the mirrored picture moves the logits by {moved:.0%}")
        assert moved > 0.02, moved
        index[kind] = {"recipe": recipe, "config": config | {"id2label": LABELS, "hidden_act": "gelu"}}
    index["processor"] = {"image_mean": MEAN, "image_std": DEVIATION}
    save_tensors(out / "vit.safetensors", tensors)
    save_json(out / "vit.json", index)
