"""Finds the linear map of latents to colours that the pack's manifest carries for previews."""

import argparse
import json
from pathlib import Path

import numpy as np
import torch

from components import Workshop
from train_diffusion import encode, to_signed

PICTURES = 512


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--folder", type=Path, default=Path(".atelier/demo-model"))
    workshop = Workshop(parser.parse_args().folder)
    pictures = np.load(workshop.path("inpaint-data.npz"))["pictures"][:PICTURES]
    latents = encode(workshop, pictures, torch.device("cpu"))["mean"].float()
    factors, bias, share = fit(latents * workshop.scaling_factor(), to_signed(pictures, "cpu"))
    print(f"explains {share:.1%} of the variance of the colours")
    print(json.dumps({"preview": {"rgbFactors": factors, "rgbBias": bias}}))


def fit(latents, pictures):
    """Least squares from latents (n, 4, 16, 16) to mean colours (n, 3, 16, 16) in -1..1."""
    colours = torch.nn.functional.avg_pool2d(pictures, 4).permute(0, 2, 3, 1).reshape(-1, 3)
    values = latents.permute(0, 2, 3, 1).reshape(len(colours), -1)
    values = torch.cat([values, torch.ones(len(values), 1)], 1).double()
    solution = torch.linalg.lstsq(values, colours.double()).solution
    error = (values @ solution - colours).var(0).sum() / colours.double().var(0).sum()
    rows = [[round(value, 4) for value in row] for row in solution.tolist()]
    return rows[:-1], rows[-1], 1 - error.item()


if __name__ == "__main__":
    main()
