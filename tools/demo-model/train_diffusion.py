"""Trains the two UNets: epsilon prediction on the autoencoder's latents, guided by captions."""

import numpy as np
import torch
import torch.nn.functional as F

from components import INPAINT_CHANNELS, LATENT_CHANNELS, TOKENS_MAX, new_text_encoder, new_unet
from components import noise_levels
from training import Rate, Run

BASE_BATCH, INPAINT_BATCH = 64, 32  # Small batches: more steps in the same time.
CAPTION_DROP = 0.1
SNR_MAX = 5.0
ENCODE_BATCH = 128


def train_base(workshop, length, device):
    """The 4-channel UNet together with the text encoder."""
    data = np.load(workshop.path("data.npz"))
    tokens = tokenize(workshop, [str(text) for text in data["captions"]]).to(device)
    nothing = tokenize(workshop, [""]).to(device)
    latents = _cached(workshop, "latents", lambda: encode(workshop, data["pictures"], device))
    mean = latents["mean"].float().to(device) * workshop.scaling_factor()
    unet = new_unet().to(device)
    text_encoder = new_text_encoder(len(workshop.tokenizer())).to(device)
    run = _start(workshop, {"unet": unet, "text_encoder": text_encoder}, length, 1e-3)
    while not run.is_done():
        rows = torch.randint(0, len(mean), (BASE_BATCH,)).to(device)
        words = tokens[rows]
        words[torch.rand(BASE_BATCH) < CAPTION_DROP] = nothing[0]
        noisy = _noised(mean[rows])
        hidden = text_encoder(words).last_hidden_state
        run.step(_loss(unet(noisy.latents, noisy.timesteps, hidden).sample, noisy))
    run.finish()
    for name in ("unet", "text_encoder"):
        workshop.save(name, run.modules[name], steps=run.step_count, loss=run.recent_loss())


def train_inpaint(workshop, length, device):
    """The 9-channel UNet, grown from the 4-channel one; the text encoder stays as it is."""
    data = np.load(workshop.path("inpaint-data.npz"))
    scale = workshop.scaling_factor()
    latents = _cached(workshop, "inpaint-latents", lambda: _inpaint_latents(workshop, data, device))
    mean = latents["mean"].float().to(device) * scale
    masked_mean = latents["masked_mean"].float().to(device) * scale
    masked_deviation = latents["masked_deviation"].float().to(device) * scale
    masks = torch.from_numpy(shrink_masks(data["masks"])).to(device)
    captions, caption_of = np.unique(data["captions"], return_inverse=True)
    hidden = _hidden_states(workshop, [*map(str, captions), ""]).to(device)
    caption_of = torch.from_numpy(caption_of)
    unet = grown_unet(workshop).to(device)
    run = _start(workshop, {"unet_inpaint": unet}, length, 7e-4)
    while not run.is_done():
        rows = torch.randint(0, len(mean), (INPAINT_BATCH,))
        words = caption_of[rows]
        words[torch.rand(INPAINT_BATCH) < CAPTION_DROP] = len(captions)
        rows, words = rows.to(device), words.to(device)
        noisy = _noised(mean[rows])
        masked = masked_mean[rows]
        masked = masked + masked_deviation[rows] * torch.randn(masked.shape).to(device)
        inputs = torch.cat([noisy.latents, masks[rows], masked], 1)
        run.step(_loss(unet(inputs, noisy.timesteps, hidden[words]).sample, noisy))
    run.finish()
    workshop.save("unet_inpaint", unet, steps=run.step_count, loss=run.recent_loss())


def grown_unet(workshop):
    """The base UNet with five more input channels that at first change nothing."""
    base = workshop.unet()
    unet = new_unet(INPAINT_CHANNELS)
    weights = base.state_dict()
    narrow = weights["conv_in.weight"]
    wide = torch.zeros(narrow.shape[0], INPAINT_CHANNELS, *narrow.shape[2:])
    wide[:, :LATENT_CHANNELS] = narrow
    unet.load_state_dict({**weights, "conv_in.weight": wide})
    return unet


def shrink_masks(masks):
    """Masks (n, 64, 64) of bytes to (n, 1, 16, 16) of 0 and 1: the nearest pixel is x[4 i]."""
    return (masks[:, None, ::4, ::4] > 127).astype(np.float32)


def tokenize(workshop, texts):
    """Token ids (n, 77)."""
    encoded = workshop.tokenizer()(
        texts, padding="max_length", max_length=TOKENS_MAX, truncation=True
    )
    return torch.tensor(encoded["input_ids"])


def _hidden_states(workshop, texts):
    with torch.no_grad():
        return workshop.text_encoder()(tokenize(workshop, texts)).last_hidden_state


def to_signed(pictures, device):
    """Bytes (n, h, w, 3) to floats (n, 3, h, w) in -1..1."""
    return torch.from_numpy(pictures).to(device).permute(0, 3, 1, 2).float() / 127.5 - 1


def encode(workshop, pictures, device, masks=None):
    """Posterior mean and deviation of each picture, grey (0) where the mask is set, in fp16."""
    autoencoder = workshop.autoencoder().to(device, memory_format=torch.channels_last)
    means, deviations = [], []
    for start in range(0, len(pictures), ENCODE_BATCH):
        rows = slice(start, start + ENCODE_BATCH)
        signed = to_signed(pictures[rows], device)
        if masks is not None:
            signed = signed * torch.from_numpy(masks[rows] < 128).to(device)[:, None]
        with torch.no_grad():
            mean, log_variance = autoencoder.encode(signed)
        means.append(mean.half().cpu())
        deviations.append(torch.exp(0.5 * log_variance).half().cpu())
    return {"mean": torch.cat(means), "deviation": torch.cat(deviations)}


def _inpaint_latents(workshop, data, device):
    pictures = data["pictures"]
    masked = encode(workshop, pictures, device, data["masks"])
    return {
        "mean": encode(workshop, pictures, device)["mean"],
        "masked_mean": masked["mean"],
        "masked_deviation": masked["deviation"],
    }


def _cached(workshop, name, make):
    path = workshop.path(f"{name}.pt")
    if not path.exists():
        torch.save(make(), path)
    return torch.load(path)


def _start(workshop, modules, length, peak_rate):
    parameters = [p for module in modules.values() for p in module.train().parameters()]
    optimizer = torch.optim.AdamW(parameters, peak_rate, weight_decay=0.01)
    path = workshop.path(f"{next(iter(modules))}.checkpoint")
    return Run(path, modules, optimizer, length, Rate(peak_rate))


class _noised:
    """Latents with as much noise as a random timestep has."""

    def __init__(self, clean):
        alphas = noise_levels()
        timesteps = torch.randint(0, len(alphas), (len(clean),))
        alpha = alphas[timesteps].view(-1, 1, 1, 1).to(clean.device)
        self.timesteps = timesteps.to(clean.device)
        self.noise = torch.randn(clean.shape).to(clean.device)
        self.latents = alpha.sqrt() * clean + (1 - alpha).sqrt() * self.noise
        self.ratio = alpha / (1 - alpha)


def _loss(predicted, noisy):
    """Squared error weighted by min(SNR, 5) / SNR (Hang et al. 2023, arXiv 2303.09556)."""
    weight = noisy.ratio.clamp(max=SNR_MAX) / noisy.ratio
    return (weight * F.mse_loss(predicted, noisy.noise, reduction="none")).mean()
