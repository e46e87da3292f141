"""Writes the trained demo model as ONNX in optimum's layout and checks each graph against torch."""

import argparse
import json
import shutil
from pathlib import Path
from typing import NamedTuple

import numpy as np
import onnx
import onnxruntime
import torch
from diffusers import PNDMScheduler
from torch import nn

from components import INPAINT_CHANNELS, LATENT_CHANNELS, NOISE, TOKENS_MAX, WIDTH, Workshop
from byte_storage import store_as_bytes

OPSET = 18
BATCH = {0: "batch_size"}
TOKENS = {0: "batch_size", 1: "sequence_length"}
PLANE = {0: "batch_size", 2: "height", 3: "width"}
LATENT_PLANE = {0: "batch_size", 2: "latent_height", 3: "latent_width"}
UNET_AXES = {"sample": PLANE, "encoder_hidden_states": TOKENS, "out_sample": PLANE}


class Component(NamedTuple):
    """One graph of the pack: what it computes, and two examples of its inputs."""

    module: nn.Module
    traced: dict  # example inputs of the trace
    other: dict  # inputs of other sizes, for the comparison with torch
    outputs: list
    axes: dict
    config: dict


class TextEncoder(nn.Module):
    """Names its layers text_model.encoder…, as LoRA files do."""

    def __init__(self, text_model):
        super().__init__()
        text_model.config._attn_implementation = "eager"
        self.text_model = text_model

    def forward(self, input_ids):
        encoded = self.text_model(input_ids=input_ids, return_dict=True)
        return encoded.last_hidden_state, encoded.pooler_output


class Unet(nn.Module):
    """Takes the UNet's layers under their own names, without a prefix."""

    def __init__(self, unet):
        super().__init__()
        self.inner = [unet]
        for name, child in unet.named_children():
            self.add_module(name, child)

    def forward(self, sample, timestep, encoder_hidden_states):
        return self.inner[0](sample, timestep, encoder_hidden_states, return_dict=False)[0]


class Encoder(nn.Module):
    """Mean and log-variance side by side."""

    def __init__(self, autoencoder):
        super().__init__()
        self.encoder = autoencoder.encoder

    def forward(self, sample):
        mean, log_variance = self.encoder(sample).chunk(2, 1)
        return torch.cat([mean, log_variance.clamp(-30, 20)], 1)


class Decoder(nn.Module):
    def __init__(self, autoencoder):
        super().__init__()
        self.decoder = autoencoder.decoder

    def forward(self, latent_sample):
        return self.decoder(latent_sample)


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--folder", type=Path, default=Path(".atelier/demo-model"))
    parser.add_argument("--pack", type=Path, default=Path("models/demo"))
    parser.add_argument("--only", help="write this component alone")
    options = parser.parse_args()
    workshop = Workshop(options.folder)
    for name, component in components(workshop).items():
        if options.only in (None, name):
            write_component(options.pack / name, component)
    if options.only is None:
        write_settings(workshop, options.pack)


def components(workshop):
    """The graphs of the pack by the names of their folders."""
    autoencoder = workshop.autoencoder()
    shape = autoencoder_config(workshop)
    return {
        "text_encoder": text_component(workshop.text_encoder()),
        "unet": unet_component(workshop.unet(), LATENT_CHANNELS),
        "unet_inpaint": unet_component(workshop.unet_inpaint(), INPAINT_CHANNELS),
        "vae_encoder": Component(
            Encoder(autoencoder),
            {"sample": torch.randn(2, 3, 64, 64)},
            {"sample": torch.rand(1, 3, 64, 96) * 2 - 1},
            ["latent_parameters"],
            {"sample": PLANE, "latent_parameters": LATENT_PLANE},
            shape,
        ),
        "vae_decoder": Component(
            Decoder(autoencoder),
            {"latent_sample": torch.randn(2, LATENT_CHANNELS, 16, 16)},
            {"latent_sample": torch.randn(1, LATENT_CHANNELS, 16, 24)},
            ["sample"],
            {"latent_sample": LATENT_PLANE, "sample": PLANE},
            shape,
        ),
    }


