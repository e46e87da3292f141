"""Makes random weights in the shape of Stable Diffusion 1.5, for `npm run bench:inference`.

    python tools/bench-model/make.py FOLDER
    npm run model -- add FOLDER --name bench-sd15 --licence Apache-2.0

Needs torch 2.13, diffusers 0.42, transformers 5, onnx and onnxscript; about 9 GiB of memory for a
minute or two, and 4.3 GB of disk. The pictures are noise, the work is that of a real model:
860 M parameters in the UNet, 123 M in the text encoder, 84 M in the autoencoder. Layout and port
names are those of optimum's exporter, weights in one external file for each graph.
"""

import gc
import json
import pathlib
import shutil
import sys

import torch
from diffusers import AutoencoderKL, UNet2DConditionModel
from transformers import CLIPTextConfig, CLIPTextModel

OPSET = 18
DEMO = pathlib.Path(__file__).resolve().parents[2] / "models" / "demo"


class TextEncoder(torch.nn.Module):
    def __init__(self):
        super().__init__()
        config = CLIPTextConfig(
            hidden_size=768, intermediate_size=3072, num_hidden_layers=12, num_attention_heads=12,
            vocab_size=49408, max_position_embeddings=77, projection_dim=768,
        )
        # The eager attention exports to plain operators, as optimum's graphs have them.
        config._attn_implementation = "eager"
        self.model = CLIPTextModel(config)

    def forward(self, input_ids):
        output = self.model(input_ids=input_ids.long())
        return output.last_hidden_state, output.pooler_output


class UNet(torch.nn.Module):
    def __init__(self):
        super().__init__()
        # The class's own defaults are Stable Diffusion 1.5's, but for these two.
        self.model = UNet2DConditionModel(sample_size=64, cross_attention_dim=768)

    def forward(self, sample, timestep, encoder_hidden_states):
        return self.model(sample, timestep, encoder_hidden_states, return_dict=False)[0]


class Decoder(torch.nn.Module):
    def __init__(self, autoencoder):
        super().__init__()
        self.model = autoencoder

    def forward(self, latent_sample):
        return self.model.decoder(self.model.post_quant_conv(latent_sample))


class Encoder(torch.nn.Module):
    def __init__(self, autoencoder):
        super().__init__()
        self.model = autoencoder

    def forward(self, sample):
        return self.model.quant_conv(self.model.encoder(sample))


def export(folder, module, inputs, outputs):
    """inputs: name → (example, {axis: dimension name}); the exporter stores weights beside the graph."""
    folder.mkdir(parents=True, exist_ok=True)
    examples = tuple(example for example, _ in inputs.values())
    shapes = tuple(
        {axis: torch.export.Dim.DYNAMIC for axis in axes} or None for _, axes in inputs.values()
    )
    with torch.no_grad():
        program = torch.onnx.export(
            module.eval(), examples, input_names=list(inputs), output_names=outputs,
            dynamic_shapes=shapes, opset_version=OPSET, dynamo=True, verbose=False,
        )
    program.save(folder / "model.onnx", external_data=True)
    print(folder.name, *(f"{f.name} {f.stat().st_size / 1e6:.1f} MB" for f in sorted(folder.iterdir())))


def write_json(file, value):
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(json.dumps(value, indent=2) + "\n")


def save_settings(root):
    part = lambda library, name: [library, name]
    write_json(root / "model_index.json", {
        "_class_name": "StableDiffusionPipeline",
        "scheduler": part("diffusers", "PNDMScheduler"),
        "text_encoder": part("transformers", "CLIPTextModel"),
        "tokenizer": part("transformers", "CLIPTokenizer"),
        "unet": part("diffusers", "UNet2DConditionModel"),
        "vae": part("diffusers", "AutoencoderKL"),
    })
    write_json(root / "scheduler" / "scheduler_config.json", {
        "_class_name": "PNDMScheduler", "beta_start": 0.00085, "beta_end": 0.012,
        "beta_schedule": "scaled_linear", "num_train_timesteps": 1000, "steps_offset": 1,
        "set_alpha_to_one": False, "skip_prk_steps": True, "clip_sample": False,
    })
    # Token ids below 841 are valid in a vocabulary of 49,408, so the demo's tokenizer will do.
    shutil.copytree(DEMO / "tokenizer", root / "tokenizer", dirs_exist_ok=True)


def main(root):
    torch.manual_seed(0)
    save_settings(root)
    batch = {0: "batch"}
    plane = {0: "batch", 2: "height", 3: "width"}
    export(
        root / "text_encoder", TextEncoder(),
        {"input_ids": (torch.ones(2, 77, dtype=torch.int64), batch)},
        ["last_hidden_state", "pooler_output"],
    )
    autoencoder = AutoencoderKL(
        down_block_types=["DownEncoderBlock2D"] * 4, up_block_types=["UpDecoderBlock2D"] * 4,
        block_out_channels=[128, 256, 512, 512], layers_per_block=2, sample_size=512,
    )
    for name, module, port, example, output in (
        ("vae_decoder", Decoder(autoencoder), "latent_sample", torch.randn(2, 4, 32, 40), "sample"),
        ("vae_encoder", Encoder(autoencoder), "sample", torch.randn(2, 3, 64, 128), "latent_parameters"),
    ):
        export(root / name, module, {port: (example, plane)}, [output])
        write_json(root / name / "config.json", {
            "_class_name": "AutoencoderKL", "block_out_channels": [128, 256, 512, 512],
            "latent_channels": 4, "scaling_factor": 0.18215, "force_upcast": False,
        })
    del autoencoder, module
    gc.collect()
    export(
        root / "unet", UNet(),
        {
            "sample": (torch.randn(2, 4, 64, 48), plane),
            "timestep": (torch.tensor(500.0), {}),
            "encoder_hidden_states": (torch.randn(2, 77, 768), {0: "batch", 1: "tokens"}),
        },
        ["out_sample"],
    )


if __name__ == "__main__":
    if len(sys.argv) != 2:
        sys.exit(__doc__)
    main(pathlib.Path(sys.argv[1]))
