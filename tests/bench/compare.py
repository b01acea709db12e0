"""How far apart two runs are."""

import numpy
from PIL import Image
from safetensors.numpy import load_file


def latents(theirs, ours):
    """‖ours − theirs‖ of the final latents, in terms of ‖theirs‖, and of what the network has made of the noise."""
    file = load_file(theirs)
    want, start, have = (x.astype(numpy.float64) for x in (file["latents"], file["start"], load_file(ours)["latents"]))
    if want.shape != have.shape:
        raise SystemExit(f"latents of {have.shape}, expected {want.shape}")
    apart = numpy.linalg.norm(have - want)
    return {"ofLatents": float(apart / numpy.linalg.norm(want)),
            "ofChange": float(apart / numpy.linalg.norm(want - start))}


def pixels(theirs, picture):
    """Of the bytes of the picture: the largest difference, and the share that differs."""
    want = load_file(theirs)["picture"].astype(numpy.int16)
    have = numpy.asarray(Image.open(picture).convert("RGB")).astype(numpy.int16)
    apart = numpy.abs(have - want)
    return {"largest": int(apart.max()), "differing": round(float((apart > 0).mean()), 6)}
