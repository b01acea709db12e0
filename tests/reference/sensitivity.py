"""Checks that the goldens can tell: one norm's epsilon changed must move its model's output visibly."""

from store import relative

LIMIT = 2e-4  # twice what the engine's tests allow per block


def norms(model):
    return [(n, m) for n, m in model.named_modules() if hasattr(m, "eps") and hasattr(m, "normalized_shape")
            or hasattr(m, "num_groups")]


def moved(module, forward, reference):
    """How far the output goes when this norm's epsilon is the other usual one."""
    kept = module.eps
    module.eps = 1e-6 if kept == 1e-5 else 1e-5
    try:
        return max(relative(y, r) for y, r in zip(forward(), reference))
    finally:
        module.eps = kept


def weakest(model, forward):
    reference = forward()
    found = {n: moved(m, forward, reference) for n, m in norms(model) if n}
    name = min(found, key=found.get)
    return name, found[name], len(found)


def check(name, pipe, tensors):
    """`tensors`: the stage goldens by stage; their inputs are run again."""
    text, unet, vae = tensors["text"], tensors["unet"], tensors["vae"]

    def run_text():
        return [pipe.text_encoder(text["ids"].long()).last_hidden_state]

    def run_unet():
        return [pipe.unet(unet["square.sample"], unet["square.timesteps"], unet["square.context"]).sample]

    def run_vae():
        posterior = pipe.vae.encode(vae["encode.image"]).latent_dist
        return [pipe.vae.decode(vae["decode.latents"]).sample, posterior.mean, posterior.logvar]

    for part, model, run in [("text", pipe.text_encoder, run_text), ("unet", pipe.unet, run_unet),
                             ("vae", pipe.vae, run_vae)]:
        norm, distance, count = weakest(model, run)
        print(f"  {name} {part}: {count} norms, the least sensitive to epsilon is {norm}, {distance:.1e}")
        assert distance > LIMIT, (part, norm, distance)
