"""A small, fast autoencoder with the interface of a Stable Diffusion one: factor 4, 4 channels.

It folds pixels into channels first, so that no layer runs at full resolution.
"""

import torch
import torch.nn.functional as F
from torch import nn

GROUPS = 16


class Residual(nn.Module):
    """Two convolutions whose sum with the input starts as the input itself."""

    def __init__(self, channels):
        super().__init__()
        self.n1 = nn.GroupNorm(GROUPS, channels)
        self.c1 = nn.Conv2d(channels, channels, 3, 1, 1)
        self.n2 = nn.GroupNorm(GROUPS, channels)
        self.c2 = nn.Conv2d(channels, channels, 3, 1, 1)
        nn.init.zeros_(self.c2.weight)
        nn.init.zeros_(self.c2.bias)

    def forward(self, x):
        return x + self.c2(F.silu(self.n2(self.c1(F.silu(self.n1(x))))))


class Autoencoder(nn.Module):
    """Pictures (n, 3, h, w) in -1..1 to latents (n, 4, h/4, w/4) and back."""

    def __init__(self, outer=64, inner=96):
        super().__init__()
        self.encoder = nn.Sequential(
            nn.PixelUnshuffle(2),
            nn.Conv2d(12, outer, 3, 1, 1),
            Residual(outer),
            Residual(outer),
            nn.Conv2d(outer, inner, 3, 2, 1),
            Residual(inner),
            Residual(inner),
            nn.GroupNorm(GROUPS, inner),
            nn.SiLU(),
            nn.Conv2d(inner, 8, 3, 1, 1),
        )
        self.decoder = nn.Sequential(
            nn.Conv2d(4, inner, 3, 1, 1),
            Residual(inner),
            Residual(inner),
            Residual(inner),
            nn.Upsample(scale_factor=2, mode="nearest"),
            nn.Conv2d(inner, outer, 3, 1, 1),
            Residual(outer),
            Residual(outer),
            Residual(outer),
            nn.GroupNorm(GROUPS, outer),
            nn.SiLU(),
            nn.Conv2d(outer, 12, 3, 1, 1),
            nn.PixelShuffle(2),
        )

    def encode(self, pictures):
        """Mean and log-variance of the posterior."""
        mean, log_variance = self.encoder(pictures).chunk(2, 1)
        return mean, log_variance.clamp(-30, 20)

    def decode(self, latents):
        """Pictures, about -1..1."""
        return self.decoder(latents)


def discriminator():
    """Judges patches of pictures; used in the last quarter of the autoencoder's training."""
    return nn.Sequential(
        nn.Conv2d(3, 32, 4, 2, 1),
        nn.LeakyReLU(0.2),
        nn.Conv2d(32, 64, 4, 2, 1),
        nn.GroupNorm(8, 64),
        nn.LeakyReLU(0.2),
        nn.Conv2d(64, 1, 3, 1, 1),
    )
