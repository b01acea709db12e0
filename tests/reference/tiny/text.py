"""Makes the vocabulary and gives the text encoder a start: it learns to tell a caption's attributes apart.

A caption is a few hundred times cheaper than a picture, so what words mean is learnt here and what things look like in
`unet.py`. After it, any position from the end-of-text token on states the whole scene, which cross-attention reads.
Run it once; `unet.py` goes on training the encoder with the UNet.
"""

import json
import random
import time

import torch
import torch.nn.functional as F
from tokenizers import Tokenizer, models, normalizers, pre_tokenizers, trainers
from transformers import CLIPTextConfig, CLIPTextModel, CLIPTokenizer

from common import Clock, Muon, arguments, device, load, save, set_rate
from words import caption, caption_said
from world import COLOURS, OBJECTS, PLACES, TERRAINS, TIMES, sample

LENGTH, WIDTH = 77, 128
ANSWERS = {
    "time": TIMES,
    "terrain": TERRAINS,
    "object": OBJECTS,
    "colour": tuple(COLOURS),
    "place": PLACES,
    "sun": ("left", "right"),
    "clouds": (True,),
}
HEADS = [len(v) + 1 for v in ANSWERS.values()]  # one more for: not said


def tokenizer(work):
    """The byte-level BPE in CLIP's files; trained on captions, in which every word becomes one token."""
    folder = work / "tokenizer"
    if not (folder / "vocab.json").exists():
        folder.mkdir(parents=True, exist_ok=True)
        write_vocabulary(folder)
    return CLIPTokenizer(
        str(folder / "vocab.json"), str(folder / "merges.txt"), model_max_length=LENGTH, pad_token="<|endoftext|>"
    )


def write_vocabulary(folder):
    """Learns merges from 20,000 captions and numbers the tokens in CLIP's order."""
    t = Tokenizer(models.BPE(end_of_word_suffix="</w>"))
    t.normalizer = normalizers.Lowercase()
    t.pre_tokenizer = pre_tokenizers.Sequence(
        [
            pre_tokenizers.WhitespaceSplit(),
            pre_tokenizers.Punctuation(),
            pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False),
        ]
    )
    letters = sorted(pre_tokenizers.ByteLevel.alphabet())
    lines = [caption(sample(i), i) for i in range(20000)]
    t.train_from_iterator(
        lines,
        trainers.BpeTrainer(vocab_size=1024, initial_alphabet=letters, end_of_word_suffix="</w>", show_progress=False),
    )
    merges = [m if isinstance(m, str) else " ".join(m) for m in json.loads(t.to_str())["model"]["merges"]]
    words = letters + [c + "</w>" for c in letters]
    words += [w for w in dict.fromkeys(m.replace(" ", "") for m in merges) if w not in set(words)]
    words += ["<|startoftext|>", "<|endoftext|>"]
    (folder / "vocab.json").write_text(json.dumps({w: i for i, w in enumerate(words)}, ensure_ascii=False))
    (folder / "merges.txt").write_text("#version: 0.2\n" + "\n".join(merges) + "\n")


def build(tok):
    """The text encoder: CLIP's, two layers of width 128."""
    return CLIPTextModel(
        CLIPTextConfig(
            vocab_size=len(tok),
            hidden_size=WIDTH,
            intermediate_size=3 * WIDTH,
            num_hidden_layers=2,
            num_attention_heads=4,
            hidden_act="quick_gelu",
            max_position_embeddings=LENGTH,
            projection_dim=WIDTH,
            bos_token_id=tok.bos_token_id,
            eos_token_id=tok.eos_token_id,
            pad_token_id=tok.eos_token_id,
        )
    )


def embeddings(m):
    """Parameters for AdamW: look-up tables are no matrices to orthogonalise."""
    return [p for n, p in m.named_parameters() if "embedding" in n]


def answers(s, said):
    """Class numbers of what a caption states, the last class of each attribute where it states nothing."""
    return [v.index(getattr(s, k)) if k in said else len(v) for k, v in ANSWERS.items()]


def batch(tok, seeds, dev):
    """Captions as token ids, with their answers; an empty one among thirty."""
    scenes = [sample(i) for i in seeds]
    pairs = [caption_said(s, i) if i % 30 else ("", ()) for s, i in zip(scenes, seeds)]
    ids = tok(
        [c for c, _ in pairs], padding="max_length", truncation=True, max_length=LENGTH, return_tensors="pt"
    ).input_ids
    return ids.to(dev), torch.tensor([answers(s, said) for s, (_, said) in zip(scenes, pairs)], device=dev)


def main():
    a = arguments(__doc__, batch=64, rate=2e-3)
    dev = device()
    torch.manual_seed(a.seed)
    tok = tokenizer(a.work)
    m = build(tok).to(dev)
    heads = torch.nn.Linear(WIDTH, sum(HEADS)).to(dev)
    opt = Muon([*m.parameters(), *heads.parameters()], a.rate, embeddings(m) + [heads.weight])
    step = load(a.work / "text.pt", dev, model=m, heads=heads, optimiser=opt).get("step", 0)
    clock, r, ok = Clock(a.minutes, a.rate), random.Random(step), None
    print("vocabulary", len(tok), "parameters", sum(p.numel() for p in m.parameters()), flush=True)
    while not clock.over():
        set_rate(opt, clock.next())
        ids, right = batch(tok, [r.randrange(10**7) for _ in range(a.batch)], dev)
        hidden = m(ids).last_hidden_state
        end = (ids == tok.eos_token_id).int().argmax(1)
        at = torch.stack([end, end + ((LENGTH - end) * torch.rand(len(end), device=dev)).long()], 1)
        guess = heads(hidden.gather(1, at[..., None].expand(-1, -1, WIDTH))).split(HEADS, -1)
        loss = sum(F.cross_entropy(g.flatten(0, 1), y.repeat_interleave(2)) for g, y in zip(guess, right.unbind(1)))
        opt.zero_grad()
        loss.backward()
        opt.step()
        step += 1
        now = torch.stack([(g[:, 0].argmax(-1) == y).float().mean() for g, y in zip(guess, right.unbind(1))])
        ok = now if ok is None else 0.95 * ok + 0.05 * now
        if step % 50 == 0 or clock.over():
            shares = " ".join(f"{k} {v:.3f}" for k, v in zip(ANSWERS, ok.tolist()))
            print(
                f"{step} {clock.elapsed():.0f}s loss {loss.item():.4f} {shares} cpu {time.process_time():.0f}s",
                flush=True,
            )
            save(a.work / "text.pt", model=m, heads=heads, optimiser=opt, step=step)
            if ok.min() > 0.9995:
                break


if __name__ == "__main__":
    main()
