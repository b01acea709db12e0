"""Goldens of T5: the encoder by formula, and a small Unigram tokenizer in both published forms with its ids."""

import contextlib
import io
import tempfile
import unicodedata
from pathlib import Path

import sentencepiece
import torch
from transformers import T5Config, T5EncoderModel, T5Tokenizer
from transformers.models.t5.modeling_t5 import T5Attention

import models
import synthetic
from prompts import PROMPTS
from sensitivity import LIMIT
from store import relative, save_json, save_tensors
from tokenizer import sentences

LENGTH = 40
CONFIG = dict(d_model=24, d_kv=8, d_ff=40, num_layers=3, num_heads=4, feed_forward_proj="gated-gelu",
              relative_attention_num_buckets=32, relative_attention_max_distance=128)
# Others that the table of characters must tell apart, beside the prompts that all tokenizers share.
MORE = ["a red house</s> by <pad>the lake", "<unk> and <extra_id_1>", "the lake\u2003\u2003 \tis ▁frozen▁",
        "ﬁﬁ①…½ ｆｕｌｌ", "the re\u0301d ho\u0308use", "zzz 夕焼け qqq 夕",
        "redhousebesideafrozenlake"]


def rules():
    """A small table of characters: compatibility forms, white space, controls, and letters that lose a mark."""
    table = {}
    for c in sorted({c for prompt in PROMPTS for c in prompt}):
        becomes = " " if c.isspace() else unicodedata.normalize("NFKC", c)
        becomes = "" if unicodedata.category(c) == "Cc" and not c.isspace() else becomes
        if becomes != c:
            table[c] = becomes
    for letter in "aeo":
        for mark in "\u0300\u0301\u0308":
            table[letter + mark] = letter
    return table


def train(folder):
    """Trains `spiece.model` with T5's order of special pieces."""
    codes = ["\t".join(" ".join(f"{ord(c):X}" for c in text) for text in pair) for pair in sorted(rules().items())]
    (folder / "rules.tsv").write_text("\n".join(codes) + "\n", encoding="utf-8")
    model = io.BytesIO()
    # The file remembers the table's path, which must be the same every time.
    with contextlib.chdir(folder):
        sentencepiece.SentencePieceTrainer.train(
            sentence_iterator=iter(sentences()), model_writer=model, model_type="unigram", vocab_size=300,
            hard_vocab_limit=False, pad_id=0, eos_id=1, unk_id=2, bos_id=-1, normalization_rule_tsv="rules.tsv",
            num_threads=1, minloglevel=2)
    (folder / "spiece.model").write_bytes(model.getvalue())
    return model.getvalue()


def write_tokenizer(out):
    """Both forms, and the ids of every prompt with the end token, not padded."""
    with tempfile.TemporaryDirectory() as folder:
        folder = Path(folder)
        model = train(folder)
        tokens = T5Tokenizer.from_pretrained(folder, extra_ids=4)
    (out / "t5").mkdir(parents=True, exist_ok=True)
    (out / "t5" / "spiece.model").write_bytes(model)
    (out / "t5" / "tokenizer.json").write_text(tokens.backend_tokenizer.to_str(pretty=False), encoding="utf-8")
    spiece = sentencepiece.SentencePieceProcessor(model_proto=model)
    entries = []
    for text in PROMPTS + MORE:
        ids = tokens(text, truncation=True, max_length=77).input_ids
        entries.append({"text": text, "ids": ids})
        # SentencePiece itself knows no special tokens in a text, and takes a written `▁` for a space.
        if text not in MORE[:3]:
            assert ids == (spiece.encode(text)[:76] + [1]), text
    save_json(out / "t5_tokens.json", {"maxLength": 77, "prompts": entries})
    return tokens


def rule(name, parameter):
    """`synthetic.rule` with T5's names for what writes to the stream, and numbers for distances that show."""
    if "relative_attention_bias" in name:
        return 2.0, 0.0
    scale, offset = synthetic.rule(name, parameter)
    to_stream = name.endswith(("SelfAttention.o.weight", "DenseReluDense.wo.weight", "shared.weight"))
    # Queries and keys are not scaled by the size of a head; the two forms of GELU differ most around 2.
    factor = 0.5 if name.endswith(("SelfAttention.q.weight", "SelfAttention.k.weight")) else 1.0
    factor = 2.0 if name.endswith("wi_0.weight") else factor
    return scale * factor * (models.STREAM if to_stream else 1.0), offset


def check(model, ids):
    """Every norm's epsilon, the activation and the distances must show."""
    reference = model(ids).last_hidden_state
    weakest = 1.0
    for module in model.modules():
        if hasattr(module, "variance_epsilon"):
            kept, module.variance_epsilon = module.variance_epsilon, 1e-5
            weakest = min(weakest, relative(model(ids).last_hidden_state, reference))
            module.variance_epsilon = kept
    dense = [block.layer[1].DenseReluDense for block in model.encoder.block]
    kept = dense[0].act
    for layer in dense:
        layer.act = torch.nn.GELU()
    exact = relative(model(ids).last_hidden_state, reference)
    for layer in dense:
        layer.act = kept
    bias = model.encoder.block[0].layer[0].SelfAttention.relative_attention_bias.weight
    kept, bias.data = bias.data, bias.data.roll(1, 0)
    rolled = relative(model(ids).last_hidden_state, reference)
    bias.data = kept
    print(f"  t5: weakest norm {weakest:.1e}, exact GELU {exact:.1e}, distances one bucket off {rolled:.1e}")
    assert weakest > LIMIT and exact > LIMIT and rolled > 0.05


def write(out):
    tokens = write_tokenizer(out)
    config = CONFIG | {"vocab_size": len(tokens)}
    model = T5EncoderModel(T5Config(**config))
    recipe = synthetic.fill(model, rule)
    texts = ["a red house beside a frozen lake at sunset", "夕焼け, stars above snowy hills"]
    ids = tokens(texts, padding="max_length", truncation=True, max_length=LENGTH, return_tensors="pt").input_ids
    check(model, ids)
    distances = torch.arange(-300, 301)
    buckets = T5Attention._relative_position_bucket(distances, True, 32, 128)
    save_json(out / "t5.json", {"config": config, "recipe": recipe, "ids": ids.tolist(),
                                "firstDistance": -300, "buckets": buckets.tolist()})
    save_tensors(out / "t5.safetensors", {"states": model(ids).last_hidden_state})
