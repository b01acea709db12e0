"""Goldens of what is done to finished pictures: Pillow's results."""

import numpy as np
import torch
from PIL import Image, ImageEnhance, ImageFilter

from store import save_tensors
from synthetic import values

CASES = {
    "brightness": [0.0, 0.4, 1.7], "contrast": [0.0, 0.5, 1.8], "sharpness": [0.0, 0.5, 2.5],
    "blur": [0.3, 1.0, 2.6, 9.0],
}
SIZES = [(40, 32), (13, 27), (7, 5), (20, 3)]


def picture():
    """20 x 16 pixels: smooth with noise on top, so that edges and clamps both matter."""
    noise = values("post.picture", (16, 20, 3), 0.25)
    y, x = torch.meshgrid(torch.arange(16.0), torch.arange(20.0), indexing="ij")
    smooth = torch.stack([x / 19, y / 15, (x > 9).float()], 2)
    return ((smooth + noise).clamp(0, 1) * 255).round().to(torch.uint8)


def change(image, name, value):
    if name == "blur":
        return image.filter(ImageFilter.GaussianBlur(value))
    return getattr(ImageEnhance, name.capitalize())(image).enhance(value)


def write(out):
    pixels = picture()
    image = Image.fromarray(pixels.numpy(), "RGB")
    results = {"picture": image}
    results |= {f"{name}.{value}": change(image, name, value) for name, all in CASES.items() for value in all}
    results |= {f"resize.{w}x{h}": image.resize((w, h), Image.Resampling.LANCZOS) for w, h in SIZES}
    corner = image.crop((0, 0, 10, 8))
    results |= {"corner": corner, "corner.40x32": corner.resize((40, 32), Image.Resampling.LANCZOS)}
    save_tensors(out / "post.safetensors", {k: torch.from_numpy(np.array(v)) for k, v in results.items()})
