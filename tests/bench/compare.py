"""How far apart two runs are."""

import numpy
from PIL import Image
from safetensors.numpy import load_file


def latents(theirs, ours):
    """‖ours − theirs‖ / ‖theirs‖ of the final latents."""
    want, have = (load_file(path)["latents"].astype(numpy.float64) for path in (theirs, ours))
    if want.shape != have.shape:
        raise SystemExit(f"latents of {have.shape}, expected {want.shape}")
    return float(numpy.linalg.norm(have - want) / numpy.linalg.norm(want))


def pixels(theirs, picture):
    """Of the bytes of the picture: the largest difference, and the share that differs."""
    want = load_file(theirs)["picture"].astype(numpy.int16)
    have = numpy.asarray(Image.open(picture).convert("RGB")).astype(numpy.int16)
    apart = numpy.abs(have - want)
    return {"largest": int(apart.max()), "differing": round(float((apart > 0).mean()), 6)}
