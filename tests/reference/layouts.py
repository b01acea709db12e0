"""The names and shapes of small models in the original layouts of CompVis and Stability."""


def layer(name, *shape, bias=True):
    return {f"{name}.weight": list(shape)} | ({f"{name}.bias": [shape[0]]} if bias else {})


def norm(name, width):
    return layer(name, width)


def joined(*parts):
    return {name: shape for part in parts for name, shape in part.items()}


def inside(prefix, names):
    return {prefix + name: shape for name, shape in names.items()}


def residual(name, wide, to, time):
    skip = layer(f"{name}.skip_connection", to, wide, 1, 1) if wide != to else {}
    return joined(norm(f"{name}.in_layers.0", wide), layer(f"{name}.in_layers.2", to, wide, 3, 3),
                  layer(f"{name}.emb_layers.1", to, time), norm(f"{name}.out_layers.0", to),
                  layer(f"{name}.out_layers.3", to, to, 3, 3), skip)


def transformer(name, width, context, depth, linear):
    side = [] if linear else [1, 1]
    parts = [norm(f"{name}.norm", width), layer(f"{name}.proj_in", width, width, *side),
             layer(f"{name}.proj_out", width, width, *side)]
    for i in range(depth):
        at = f"{name}.transformer_blocks.{i}"
        for attention, source in [("attn1", width), ("attn2", context)]:
            parts += [layer(f"{at}.{attention}.to_{x}", width, wide, bias=False)
                      for x, wide in [("q", width), ("k", source), ("v", source)]]
            parts.append(layer(f"{at}.{attention}.to_out.0", width, width))
        parts += [layer(f"{at}.ff.net.0.proj", 8 * width, width), layer(f"{at}.ff.net.2", width, 4 * width)]
        parts += [norm(f"{at}.norm{n}", width) for n in (1, 2, 3)]
    return joined(*parts)


def unet(c):
    """After CompVis' UNetModel: `depths` is the depth of each level's transformers, 0 for none."""
    widths, depths, layers = c["widths"], c["depths"], c["layers"]
    time, first = 4 * widths[0], widths[0]
    parts = [layer("time_embed.0", time, first), layer("time_embed.2", time, time),
             layer("input_blocks.0.0", first, c["in"], 3, 3)]
    if "added" in c:
        parts += [layer("label_emb.0.0", time, c["added"]), layer("label_emb.0.2", time, time)]
    block, wide, skips = 1, first, [first]
    for level, (to, depth) in enumerate(zip(widths, depths)):
        for _ in range(layers):
            parts.append(residual(f"input_blocks.{block}.0", wide, to, time))
            if depth:
                parts.append(transformer(f"input_blocks.{block}.1", to, c["context"], depth, c["linear"]))
            block, wide = block + 1, to
            skips.append(to)
        if level + 1 < len(widths):
            parts.append(layer(f"input_blocks.{block}.0.op", to, to, 3, 3))
            block += 1
            skips.append(to)
    middle = max(depths[-1], c.get("middle", 0))
    parts += [residual("middle_block.0", wide, wide, time), residual("middle_block.2", wide, wide, time),
              transformer("middle_block.1", wide, c["context"], middle, c["linear"])]
    block = 0
    for level, (to, depth) in reversed(list(enumerate(zip(widths, depths)))):
        for i in range(layers + 1):
            parts.append(residual(f"output_blocks.{block}.0", wide + skips.pop(), to, time))
            if depth:
                parts.append(transformer(f"output_blocks.{block}.1", to, c["context"], depth, c["linear"]))
            if level and i == layers:
                parts.append(layer(f"output_blocks.{block}.{2 if depth else 1}.conv", to, to, 3, 3))
            block, wide = block + 1, to
    return joined(*parts, norm("out.0", first), layer("out.2", 4, first, 3, 3))


