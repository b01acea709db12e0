"""Goldens of the prompt language: AUTOMATIC1111's rules stated again, and the states that they give.

Its rules in short. Round brackets weigh by 1.1 or the number after a colon, square ones by 1/1.1; what is never closed
weighs up to the end; a closing bracket without an opening one is text. Each part of one weight is tokenised by itself.
Tokens go into windows between a start and an end token; BREAK begins a new one. A window's states are multiplied by
their tokens' weights and then scaled so that the mean of all its values stays the same. Where the engine differs on
purpose (a backslash before an ordinary character, BREAK inside brackets) the rules here are the engine's.
"""

import regex
import torch

import clip_variants
import tokenizer
from store import relative, save_json, save_tensors

LEXEMES = regex.compile(
    r"\\(?P<escaped>[()\[\]\\])|(?P<open>[(\[])|:\s*(?P<number>[+-]?[0-9.]+)\s*\)|(?P<close>[)\]])"
    r"|(?P<text>\\|:|[^\\()\[\]:]+)")
BREAK = regex.compile(r"\s*(?<!\w)BREAK(?!\w)\s*")
LORA = regex.compile(r"<lora:([^:>]+)((?::[^:>]+){0,2})>")
SPACE = clip_variants.LENGTH - 2

PROMPTS = [
    "a red house beside a frozen lake",
    "",
    "a (red) house",
    "a ((red)) house, [snowy] hills",
    "a (red:1.3) house (beside [a frozen:0.5) lake]",
    "a (red: -0.4 ) house",
    "((((a red) house:1.5)",
    "red] house) [by night",
    r"a \(red\) house \[beside\] a \\ lake \o/",
    "(a red: house:1.2)",
    "the (moon:1.2.3) shining",
    "red BREAK blue house",
    "BREAK a red house BREAK",
    "(a red BREAK house:1.4) BREAKFAST a_BREAK",
    "a red house beside a frozen lake at sunset, highly detailed, cinematic, vibrant colours, stars above",
    "(a red house beside a frozen lake at sunset:0.7), highly (detailed:1.6), in soft morning light",
    "<lora:snow:0.8>a red house <lora:style one> by <lora:x:0.5:0.25> night",
    "a <lora:x:much> house <lora:> <lora",
    "1girl:2, a:b:c) (:1.5) () (()) [] :",
    "a (夕焼け:1.1) (rea)lly",
]


def weigh(runs, start, factor):
    for run in runs[start:]:
        if run is not None:
            run[1] *= factor


def read(text):
    """Sections of [text, weight], and the LoRAs."""
    loras = []

    def take(match):
        numbers = [float(n) for n in match[2].split(":")[1:]] if match[2] else [1.0]
        loras.append({"name": match[1].strip(), "textWeight": numbers[0], "weight": numbers[-1]})
        return ""

    def take_or_keep(match):
        try:
            return take(match)
        except ValueError:
            return match[0]

    text = LORA.sub(take_or_keep, text)
    runs, opened = [], {"(": [], "[": []}
    at = 0
    while at < len(text):
        match = LEXEMES.match(text, at)
        part, closes = match.groupdict(), None
        if part["number"] is not None:
            try:
                closes = ("(", float(part["number"]))
            except ValueError:
                pass
            if not opened["("] or closes is None:
                # Only the colon is text; what follows is read again.
                runs.append([":", 1.0])
                at += 1
                continue
        at = match.end()
        if part["close"]:
            closes = ("(", 1.1) if part["close"] == ")" else ("[", 1 / 1.1)
        if part["open"]:
            opened[part["open"]].append(len(runs))
        elif closes and opened[closes[0]]:
            weigh(runs, opened[closes[0]].pop(), closes[1])
        elif part["escaped"] or part["close"]:
            runs.append([part["escaped"] or part["close"], 1.0])
        else:
            for i, piece in enumerate(BREAK.split(part["text"])):
                runs += ([None] if i else []) + [[piece, 1.0]]
    for kind, factor in [("(", 1.1), ("[", 1 / 1.1)]:
        for start in opened[kind]:
            weigh(runs, start, factor)
    sections = [[]]
    for run in runs:
        if run is None:
            sections.append([])
        elif not run[0]:
            continue
        elif sections[-1] and abs(sections[-1][-1][1] - run[1]) < 1e-6:
            sections[-1][-1][0] += run[0]
        else:
            sections[-1].append(list(run))
    if len(sections) > 1 and not sections[-1]:
        sections.pop()
    return sections, loras


def windows(sections, tokens):
    """(ids, weights) of each window, start and end included."""
    done = []
    for section in sections:
        row = [(i, weight) for text, weight in section
               for i in tokens(text, add_special_tokens=False).input_ids]
        for start in range(0, max(len(row), 1), SPACE):
            part = row[start:start + SPACE]
            ids = [tokens.bos_token_id, *(i for i, _ in part), tokens.eos_token_id]
            weights = [1.0, *(w for _, w in part), 1.0]
            more = clip_variants.LENGTH - len(ids)
            done.append((ids + [tokens.pad_token_id] * more, weights + [1.0] * more))
    return done


def emphasised(model, done):
    """The windows' states side by side."""
    parts = []
    for ids, weights in done:
        z = model(torch.tensor([ids])).last_hidden_state
        mean = z.mean()
        z = z * torch.tensor(weights)[None, :, None]
        parts.append(z * (mean / z.mean()))
    return torch.cat(parts, 1)


def write(out):
    vocab, merges = clip_variants.vocabulary()
    tokens = tokenizer.build(vocab, merges, tokenizer.END)
    model, _ = clip_variants.build("l", vocab)
    entries, tensors, strongest = [], {}, 0.0
    for i, text in enumerate(PROMPTS):
        sections, loras = read(text)
        done = windows(sections, tokens)
        entries.append({"text": text, "sections": sections, "loras": loras,
                        "windows": [{"ids": ids, "weights": weights} for ids, weights in done]})
        if i in (2, 5, 15):
            states = emphasised(model, done)
            plain = emphasised(model, [(ids, [1.0] * len(ids)) for ids, _ in done])
            strongest = max(strongest, relative(states, plain))
            pooled = model.text_model(torch.tensor([done[0][0]])).pooler_output
            tensors |= {f"states.{i}": states, f"pooled.{i}": pooled}
    print(f"  prompt language: weights move states by up to {strongest:.1e}")
    assert strongest > 0.05
    save_json(out / "prompts.json", {"length": clip_variants.LENGTH, "prompts": entries})
    save_tensors(out / "prompts.safetensors", tensors)
