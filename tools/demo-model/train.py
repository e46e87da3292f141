"""Trains the demo model step by step: data, vocabulary, autoencoder, base, inpaint.

Each step reads and writes one folder and can be stopped and started again at any time.
"""

import argparse
from pathlib import Path

import numpy as np
import torch

from components import Workshop
from masks import draw_inpainting_sample
from materials import draw_sample
from train_diffusion import train_base, train_inpaint
from training import Length

DEFAULT_MINUTES = {"autoencoder": 120.0, "base": 120.0, "inpaint": 60.0}


def main():
    options = read_options()
    torch.manual_seed(options.seed)
    torch.set_num_threads(options.threads)
    torch.set_flush_denormal(True)  # 15 to 20 % faster on a CPU.
    workshop = Workshop(options.folder)
    if options.step == "data":
        draw_data(workshop, options.count, options.seed)
    elif options.step == "vocabulary":
        from vocabulary import write_vocabulary

        write_vocabulary(workshop.path("tokenizer"))
    else:
        minutes = options.minutes or DEFAULT_MINUTES[options.step]
        length = Length(minutes, options.steps)
        trainer(options.step)(workshop, length, torch.device(options.device))


def trainer(step):
    if step == "autoencoder":
        from train_autoencoder import train_autoencoder

        return train_autoencoder
    return {"base": train_base, "inpaint": train_inpaint}[step]


def draw_data(workshop, count, seed):
    """Draws the pictures of the base model and those of the inpainting UNet."""
    workshop.forget_latents()
    samples = [draw_sample(np.random.default_rng([seed, 0, i])) for i in range(count)]
    write_samples(workshop.path("data.npz"), samples)
    samples = [draw_inpainting_sample(np.random.default_rng([seed, 1, i])) for i in range(count)]
    write_samples(workshop.path("inpaint-data.npz"), samples)


def write_samples(path, samples):
    np.savez(
        path,
        pictures=np.stack([sample.picture for sample in samples]),
        masks=np.stack([sample.mask for sample in samples]),
        captions=np.array([sample.caption for sample in samples]),
    )


def read_options():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument(
        "step", choices=("data", "vocabulary", "autoencoder", "base", "inpaint")
    )
    parser.add_argument("--folder", type=Path, default=Path(".atelier/demo-model"))
    parser.add_argument("--count", type=int, default=24000, help="pictures to draw")
    parser.add_argument("--minutes", type=float, help="wall time to train")
    parser.add_argument("--steps", type=int, help="steps to train, instead of minutes")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--threads", type=int, default=2, help="1 on a busy machine")
    parser.add_argument("--device", default="cuda" if torch.cuda.is_available() else "cpu")
    return parser.parse_args()


if __name__ == "__main__":
    main()
