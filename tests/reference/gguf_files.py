"""A GGUF file by the format's own writer, and the values that its own reader gives back."""

import gguf
import numpy as np
import torch

import synthetic
from store import save_tensors

# The writer can quantise to these.
WRITTEN = ["F32", "F16", "BF16", "Q8_0", "Q4_0", "Q4_1", "Q5_0", "Q5_1"]
# Of these it can only read: any bytes are blocks, if their scales are numbers of ordinary size.
READ = {"Q4_K": [0, 2], "Q5_K": [0, 2], "Q6_K": [208]}


def blocks(kind, scales, rows, columns):
    size, width = gguf.GGML_QUANT_SIZES[gguf.GGMLQuantizationType[kind]]
    raw = np.random.default_rng(len(kind) + scales[0]).integers(0, 256, (rows * columns // size, width), dtype=np.uint8)
    for at in scales:
        scale = np.random.default_rng(at).uniform(-0.02, 0.02, len(raw)).astype("<f2")
        raw[:, at:at + 2] = scale.view(np.uint8).reshape(-1, 2)
    return raw.reshape(rows, -1)


def add(writer, expected, name, data, kind):
    quantised = gguf.GGMLQuantizationType[kind]
    raw = data if kind in READ else gguf.quants.quantize(data, quantised)
    writer.add_tensor(name, raw, raw_dtype=quantised)
    expected[name] = torch.from_numpy(np.ascontiguousarray(gguf.quants.dequantize(raw, quantised), dtype=np.float32))


def write(out):
    writer = gguf.GGUFWriter(out / "files.gguf", "sd3")
    writer.add_array("tokenizer.tokens", ["a", "bc", ""])
    writer.add_custom_alignment(64)
    expected = {}
    for kind in WRITTEN:
        data = synthetic.values(kind, (3, 64), 0.5).numpy()
        add(writer, expected, f"written.{kind}", data, kind)
    for kind, scales in READ.items():
        add(writer, expected, f"read.{kind}", blocks(kind, scales, 2, 256), kind)
    # A convolution keeps its order of sides, whatever ggml's is.
    add(writer, expected, "conv.weight", synthetic.values("conv", (6, 5, 3, 2), 1.0).numpy(), "F16")
    # Rows that no block divides are stored in rows of 256 values, and their shape apart.
    odd = synthetic.values("odd", (8, 4, 3, 3), 1.0).numpy()
    writer.add_array("comfy.gguf.orig_shape.odd.weight", [8, 4, 3, 3])
    add(writer, expected, "odd.weight", odd.reshape(-1, 32), "Q8_0")
    expected["odd.weight"] = expected["odd.weight"].reshape(8, 4, 3, 3)
    # A fused matrix is read in thirds.
    at = "transformer.resblocks.0"
    add(writer, expected, f"{at}.attn.in_proj_weight", synthetic.values("fused", (48, 32), 1.0).numpy(), "Q8_0")
    add(writer, expected, f"{at}.ln_1.weight", synthetic.values("norm", (32,), 1.0).numpy(), "F32")
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    save_tensors(out / "gguf.safetensors", expected)