def text_component(text_encoder):
    ids = torch.randint(0, text_encoder.config.vocab_size, (2, TOKENS_MAX))
    return Component(
        TextEncoder(text_encoder),
        {"input_ids": ids},
        {"input_ids": ids[:1]},
        ["last_hidden_state", "pooler_output"],
        {"input_ids": TOKENS, "last_hidden_state": TOKENS, "pooler_output": BATCH},
        json.loads(text_encoder.config.to_json_string()),
    )


def unet_component(unet, channels):
    def inputs(batch, width, timestep):
        return {
            "sample": torch.randn(batch, channels, 16, width),
            "timestep": torch.tensor(timestep),
            "encoder_hidden_states": torch.randn(batch, TOKENS_MAX, WIDTH),
        }

    config = json.loads(unet.to_json_string())
    outputs = ["out_sample"]
    return Component(
        Unet(unet), inputs(2, 16, 10.0), inputs(1, 24, 437.0), outputs, UNET_AXES, config
    )


def autoencoder_config(workshop):
    """AutoencoderKL's settings; three block widths only say that the factor is 2 ** (3 - 1) = 4."""
    return {
        "_class_name": "AutoencoderKL",
        "in_channels": 3,
        "out_channels": 3,
        "latent_channels": LATENT_CHANNELS,
        "block_out_channels": [64, 64, 96],
        "sample_size": 64,
        "scaling_factor": round(workshop.scaling_factor(), 6),
        "force_upcast": False,
    }


def write_component(folder, component):
    """Writes model.onnx and config.json, and prints the largest difference from torch."""
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / "model.onnx"
    write_graph(path, component)
    config = json.dumps(component.config, indent=2) + "\n"
    (folder / "config.json").write_text(config)
    feeds = {name: value.numpy() for name, value in component.other.items()}
    session = onnxruntime.InferenceSession(path, providers=["CPUExecutionProvider"])
    with torch.no_grad():
        wanted = component.module(*component.other.values())
    wanted = wanted if isinstance(wanted, tuple) else (wanted,)
    for name, got, want in zip(component.outputs, session.run(None, feeds), wanted):
        difference = np.abs(got - want.numpy()).max()
        print(f"{folder.name} {name} {got.shape} differs by {difference:.1e}")


def write_graph(path, component):
    with torch.no_grad():
        torch.onnx.export(
            component.module,
            tuple(component.traced.values()),
            path,
            input_names=list(component.traced),
            output_names=component.outputs,
            dynamic_axes=component.axes,
            opset_version=OPSET,
            do_constant_folding=True,
            dynamo=False,  # The tracing exporter names nodes after module paths; LoRA needs them.
        )
    model = store_as_bytes(onnx.load(path))
    for node in model.graph.node:
        node.doc_string = ""
    del model.graph.value_info[:]
    model.producer_version = ""
    onnx.checker.check_model(model, full_check=True)
    onnx.save(model, path)


def write_settings(workshop, pack):
    """Writes the scheduler's settings, the tokenizer, and the index of the pipeline."""
    scheduler = PNDMScheduler(
        **NOISE,
        skip_prk_steps=True,
        set_alpha_to_one=False,
        steps_offset=1,
        num_train_timesteps=1000,
    )
    scheduler.save_config(pack / "scheduler")
    shutil.copytree(workshop.path("tokenizer"), pack / "tokenizer", dirs_exist_ok=True)
    index = {
        "_class_name": "StableDiffusionPipeline",
        "_diffusers_version": "0.42.1",
        "scheduler": ["diffusers", "PNDMScheduler"],
        "text_encoder": ["transformers", "CLIPTextModel"],
        "tokenizer": ["transformers", "CLIPTokenizer"],
        "unet": ["diffusers", "UNet2DConditionModel"],
        "vae": ["diffusers", "AutoencoderKL"],
        "feature_extractor": [None, None],
        "safety_checker": [None, None],
        "requires_safety_checker": False,
    }
    (pack / "model_index.json").write_text(json.dumps(index, indent=2))


if __name__ == "__main__":
    main()
