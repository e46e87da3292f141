"""Random LoRA files in the spellings people have, and the sum of what they add to the weights.

A module's weight becomes W + scale * alpha / rank * up @ down. A 3x3 convolution has its kernel in
`down`; `up` is 1x1.
"""

import json
from dataclasses import dataclass
from pathlib import Path

import torch
from safetensors.torch import save_file

from models import Components

RANK = 2
KERNEL_RANK = 1


@dataclass(frozen=True)
class Pair:
    """Both halves for one module; `part` is the component's folder."""

    part: str
    module: str
    down: torch.Tensor
    up: torch.Tensor


@dataclass(frozen=True)
class LoraSpec:
    """Which modules a file changes, how it spells their names, and the alpha that it states."""

    file: str
    seed: int
    model: str
    spelling: str
    alpha: float | None
    targets: tuple[tuple[str, str], ...]


ATTENTION = ("attn1.to_q", "attn1.to_v", "attn2.to_k", "attn2.to_out.0")
TEXT = ("self_attn.q_proj", "self_attn.v_proj", "mlp.fc1", "mlp.fc2")
LORAS = [
    LoraSpec(
        "kohya-text.safetensors",
        201,
        "tiny-sd",
        "kohya",
        1.0,
        tuple(("unet", name) for name in ATTENTION)
        + tuple(("text_encoder", name) for name in TEXT),
    ),
    LoraSpec(
        "kohya-conv.safetensors",
        202,
        "tiny-sd",
        "kohya",
        2.0,
        (("unet", "conv1"), ("unet", "downsamplers.0.conv"), ("unet", "upsamplers.0.conv"))
        + (("unet", "proj_in"), ("unet", "time_emb_proj")),
    ),
    LoraSpec(
        "diffusers-processors.safetensors",
        203,
        "tiny-sd",
        "processors",
        None,
        tuple(("unet", name) for name in ATTENTION),
    ),
    LoraSpec(
        "diffusers-layers.safetensors",
        204,
        "tiny-sd",
        "layers",
        None,
        (("unet", "attn2.to_q"), ("unet", "ff.net.0.proj"), ("unet", "ff.net.2"))
        + (("text_encoder", "self_attn.k_proj"), ("text_encoder", "self_attn.out_proj")),
    ),
    LoraSpec(
        "kohya-sdxl.safetensors",
        205,
        "tiny-sdxl",
        "kohya-sdxl",
        1.0,
        (("unet", "attn1.to_q"), ("unet", "attn2.to_out.0"), ("unet", "proj_out"))
        + (("text_encoder", "self_attn.q_proj"), ("text_encoder_2", "self_attn.v_proj")),
    ),
    LoraSpec(
        "kohya-opset23.safetensors",
        206,
        "tiny-sd-opset23",
        "kohya",
        1.0,
        tuple(("unet", name) for name in ("attn1.to_q", "attn2.to_k", "ff.net.0.proj", "conv1"))
        + (("text_encoder", "self_attn.q_proj"), ("text_encoder", "mlp.fc1")),
    ),
]


def make_pairs(spec: LoraSpec, components: Components) -> list[Pair]:
    """Random halves for every module whose path ends in one of the spec's names."""
    generator = torch.Generator().manual_seed(spec.seed)
    pairs = []
    for part, ending in spec.targets:
        for path, module in component(components, part).named_modules():
            if path == ending or path.endswith(f".{ending}"):
                pairs.append(make_pair(part, path, module.weight, generator))
    return pairs


def component(components: Components, part: str) -> torch.nn.Module:
    return components.unet if part == "unet" else components.text_encoders[part]


def make_pair(part: str, path: str, weight: torch.Tensor, generator: torch.Generator) -> Pair:
    outputs, inputs, *kernel = weight.shape
    rank = KERNEL_RANK if kernel else RANK
    down = torch.randn((rank, inputs, *kernel), generator=generator) * 0.2
    up = torch.randn((outputs, rank, *(1 for _ in kernel)), generator=generator) * 0.2
    return Pair(part, path, down, up)