def vae(widths, layers, latent, quant):
    def block(name, wide, to):
        skip = layer(f"{name}.nin_shortcut", to, wide, 1, 1) if wide != to else {}
        return joined(norm(f"{name}.norm1", wide), layer(f"{name}.conv1", to, wide, 3, 3), norm(f"{name}.norm2", to),
                      layer(f"{name}.conv2", to, to, 3, 3), skip)

    def middle(side, width):
        attention = [layer(f"{side}.mid.attn_1.{x}", width, width, 1, 1) for x in ("q", "k", "v", "proj_out")]
        return joined(block(f"{side}.mid.block_1", width, width), block(f"{side}.mid.block_2", width, width),
                      norm(f"{side}.mid.attn_1.norm", width), *attention)

    last = len(widths) - 1
    parts = [layer("encoder.conv_in", widths[0], 3, 3, 3), layer("decoder.conv_in", widths[last], latent, 3, 3)]
    wide = widths[0]
    for level, to in enumerate(widths):
        for i in range(layers):
            parts.append(block(f"encoder.down.{level}.block.{i}", wide, to))
            wide = to
        if level < last:
            parts.append(layer(f"encoder.down.{level}.downsample.conv", to, to, 3, 3))
    parts += [middle("encoder", wide), norm("encoder.norm_out", wide),
              layer("encoder.conv_out", 2 * latent, wide, 3, 3), middle("decoder", wide)]
    for level, to in reversed(list(enumerate(widths))):
        for i in range(layers + 1):
            parts.append(block(f"decoder.up.{level}.block.{i}", wide, to))
            wide = to
        if level:
            parts.append(layer(f"decoder.up.{level}.upsample.conv", to, to, 3, 3))
    parts += [norm("decoder.norm_out", wide), layer("decoder.conv_out", 3, wide, 3, 3)]
    if quant:
        parts += [layer("quant_conv", 2 * latent, 2 * latent, 1, 1), layer("post_quant_conv", latent, latent, 1, 1)]
    return joined(*parts)


def clip(width, layers, vocabulary, positions=77):
    parts = [{"embeddings.token_embedding.weight": [vocabulary, width],
              "embeddings.position_embedding.weight": [positions, width]}, norm("final_layer_norm", width)]
    for i in range(layers):
        at = f"encoder.layers.{i}"
        parts += [layer(f"{at}.self_attn.{x}_proj", width, width) for x in ("q", "k", "v", "out")]
        parts += [norm(f"{at}.layer_norm{n}", width) for n in (1, 2)]
        parts += [layer(f"{at}.mlp.fc1", 2 * width, width), layer(f"{at}.mlp.fc2", width, 2 * width)]
    return inside("text_model.", joined(*parts))


def open_clip(width, layers, vocabulary, projection):
    parts = [{"positional_embedding": [77, width], "token_embedding.weight": [vocabulary, width],
              "text_projection": [width, projection], "logit_scale": []}, norm("ln_final", width)]
    for i in range(layers):
        at = f"transformer.resblocks.{i}"
        parts += [{f"{at}.attn.in_proj_weight": [3 * width, width], f"{at}.attn.in_proj_bias": [3 * width]},
                  layer(f"{at}.attn.out_proj", width, width), norm(f"{at}.ln_1", width), norm(f"{at}.ln_2", width),
                  layer(f"{at}.mlp.c_fc", 4 * width, width), layer(f"{at}.mlp.c_proj", width, 4 * width)]
    return joined(*parts)


def mmdit(width, blocks, dual, context, pooled, positions, head):
    parts = [{"pos_embed": [1, positions * positions, width]}, layer("x_embedder.proj", width, 4, 2, 2),
             layer("t_embedder.mlp.0", width, 256), layer("t_embedder.mlp.2", width, width),
             layer("y_embedder.mlp.0", width, pooled), layer("y_embedder.mlp.2", width, width),
             layer("context_embedder", width, context), layer("final_layer.linear", 16, width),
             layer("final_layer.adaLN_modulation.1", 2 * width, width)]
    for i in range(blocks):
        for half in ("x_block", "context_block"):
            at = f"joint_blocks.{i}.{half}"
            last = half == "context_block" and i + 1 == blocks
            twice = half == "x_block" and i in dual
            parts.append(layer(f"{at}.adaLN_modulation.1", (2 if last else 9 if twice else 6) * width, width))
            for attention in ["attn"] + ["attn2"] * twice:
                parts += [layer(f"{at}.{attention}.qkv", 3 * width, width),
                          norm_weight(f"{at}.{attention}.ln_q", head), norm_weight(f"{at}.{attention}.ln_k", head)]
                parts += [] if last else [layer(f"{at}.{attention}.proj", width, width)]
            if not last:
                parts += [layer(f"{at}.mlp.fc1", 4 * width, width), layer(f"{at}.mlp.fc2", width, 4 * width)]
    return joined(*parts)


def norm_weight(name, width):
    return layer(name, width, bias=False)
