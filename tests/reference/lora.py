"""LoRAs by formula on golden model A, and the weights that diffusers and peft merge."""

from types import SimpleNamespace

import torch
from diffusers import StableDiffusionPipeline
from diffusers.loaders.lora_conversion_utils import (_convert_non_diffusers_lora_to_diffusers,
                                                     _maybe_map_sgm_blocks_to_diffusers)

import synthetic
from store import relative, save_json, save_tensors

ATTENTION = "down_blocks.0.attentions.0.transformer_blocks.0.attn1"
# A linear layer, one with bias, a 1x1 convolution, a 3x3 convolution, and one of the text encoder.
UNET = [f"{ATTENTION}.to_q", f"{ATTENTION}.to_out.0", "down_blocks.0.attentions.0.proj_in",
        "down_blocks.1.resnets.0.conv1", "mid_block.attentions.0.transformer_blocks.0.ff.net.2"]
# Not its attention: with transformers 5, diffusers 0.42 silently leaves out what kohya's files say of that.
TEXT = ["encoder.layers.1.mlp.fc2", "encoder.layers.0.mlp.fc1"]

# Of a merged weight only some rows are kept.
EACH = 5


def module(model, name):
    return model.get_submodule(name)


def matrices(weight, rank):
    """Shapes of `down` and `up` for a weight."""
    out, *across = weight.shape
    ones = [1] * (len(across) - 1)
    return [rank, *across], [out, rank, *ones]


def recipe_of(tensors):
    """A recipe entry a tensor: matrices are spread around 0, an alpha is its value."""
    return {name: [shape, 0.0 if value else 0.2, value] for name, (shape, value) in tensors.items()}


def fill(recipe):
    return {name: synthetic.values(name, tuple(shape), scale, offset) for name, (shape, scale, offset) in recipe.items()}


def kohya(pipe, rank=3, alpha=2.0):
    tensors = {}
    for start, model, names in [("lora_unet_", pipe.unet, UNET), ("lora_te_text_model_", pipe.text_encoder, TEXT)]:
        for name in names:
            down, up = matrices(module(model, name).weight, rank)
            flat = start + name.replace(".", "_")
            tensors |= {f"{flat}.lora_down.weight": (down, 0.0), f"{flat}.lora_up.weight": (up, 0.0),
                        f"{flat}.alpha": ([], alpha)}
    return recipe_of(tensors)


def peft_style(pipe, rank=2):
    """As `save_lora_weights` names them; without alphas, so that the product counts as it is."""
    tensors = {}
    for name in UNET[:1] + UNET[3:4]:
        down, up = matrices(module(pipe.unet, name).weight, rank)
        tensors |= {f"unet.{name}.lora_A.weight": (down, 0.0), f"unet.{name}.lora_B.weight": (up, 0.0)}
    return recipe_of(tensors)


def merged(pipe, loras):
    """The changed weights after diffusers loaded the LoRAs, with their weights, and peft merged them."""
    for i, (tensors, _) in enumerate(loras):
        pipe.load_lora_weights(dict(tensors), adapter_name=f"l{i}")
    pipe.set_adapters([f"l{i}" for i in range(len(loras))], [weight for _, weight in loras])
    pipe.fuse_lora()
    result = {}
    for part, model, names in [("unet", pipe.unet, UNET), ("text_encoder", pipe.text_encoder, TEXT)]:
        for name in names:
            layer = module(model, name)
            base = layer.base_layer if hasattr(layer, "base_layer") else layer
            result[f"{part}/{name}.weight"] = base.weight
    return result


def tucker(weight, rank):
    """A LoCon of three convolutions: its change of the weight is what they do to each unit impulse."""
    out, wide, height, width = weight.shape
    tensors = {"lora_unet_mid_block_resnets_0_conv2.lora_down.weight": ([rank, wide, 1, 1], 0.0),
               "lora_unet_mid_block_resnets_0_conv2.lora_mid.weight": ([rank, rank, height, width], 0.0),
               "lora_unet_mid_block_resnets_0_conv2.lora_up.weight": ([out, rank, 1, 1], 0.0)}
    recipe = recipe_of(tensors)
    down, mid, up = (value.double() for value in fill(recipe).values())
    impulses = torch.zeros(wide, wide, 2 * height - 1, 2 * width - 1, dtype=torch.float64)
    impulses[torch.arange(wide), torch.arange(wide), height - 1, width - 1] = 1
    conv = torch.nn.functional.conv2d
    # A convolution of an impulse shows its kernel turned round.
    answer = conv(conv(conv(impulses, down), mid), up).flip(2, 3).transpose(0, 1)
    return recipe, (weight.double() + answer).float()


def sgm_names():
    """Kohya's names of XL layers, which follow the original layout, and diffusers' names of the same."""
    names = ["input_blocks_4_1_transformer_blocks_1_attn2_to_k", "input_blocks_5_0_in_layers_2",
             "input_blocks_7_0_skip_connection", "input_blocks_7_0_emb_layers_1", "middle_block_1_proj_in",
             "output_blocks_2_1_transformer_blocks_0_ff_net_0_proj",
             "output_blocks_5_1_proj_out", "output_blocks_8_0_out_layers_3", "input_blocks_0_0", "out_2",
             "time_embed_0", "label_emb_0_2"]
    result = {}
    for name in names:
        state = {f"lora_unet_{name}.lora_{way}.weight": torch.zeros(1) for way in ("down", "up")}
        state = _maybe_map_sgm_blocks_to_diffusers(state, SimpleNamespace(layers_per_block=2))
        converted, _ = _convert_non_diffusers_lora_to_diffusers(state)
        found = next(iter(converted)).removeprefix("unet.")
        found = found.replace(".processor", "").replace("_lora.down.weight", "").replace(".lora.down.weight", "")
        result[name] = found.removesuffix(".down.weight")
    return result


def write(out):
    def load():
        return StableDiffusionPipeline.from_pretrained(out / "sd-a", dtype=torch.float32, local_files_only=True)

    pipe = load()
    parts = [("unet", pipe.unet, UNET), ("text_encoder", pipe.text_encoder, TEXT)]
    base = {f"{part}/{name}.weight": module(model, name).weight.detach().clone()
            for part, model, names in parts for name in names}
    recipes = {"kohya": kohya(pipe), "peft": peft_style(pipe)}
    golden = {f"kohya/{name}": value for name, value in merged(pipe, [(fill(recipes["kohya"]), 0.75)]).items()}
    both = merged(load(), [(fill(recipes["kohya"]), 0.75), (fill(recipes["peft"]), -0.5)])
    golden |= {f"both/{name}": value for name, value in both.items() if not torch.equal(value, golden[f"kohya/{name}"])}
    for name, value in base.items():
        assert relative(golden[f"kohya/{name}"], value) > 1e-2, name
    recipes["tucker"], golden["tucker"] = tucker(module(load().unet, "mid_block.resnets.0.conv2").weight.detach(), 3)
    save_tensors(out / "lora.safetensors", {name: value[::EACH] for name, value in golden.items()})
    save_json(out / "lora.json", {"recipes": recipes, "sgm": sgm_names()})