def write_lora(spec: LoraSpec, pairs: list[Pair], folder: Path) -> dict:
    """Writes the file; returns what a case says about it beside its scale."""
    tensors = {}
    for pair in pairs:
        down, up = SPELLINGS[spec.spelling](pair)
        tensors |= {down: pair.down, up: pair.up}
        if spec.alpha is not None:
            tensors[down.replace("lora_down.weight", "alpha")] = torch.tensor(spec.alpha)
    folder.mkdir(parents=True, exist_ok=True)
    metadata = {"note": json.dumps({"rank": RANK})}
    save_file(tensors, folder / spec.file, metadata=metadata)
    return {
        "file": spec.file,
        "format": spec.spelling,
        "rank": RANK,
        "alpha": spec.alpha if spec.alpha is not None else RANK,
        "modules": len(pairs),
    }


def kohya_keys(pair: Pair) -> tuple[str, str]:
    prefixes = {"unet": "lora_unet", "text_encoder": "lora_te"}
    return kohya_names(prefixes[pair.part], pair.module if pair.part == "unet" else text_path(pair))


def kohya_sdxl_keys(pair: Pair) -> tuple[str, str]:
    """For SDXL the trainer names two text encoders, and the UNet as Stability's code does."""
    prefixes = {"unet": "lora_unet", "text_encoder": "lora_te1", "text_encoder_2": "lora_te2"}
    path = stability_path(pair.module) if pair.part == "unet" else text_path(pair)
    return kohya_names(prefixes[pair.part], path)


def kohya_names(prefix: str, path: str) -> tuple[str, str]:
    name = f"{prefix}_{path.replace('.', '_')}"
    return f"{name}.lora_down.weight", f"{name}.lora_up.weight"


def stability_path(module: str, layers: int = 1) -> str:
    """The blocks in one row: after conv_in each level has its layers and a down-sampler."""
    side, block, _, index, *rest = module.replace("mid_block", "mid_block.0").split(".")
    number = int(block) * (layers + 1) + int(index)
    heads = {
        "down_blocks": f"input_blocks.{number + 1}.1",
        "mid_block": "middle_block.1",
        "up_blocks": f"output_blocks.{number}.1",
    }
    return ".".join([heads[side], *rest])


def processor_keys(pair: Pair) -> tuple[str, str]:
    """diffusers up to 0.20: the attention processor holds the halves of its four projections."""
    attention, projection = pair.module.removesuffix(".0").rsplit(".", 1)
    name = f"unet.{attention}.processor.{projection}_lora"
    return f"{name}.down.weight", f"{name}.up.weight"


def layer_keys(pair: Pair) -> tuple[str, str]:
    """diffusers 0.20 to 0.22: a LoRA layer inside of every changed module."""
    if pair.part == "unet":
        return f"unet.{pair.module}.lora.down.weight", f"unet.{pair.module}.lora.up.weight"
    name = f"text_encoder.{text_path(pair)}.lora_linear_layer"
    return f"{name}.down.weight", f"{name}.up.weight"


def text_path(pair: Pair) -> str:
    """The files still have the outer name that transformers 5 dropped."""
    module = pair.module
    return module if module.startswith("text_model.") else f"text_model.{module}"


SPELLINGS = {
    "kohya": kohya_keys,
    "kohya-sdxl": kohya_sdxl_keys,
    "processors": processor_keys,
    "layers": layer_keys,
}


def merge(spec: LoraSpec, pairs: list[Pair], components: Components, scale: float) -> None:
    """Adds the LoRA to the weights in place."""
    for pair in pairs:
        factor = scale * (1.0 if spec.alpha is None else spec.alpha / len(pair.down))
        module = component(components, pair.part).get_submodule(pair.module)
        delta = pair.up.flatten(1) @ pair.down.flatten(1)
        with torch.no_grad():
            module.weight += factor * delta.reshape(module.weight.shape)
