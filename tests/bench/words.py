"""A CLIP vocabulary of the published size: the bytes, 48,894 merges of made-up words, the two special tokens."""

import json
from itertools import product

START, END = "<|startoftext|>", "<|endoftext|>"
SIZE = 49_408


def alphabet():
    """The printable characters that stand for bytes, in CLIP's order ("!" is 0)."""
    printable = [*range(33, 127), *range(161, 173), *range(174, 256)]
    return [chr(c) for c in printable] + [chr(256 + i) for i in range(256 - len(printable))]


def merges():
    """Pairs and triples of small letters, each also as the end of a word: whatever is joined exists."""
    letters = "abcdefghijklmnopqrstuvwxyz"
    pairs = [(a, b + end) for a, b in product(letters, repeat=2) for end in ("", "</w>")]
    triples = [(a + b, c + end) for a, b, c in product(letters, repeat=3) for end in ("", "</w>")]
    fours = [(a + b, c + d) for a, b, c, d in product(letters, repeat=4)]
    return (pairs + triples + fours)[: SIZE - 2 * 256 - 2]


def save(path, value):
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(value, ensure_ascii=False, indent=1) + "\n", encoding="utf-8")


def write(folder, pad):
    """`vocab.json`, `merges.txt` and the two configurations, as the published folders have them."""
    joined = merges()
    chars = alphabet()
    names = [*chars, *(c + "</w>" for c in chars), *("".join(pair) for pair in joined), START, END]
    save(folder / "vocab.json", {name: i for i, name in enumerate(names)})
    lines = ["#version: 0.2", *(" ".join(pair) for pair in joined)]
    (folder / "merges.txt").write_text("\n".join(lines) + "\n", encoding="utf-8")
    save(folder / "tokenizer_config.json",
         {"bos_token": START, "eos_token": END, "pad_token": pad, "unk_token": END, "model_max_length": 77,
          "do_lower_case": True, "errors": "replace", "add_prefix_space": False, "tokenizer_class": "CLIPTokenizer"})
    special = {k: {"content": v, "lstrip": False, "normalized": True, "rstrip": False, "single_word": False}
               for k, v in [("bos_token", START), ("eos_token", END), ("unk_token", END)]}
    save(folder / "special_tokens_map.json", special | {"pad_token": pad})
