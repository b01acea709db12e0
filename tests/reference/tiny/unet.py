"""Trains the UNet, and goes on training the text encoder, on the latents of the autoencoder.

v prediction on a noise schedule that ends in almost pure noise, weights near min-SNR 5, the object's cells counting
more, one caption in ten empty, moving average. Part of every batch is pure noise at the last timestep: that is where a
few-step sampler starts, and there it must rely on the caption alone. Prints the score of held-out prompts as it goes.
"""

import math
import random
import time

import numpy as np
import torch
from diffusers import AutoencoderKL, EulerDiscreteScheduler, UNet2DConditionModel

import text
from common import (
    Clock,
    Crew,
    Ema,
    Muon,
    arguments,
    autocast,
    dataset,
    device,
    load,
    save,
    set_rate,
    sheet,
    to_picture,
    to_unit,
)
from score import score
from words import caption
from world import attributes, sample

BETAS = dict(beta_start=0.00085, beta_end=0.02, beta_schedule="scaled_linear", prediction_type="v_prediction")
GUIDANCE, STEPS = 3.0, 8
FIRST_HELD_OUT = 20_000_000


def build():
    """Plain blocks at 16x16; the caption comes in going down at 8x8 and all around 4x4, where attention is cheap."""
    m = UNet2DConditionModel(
        sample_size=16,
        in_channels=4,
        out_channels=4,
        layers_per_block=1,
        norm_num_groups=8,
        block_out_channels=(48, 80, 128),
        attention_head_dim=(3, 5, 8),
        cross_attention_dim=text.WIDTH,
        down_block_types=("DownBlock2D", "CrossAttnDownBlock2D", "CrossAttnDownBlock2D"),
        up_block_types=("CrossAttnUpBlock2D", "UpBlock2D", "UpBlock2D"),
        use_linear_projection=True,
    )
    for name, p in m.named_parameters():
        if ".conv2." in name or ".proj_out." in name or name.startswith("conv_out"):
            torch.nn.init.zeros_(p)
    return m.to(memory_format=torch.channels_last)


def scheduler():
    """The sampler of the exported pipeline."""
    return EulerDiscreteScheduler(**BETAS, num_train_timesteps=1000, timestep_spacing="trailing", steps_offset=1)


def signal_shares(dev):
    """Squared share of the picture in the noisy latents at each of the 1000 timesteps."""
    ends = BETAS["beta_start"] ** 0.5, BETAS["beta_end"] ** 0.5
    return torch.cumprod(1 - torch.linspace(*ends, 1000, device=dev) ** 2, 0)


def latents(work, vae, pictures, dev):
    """Mean latents of all pictures (N,4,16,16), kept in a file until the autoencoder's encoder changes."""
    print_of = float(sum(p.detach().double().abs().sum() for p in vae.encoder.parameters()))
    path = work / f"latents-{len(pictures)}.pt"
    if path.exists() and abs((kept := torch.load(path))["print"] - print_of) < 1e-6 * print_of:
        return kept["mean"].float()
    with torch.inference_mode():
        mean = torch.cat(
            [vae.encode(to_unit(pictures[i : i + 32], dev)).latent_dist.mean.cpu() for i in range(0, len(pictures), 32)]
        )
    torch.save({"print": print_of, "mean": mean}, path)
    return mean


def object_cells(boxes, scenes, weight=3.0):
    """Loss weights (N,1,16,16): `weight` where a cell touches the object's box, then mean one."""
    edges = np.arange(16) / 16
    x = (edges + 1 / 16 > boxes[:, None, 0]) & (edges < boxes[:, None, 2])
    y = (edges + 1 / 16 > boxes[:, None, 1]) & (edges < boxes[:, None, 3])
    w = (
        1
        + (weight - 1)
        * (x[:, None, :] & y[:, :, None])
        * np.array([s.object is not None for s in scenes])[:, None, None]
    )
    w = w / w.mean((1, 2), keepdims=True)
    return torch.from_numpy(w.astype(np.float32))[:, None]


