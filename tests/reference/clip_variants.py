"""Goldens of the text encoders of Stable Diffusion 1 to 3.5: CLIP-L, OpenCLIP-H and bigG, small and by formula."""

from transformers import CLIPTextConfig, CLIPTextModel, CLIPTextModelWithProjection
from transformers.activations import ACT2FN

import synthetic
import tokenizer
from sensitivity import LIMIT, norms, weakest
from store import relative, save_json, save_tensors

# Short, so that the goldens stay small.
LENGTH = 16
TEXTS = ["a red house beside a frozen lake at sunset", "snowy hills!"]
VARIANTS = {
    "l": (CLIPTextModelWithProjection, dict(hidden_size=24, intermediate_size=48, num_hidden_layers=3,
                                            num_attention_heads=3, hidden_act="quick_gelu", projection_dim=20)),
    "h": (CLIPTextModel, dict(hidden_size=20, intermediate_size=40, num_hidden_layers=4, num_attention_heads=2,
                              hidden_act="gelu", projection_dim=16)),
    "g": (CLIPTextModelWithProjection, dict(hidden_size=32, intermediate_size=48, num_hidden_layers=3,
                                            num_attention_heads=4, hidden_act="gelu", projection_dim=28)),
}


def vocabulary():
    """The tokenizer that both model folders share."""
    merges = tokenizer.train()
    return tokenizer.vocabulary(merges), merges


def rule(name, parameter):
    """A mean that is far from zero at the end: emphasis divides by it."""
    scale, offset = synthetic.rule(name, parameter)
    return scale, offset + (0.5 if name.endswith("final_layer_norm.bias") else 0.0)


def build(name, vocab):
    """The model and what the engine's tests need to build it too."""
    kind, config = VARIANTS[name]
    config = config | {"vocab_size": len(vocab), "max_position_embeddings": LENGTH,
                       "eos_token_id": vocab[tokenizer.END], "bos_token_id": vocab[tokenizer.START],
                       "pad_token_id": vocab["!" if name == "g" else tokenizer.END]}
    model = kind(CLIPTextConfig(**config))
    recipe = synthetic.fill(model, rule)
    return model, {"config": config, "recipe": recipe}


def outputs(model, ids):
    """The states that pipelines choose from."""
    out = model(ids, output_hidden_states=True)
    text = getattr(model, "text_model", model)
    pooled = text(ids).pooler_output
    hidden = out.hidden_states
    tensors = {"last": out.last_hidden_state, "penultimate": hidden[-2],
               "skipped_2_normed": text.final_layer_norm(hidden[-3]), "pooled": pooled}
    return tensors | ({"projected": out.text_embeds} if hasattr(out, "text_embeds") else {})


def check(name, model, ids):
    """Every norm's epsilon and the activation must show in what is compared."""
    def forward():
        tensors = outputs(model, ids)
        return [tensors["last"], tensors["pooled"]]

    norm, distance, count = weakest(model, forward)
    reference = forward()
    layers = getattr(model, "text_model", model).encoder.layers
    kept = layers[0].mlp.activation_fn
    layers[0].mlp.activation_fn = ACT2FN["gelu" if name == "l" else "quick_gelu"]
    other = relative(forward()[0], reference[0])
    layers[0].mlp.activation_fn = kept
    print(f"  clip {name}: {count} norms, weakest {norm} {distance:.1e}; another activation {other:.1e}")
    assert distance > LIMIT and other > LIMIT and count == len(norms(model)), (name, norm, distance, other)


def write(out):
    vocab, merges = vocabulary()
    tokens = tokenizer.build(vocab, merges, tokenizer.END)
    ids = tokens(TEXTS, padding="max_length", truncation=True, max_length=LENGTH, return_tensors="pt").input_ids
    models, tensors = {}, {}
    for name in VARIANTS:
        model, models[name] = build(name, vocab)
        check(name, model, ids)
        tensors |= {f"{name}.{k}": v for k, v in outputs(model, ids).items()}
    save_json(out / "texts.json", {"ids": ids.tolist(), "models": models})
    save_tensors(out / "texts.safetensors", tensors)
