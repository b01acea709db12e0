"""A tiny CLIP tokenizer: trains its merges, writes both folder forms, and checks them by the slow rules."""

import unicodedata
from collections import Counter
from itertools import product

import regex
from transformers import CLIPTokenizer

from store import save_json

START, END = "<|startoftext|>", "<|endoftext|>"
# The library's pattern also names the special tokens, but its byte-level step splits once more, by a pattern
# without them: a "<|ENDOFTEXT|>" that lower-casing made look special ends as ordinary text.
PATTERN = regex.compile(r"'s|'t|'re|'ve|'m|'ll|'d|\p{L}+|\p{N}|[^\s\p{L}\p{N}]+")
MERGES = 400


def sentences():
    """Captions of simple scenes, enough of them that common words become one token."""
    subjects = ["a red house", "an old lighthouse", "the quiet harbour", "two white sailboats",
                "a photograph of a cat", "a watercolour painting of mountains", "one purple balloon",
                "an abandoned castle", "several wooden bridges"]
    places = ["on the left", "beside a frozen lake", "under tall green trees", "through the winding valley",
              "in the middle of a yellow field", "near the sea", "between snowy hills", "along a desert road"]
    times = ["at sunset", "by night, the moon is shining", "in soft morning light", "during a thunderstorm",
             "on a rainy day", "with stars above", "after heavy snowfall, early winter"]
    styles = ["", ", highly detailed", ", it's a drawing", ", 4k, don't blur", ", cinematic, vibrant colours"]
    for subject, place, time, style in product(subjects, places, times, styles):
        yield f"{subject} {place} {time}{style}"


def byte_alphabet():
    """byte -> printable character, in the order in which CLIP numbers them ("!" is 0)."""
    printable = [*range(33, 127), *range(161, 173), *range(174, 256)]
    rest = [b for b in range(256) if b not in printable]
    table = {b: chr(b) for b in printable}
    table.update({b: chr(256 + i) for i, b in enumerate(rest)})
    return table


ALPHABET = byte_alphabet()


def symbols(word):
    chars = [ALPHABET[b] for b in word.encode()]
    return tuple([*chars[:-1], chars[-1] + "</w>"])


def pieces(text):
    """CLIP's cleaning and splitting."""
    text = regex.sub(r"\s+", " ", unicodedata.normalize("NFC", text))
    # Character by character: Python's lower() of a whole string treats a final sigma specially.
    return PATTERN.findall("".join(c.lower() for c in text))


def join(word, pair):
    out = []
    for symbol in word:
        if out and (out[-1], symbol) == pair and not out[-1].endswith("</w>"):
            out[-1] += symbol
        else:
            out.append(symbol)
    return tuple(out)


def train():
    """Merges by frequency, ties by spelling, so that the result never depends on hashing."""
    words = Counter(symbols(w) for s in sentences() for w in pieces(s))
    merges = []
    while len(merges) < MERGES:
        pairs = Counter()
        for word, count in words.items():
            for pair in zip(word, word[1:]):
                pairs[pair] += count
        if not pairs:
            break
        best = min(pairs, key=lambda p: (-pairs[p], p))
        merges.append(best)
        words = Counter({join(w, best): n for w, n in words.items()})
    return merges


def vocabulary(merges):
    chars = list(ALPHABET.values())
    # Two merges may spell the same token; it gets one id.
    names = dict.fromkeys([*chars, *(c + "</w>" for c in chars), *("".join(m) for m in merges), START, END])
    return {name: i for i, name in enumerate(names)}


def slow_ids(text, vocab, merges, pad):
    """The rules written out, to check what the library does with both folder forms."""
    rank = {m: i for i, m in enumerate(merges)}
    # Special tokens are cut out of the raw text first; a "!" that pads is one of them.
    ids, specials = [vocab[START]], [START, END] + (["!"] if pad == "!" else [])
    for part in regex.split("(" + "|".join(map(regex.escape, specials)) + ")", text):
        if part in specials:
            ids.append(vocab[part])
            continue
        for word in map(symbols, pieces(part)):
            while known := [p for p in zip(word, word[1:]) if p in rank]:
                word = join(word, min(known, key=rank.get))
            ids += [vocab[s] for s in word]
    ids = ids[:76] + [vocab[END]]
    return ids + [vocab[pad]] * (77 - len(ids))


def settings(pad):
    return {"bos_token": START, "eos_token": END, "pad_token": pad, "unk_token": END,
            "model_max_length": 77, "do_lower_case": True, "errors": "replace",
            "add_prefix_space": False, "tokenizer_class": "CLIPTokenizer"}


def build(vocab, merges, pad):
    return CLIPTokenizer(vocab=vocab, merges=merges, pad_token=pad, model_max_length=77)


def write_classic(folder, vocab, merges, pad):
    """vocab.json and merges.txt, as the published Stable Diffusion 1 folders have them."""
    save_json(folder / "vocab.json", vocab)
    lines = ["#version: 0.2", *(" ".join(m) for m in merges)]
    (folder / "merges.txt").write_text("\n".join(lines) + "\n", encoding="utf-8")
    save_json(folder / "tokenizer_config.json", settings(pad), indent=2)
    special = {k: {"content": v, "lstrip": False, "normalized": True, "rstrip": False, "single_word": False}
               for k, v in [("bos_token", START), ("eos_token", END), ("unk_token", END)]}
    save_json(folder / "special_tokens_map.json", special | {"pad_token": pad}, indent=2)


def write_single(folder, vocab, merges, pad):
    """tokenizer.json alone, as newer exports have it."""
    folder.mkdir(parents=True, exist_ok=True)
    text = build(vocab, merges, pad).backend_tokenizer.to_str(pretty=False)
    (folder / "tokenizer.json").write_text(text, encoding="utf-8")
    save_json(folder / "tokenizer_config.json", settings(pad), indent=2)


def encode(tokenizer, texts):
    return tokenizer(texts, padding="max_length", truncation=True, max_length=77,
                     return_tensors="pt").input_ids