def noisy(z, abar):
    """Timesteps, noisy latents and v targets; one in sixteen is pure noise at the last timestep."""
    n = len(z)
    t = ((torch.arange(n, device=z.device) + torch.rand(n, device=z.device)) / n * 1000).long().clamp(max=999)
    t = t[torch.randperm(n, device=z.device)]
    pure = torch.rand(n, device=z.device) < 1 / 16
    t[pure] = 999
    a = abar[t][:, None, None, None]
    noise = torch.randn_like(z)
    seen = torch.where(pure[:, None, None, None], torch.zeros_like(z), z)
    return t, a.sqrt() * seen + (1 - a).sqrt() * noise, a.sqrt() * noise - (1 - a).sqrt() * z


def level_weight(abar, t):
    """Weight of the v loss per noise level: even for noise, falling like min-SNR 5 for nearly clean latents."""
    snr = abar[t] / (1 - abar[t])
    return ((snr.clamp(max=5) + 1) / (snr + 1))[:, None, None, None]


def encode_text(encoder, tok, captions, dev):
    ids = tok(captions, padding="max_length", truncation=True, max_length=text.LENGTH, return_tensors="pt").input_ids
    return encoder(ids.to(dev)).last_hidden_state


@torch.no_grad()
def generate(parts, prompts, seed, guidance=GUIDANCE, steps=STEPS, batch=32):
    """Pictures (N,128,128,3) for prompts, by the same rules as the exported pipeline."""
    vae, encoder, unet, tok, dev = parts
    out = []
    for i in range(0, len(prompts), batch):
        some = prompts[i : i + batch]
        hidden = encode_text(encoder, tok, [""] * len(some) + some, dev)
        s = scheduler()
        s.set_timesteps(steps, device=dev)
        x = torch.stack(
            [torch.randn(4, 16, 16, generator=torch.Generator().manual_seed(seed + i + k)) for k in range(len(some))]
        )
        x = x.to(dev) * s.init_noise_sigma
        for t in s.timesteps:
            if guidance == 1:
                v = unet(s.scale_model_input(x, t), t, hidden[len(some) :]).sample
            else:
                without, given = unet(s.scale_model_input(torch.cat([x, x]), t), t, hidden).sample.chunk(2)
                v = without + guidance * (given - without)
            x = s.step(v, t, x).prev_sample
        out.append(to_picture(vae.decode(x / vae.config.scaling_factor).sample))
    return np.concatenate(out)


def held_out_prompts(count):
    """Prompts of combinations never trained on, with what must be readable in the picture."""
    scenes = [sample(FIRST_HELD_OUT + i, held=True) for i in range(count)]
    prompts = [caption(s, FIRST_HELD_OUT + i, full=True) for i, s in enumerate(scenes)]
    expected = [
        {k: v for k, v in attributes(s).items() if k in ("time", "terrain", "object", "colour", "place", "sun") and v}
        for s in scenes
    ]
    return prompts, expected


