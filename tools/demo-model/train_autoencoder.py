"""Trains the autoencoder: absolute error, error of the gradients, a light KL and late GAN term."""

import math

import numpy as np
import torch
import torch.nn.functional as F

from autoencoder import Autoencoder, discriminator
from train_diffusion import to_signed
from training import Rate, Run

BATCH = 16
GRADIENT_WEIGHT, KL_WEIGHT, GAN_WEIGHT = 0.5, 1e-3, 0.01
JUDGE_FROM, GAN_FROM = 0.7, 0.75  # The judge learns a little before anyone listens to it.
HELD_OUT = 64


def train_autoencoder(workshop, length, device):
    """Trains on all pictures but the last 64, and reports the PSNR on those."""
    pictures = np.load(workshop.path("data.npz"))["pictures"]
    autoencoder, judge = Autoencoder().to(device), Judge(device)
    optimizer = torch.optim.AdamW(autoencoder.parameters(), 1.5e-3, betas=(0.9, 0.99))
    run = Run(
        workshop.path("autoencoder.checkpoint"),
        {"autoencoder": autoencoder},
        optimizer,
        length,
        Rate(1.5e-3, warmup_steps=100, last_share=0.02),
        beside={"judge": judge.network, "judge_optimizer": judge.optimizer},
    )
    while not run.is_done():
        rows = torch.randint(0, len(pictures) - HELD_OUT, (BATCH,)).numpy()
        real = to_signed(pictures[rows], device)
        mean, log_variance = autoencoder.encode(real)
        drawn = autoencoder.decode(mean + torch.exp(0.5 * log_variance) * torch.randn_like(mean))
        loss = reconstruction_loss(drawn, real) + KL_WEIGHT * divergence(mean, log_variance)
        if run.fraction() > GAN_FROM:
            loss = loss - GAN_WEIGHT * judge.network(drawn).mean()
        run.step(loss)
        if run.fraction() > JUDGE_FROM:
            judge.learn(real, drawn.detach())
    run.finish()
    report_and_save(workshop, autoencoder, pictures, run.step_count)


class Judge:
    """The discriminator with its optimiser; hinge loss."""

    def __init__(self, device):
        self.network = discriminator().to(device)
        self.optimizer = torch.optim.AdamW(self.network.parameters(), 5e-4, betas=(0.5, 0.9))

    def learn(self, real, drawn):
        loss = F.relu(1 - self.network(real)).mean() + F.relu(1 + self.network(drawn)).mean()
        self.optimizer.zero_grad()
        loss.backward()
        self.optimizer.step()


def reconstruction_loss(drawn, real):
    """Absolute error of the pixels and of the differences between neighbours."""
    across = F.l1_loss(drawn.diff(dim=3), real.diff(dim=3))
    down = F.l1_loss(drawn.diff(dim=2), real.diff(dim=2))
    return F.l1_loss(drawn, real) + GRADIENT_WEIGHT * (across + down)


def divergence(mean, log_variance):
    """KL divergence from the normal distribution, per latent value."""
    return 0.5 * (mean**2 + log_variance.exp() - 1 - log_variance).mean()


@torch.no_grad()
def report_and_save(workshop, autoencoder, pictures, steps):
    """Saves the weights with the factor that makes the latents' deviation one."""
    device = next(autoencoder.parameters()).device
    held_out = to_signed(pictures[-HELD_OUT:], device)
    mean, _ = autoencoder.encode(held_out)
    psnr = 10 * math.log10(4 / F.mse_loss(autoencoder.decode(mean), held_out).item())
    sample, _ = autoencoder.encode(to_signed(pictures[:1024], device))
    factor = 1 / sample.std().item()
    workshop.forget_latents()
    workshop.save("autoencoder", autoencoder, scaling_factor=factor, psnr=psnr, steps=steps)
    print(f"steps {steps} PSNR {psnr:.2f} dB scaling factor {factor:.4f}")