class Trainer:
    """Everything one training step needs."""

    def __init__(self, a, dev, crew):
        self.a, self.dev, self.crew = a, dev, crew
        pictures, self.scenes, boxes = dataset(a.work, a.scenes)
        self.vae = AutoencoderKL.from_pretrained(a.work / "vae").to(dev).eval()
        self.mean = latents(a.work, self.vae, pictures, dev)
        self.noise = math.exp(0.5 * self.vae.quant_conv.bias[4:].mean().item())
        scale = round(1 / math.sqrt(self.mean.var().item() + self.noise**2), 5)
        self.vae.register_to_config(scaling_factor=scale)
        self.cells = object_cells(boxes, self.scenes)
        self.tok = text.tokenizer(a.work)
        self.encoder, self.unet = text.build(self.tok).to(dev), build().to(dev)
        load(a.work / "text.pt", dev, model=self.encoder)
        self.learnt = [*self.encoder.parameters(), *self.unet.parameters()]
        self.optimiser = Muon(self.unet.parameters(), a.rate, [self.unet.conv_in.weight, self.unet.conv_out.weight])
        self.text_optimiser = Muon(self.encoder.parameters(), a.rate, text.embeddings(self.encoder))
        self.ema = Ema(self.learnt, 0.999)
        self.step = load(a.work / "unet.pt", dev, **self.kept()).get("step", 0)
        self.encoder.requires_grad_(a.text_rate > 0)
        self.abar = signal_shares(dev)

    def kept(self):
        """What a checkpoint holds besides numbers."""
        return dict(
            encoder=self.encoder,
            unet=self.unet,
            optimiser=self.optimiser,
            text_optimiser=self.text_optimiser,
            ema=self.ema,
        )

    def save(self):
        scale = self.vae.config.scaling_factor
        save(self.a.work / "unet.pt", **self.kept(), step=self.step, scale=scale)

    def batch(self):
        """Latents, captions (one in ten empty) and loss weights of random scenes."""
        i = torch.randint(len(self.mean), (self.a.batch,))
        z = (
            self.mean[i] + self.noise * torch.randn(self.a.batch, *self.mean.shape[1:])
        ) * self.vae.config.scaling_factor
        words = ["" if random.random() < 0.1 else caption(self.scenes[k], random.getrandbits(40)) for k in i.tolist()]
        return z.to(self.dev).contiguous(memory_format=torch.channels_last), words, self.cells[i].to(self.dev)

    def loss(self):
        z, words, cells = self.batch()
        t, x, v = noisy(z, self.abar)
        with autocast(self.dev):
            with torch.set_grad_enabled(self.a.text_rate > 0):
                hidden = encode_text(self.encoder, self.tok, words, self.dev)
            guess = self.unet(x, t, hidden).sample
        return ((guess.float() - v).square() * cells * level_weight(self.abar, t)).mean()

    def train(self, rate, last):
        """One step; returns its loss, the rate and whether it was the last, as the crew agreed."""
        loss = self.loss()
        self.optimiser.zero_grad()
        self.text_optimiser.zero_grad()
        loss.backward()
        loss, rate, last = self.crew.average(self.learnt, loss.item(), rate, float(last))
        set_rate(self.optimiser, rate)
        set_rate(self.text_optimiser, rate * self.a.text_rate)
        torch.nn.utils.clip_grad_norm_(self.learnt, 1.0)
        self.optimiser.step()
        self.text_optimiser.step()
        self.ema.update()
        self.step += 1
        return loss, rate, last > 0

    def report(self):
        """Prints the score of held-out prompts under the averaged weights and writes the first pictures as a sheet."""
        prompts, expected = held_out_prompts(self.a.prompts)
        with self.ema:
            made = generate((self.vae, self.encoder, self.unet, self.tok, self.dev), prompts, 1000)
        line = " ".join(f"{k} {v:.2f}" for k, v in score(made, expected).items())
        print(f"{self.step} held-out, guidance {GUIDANCE}, {STEPS} steps, {len(prompts)} prompts: {line}", flush=True)
        sheet(made[:32], 8, self.a.work / "unet.png")


def main():
    a = arguments(__doc__, batch=64, rate=1.5e-3, text_rate=0.1, every=10.0, prompts=48)
    torch.manual_seed(a.seed)
    trainer = Trainer(a, device(), crew := Crew())
    torch.manual_seed(a.seed + int(time.time()) + crew.rank)
    clock, mean, kept, last = Clock(a.minutes, a.rate), None, time.time(), False
    print("parameters", sum(p.numel() for p in trainer.learnt), "from step", trainer.step, flush=True)
    while not last:
        loss, rate, last = trainer.train(clock.next(), clock.over())
        mean = loss if mean is None else 0.98 * mean + 0.02 * loss
        if trainer.step % 50 == 0 and crew.rank == 0:
            speed = clock.steps * a.batch * crew.size / clock.elapsed()
            print(f"{trainer.step} {clock.elapsed():.0f}s loss {mean:.4f} {speed:.0f}/s rate {rate:.1e}", flush=True)
        if crew.rank == 0 and (last or time.time() - kept > 60 * a.every):
            kept = time.time()
            trainer.save()
            trainer.report()


if __name__ == "__main__":
    main()
