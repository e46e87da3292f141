"""The tiny models: settings, seeded random weights, and the given models read back from ONNX."""

import json
import shutil
from dataclasses import dataclass, field
from pathlib import Path

import torch
from diffusers import AutoencoderKL, AutoencoderTiny, UNet2DConditionModel
from transformers import (
    CLIPTextConfig,
    CLIPTextModel,
    CLIPTextModelWithProjection,
    CLIPTokenizer,
)

from weights import load_weights

GIVEN = Path(__file__).resolve().parents[2] / "test/goldens/data/models"
VOCABULARY = 841
LINEAR_SCHEDULE = {
    "beta_end": 0.012,
    "beta_schedule": "scaled_linear",
    "beta_start": 0.00085,
    "num_train_timesteps": 1000,
    "trained_betas": None,
}
PNDM = LINEAR_SCHEDULE | {
    "_class_name": "PNDMScheduler",
    "set_alpha_to_one": False,
    "skip_prk_steps": True,
    "steps_offset": 1,
    "clip_sample": False,
}
# Stable Diffusion 2.1's own settings (768-v).
DDIM_V = LINEAR_SCHEDULE | {
    "_class_name": "DDIMScheduler",
    "_diffusers_version": "0.8.0",
    "clip_sample": False,
    "prediction_type": "v_prediction",
    "set_alpha_to_one": False,
    "skip_prk_steps": True,
    "steps_offset": 1,
}
# LCM Dreamshaper's.
LCM = LINEAR_SCHEDULE | {
    "_class_name": "LCMScheduler",
    "_diffusers_version": "0.22.0.dev0",
    "clip_sample": False,
    "clip_sample_range": 1.0,
    "dynamic_thresholding_ratio": 0.995,
    "original_inference_steps": 50,
    "prediction_type": "epsilon",
    "rescale_betas_zero_snr": False,
    "sample_max_value": 1.0,
    "set_alpha_to_one": True,
    "steps_offset": 1,
    "thresholding": False,
    "timestep_scaling": 10.0,
    "timestep_spacing": "leading",
}
# The Turbo models': one step from the very end of the noise.
EULER_A_TRAILING = LINEAR_SCHEDULE | {
    "_class_name": "EulerAncestralDiscreteScheduler",
    "_diffusers_version": "0.24.0.dev0",
    "clip_sample": False,
    "interpolation_type": "linear",
    "prediction_type": "epsilon",
    "sample_max_value": 1.0,
    "set_alpha_to_one": False,
    "skip_prk_steps": True,
    "steps_offset": 1,
    "timestep_spacing": "trailing",
    "use_karras_sigmas": False,
}

TEXT = {
    "vocab_size": VOCABULARY,
    "hidden_size": 8,
    "intermediate_size": 16,
    "num_hidden_layers": 1,
    "num_attention_heads": 2,
    "max_position_embeddings": 77,
    "projection_dim": 8,
    "bos_token_id": VOCABULARY - 2,
    "eos_token_id": VOCABULARY - 1,
    "pad_token_id": VOCABULARY - 1,
    "hidden_act": "quick_gelu",
}
OPEN_CLIP = {"hidden_act": "gelu", "projection_dim": 16}
# Small files: attention in the middle block only, 2 pixels per latent.
UNET = {
    "sample_size": 8,
    "block_out_channels": (8,),
    "down_block_types": ("DownBlock2D",),
    "up_block_types": ("UpBlock2D",),
    "layers_per_block": 1,
    "norm_num_groups": 4,
    "cross_attention_dim": 8,
    "attention_head_dim": 2,
}
OPEN_CLIP_UNET = {"use_linear_projection": True, "attention_head_dim": [2]}
ATTENTION_UNET = {
    "down_block_types": ("CrossAttnDownBlock2D",),
    "up_block_types": ("CrossAttnUpBlock2D",),
}
VAE = {
    "block_out_channels": (4, 4),
    "down_block_types": ("DownEncoderBlock2D",) * 2,
    "up_block_types": ("UpDecoderBlock2D",) * 2,
    "layers_per_block": 1,
    "norm_num_groups": 2,
    "latent_channels": 4,
    "sample_size": 16,
    "scaling_factor": 0.18215,
    "mid_block_add_attention": False,
}
# Readers of the legacy layout take 8 pixels per latent for granted.
LEGACY_VAE = VAE | {
    "block_out_channels": (4, 4, 4, 4),
    "down_block_types": ("DownEncoderBlock2D",) * 4,
    "up_block_types": ("UpDecoderBlock2D",) * 4,
    "sample_size": 64,
}
PREVIEW = {
    "encoder_block_out_channels": (4, 4),
    "decoder_block_out_channels": (4, 4),
    "num_encoder_blocks": (1, 1),
    "num_decoder_blocks": (1, 1),
    "latent_channels": 4,
}


@dataclass(frozen=True)
class ModelSpec:
    """Everything that decides the files of one model folder."""

    name: str
    seed: int
    scheduler: dict
    pipeline_class: str = "StableDiffusionPipeline"
    text: dict = field(default_factory=lambda: TEXT)
    unet: dict = field(default_factory=lambda: UNET)
    vae: dict = field(default_factory=lambda: VAE)
    tokenizer: str = "tokenizer"
    opset: int = 18
    half: bool = False
    external: bool = False
    legacy: bool = False
    preview: bool = False


MODELS = [
    ModelSpec(
        "tiny-sd2",
        102,
        DDIM_V,
        text=TEXT | OPEN_CLIP | {"num_hidden_layers": 2},
        unet=UNET | OPEN_CLIP_UNET,
        tokenizer="tokenizer_2",
        preview=True,
    ),
    ModelSpec(
        "tiny-lcm",
        103,
        LCM,
        "LatentConsistencyModelPipeline",
        unet=UNET | {"time_cond_proj_dim": 16},
    ),
    ModelSpec(
        "tiny-turbo",
        104,
        EULER_A_TRAILING,
        text=TEXT | OPEN_CLIP,
        unet=UNET | OPEN_CLIP_UNET,
        tokenizer="tokenizer_2",
        external=True,
    ),
    ModelSpec(
        "tiny-sd-legacy",
        105,
        PNDM,
        "OnnxStableDiffusionPipeline",
        vae=LEGACY_VAE,
        opset=14,
        legacy=True,
    ),
    ModelSpec("tiny-sd-fp16", 106, PNDM, half=True),
    ModelSpec("tiny-sd-opset23", 108, PNDM, unet=UNET | ATTENTION_UNET, opset=23),
]


@dataclass
class Components:
    """The torch modules of one model, by the folder names of the layout."""

    pipeline_class: str
    scheduler: dict
    tokenizers: dict[str, CLIPTokenizer]
    text_encoders: dict[str, torch.nn.Module]
    unet: UNet2DConditionModel
    vae: AutoencoderKL
    preview: AutoencoderTiny | None = None

    @property
    def is_sdxl(self) -> bool:
        return "text_encoder_2" in self.text_encoders


def make_components(spec: ModelSpec) -> Components:
    """Seeded random weights; for a half-precision model rounded to what its files hold."""
    torch.manual_seed(spec.seed)
    text = CLIPTextModel(CLIPTextConfig(**spec.text))
    unet = UNet2DConditionModel(**spec.unet)
    vae = AutoencoderKL(**spec.vae, force_upcast=False)
    preview = AutoencoderTiny(**PREVIEW) if spec.preview else None
    for module in filter(None, (text, unet, vae, preview)):
        spread_norms(module)
    if spec.legacy:
        silence_posterior(vae)
    if spec.half:
        for module in (text, unet, vae):
            for parameter in module.parameters():
                parameter.data = parameter.data.half().float()
    folder = GIVEN / "tiny-sdxl" / spec.tokenizer
    return freeze(
        Components(
            spec.pipeline_class,
            spec.scheduler,
            {"tokenizer": CLIPTokenizer.from_pretrained(folder)},
            {"text_encoder": text},
            unet,
            vae,
            preview,
        )
    )


def spread_norms(module: torch.nn.Module) -> None:
    """Moves norms off the identity they start as, so that swapping two of them shows."""
    for part in module.modules():
        if isinstance(part, (torch.nn.GroupNorm, torch.nn.LayerNorm)):
            torch.nn.init.normal_(part.weight, 1.0, 0.1)
            torch.nn.init.normal_(part.bias, 0.0, 0.1)


def silence_posterior(vae: AutoencoderKL) -> None:
    """Pins the log variance at its lower clamp: what the graph draws itself is then below 1e-6."""
    channels = vae.config.latent_channels
    torch.nn.init.zeros_(vae.quant_conv.weight[channels:])
    torch.nn.init.constant_(vae.quant_conv.bias[channels:], -30.0)


def load_given(name: str) -> Components:
    """A model of the given set as torch modules, from its settings and its graphs' weights."""
    folder = GIVEN / name
    index = json.loads((folder / "model_index.json").read_text())
    texts = {}
    for part in ("text_encoder", "text_encoder_2"):
        if part in index:
            kind = CLIPTextModelWithProjection if part.endswith("_2") else CLIPTextModel
            texts[part] = kind(CLIPTextConfig.from_pretrained(folder / part))
            load_weights(texts[part], folder / part / "model.onnx")
    unet = UNet2DConditionModel.from_config(UNet2DConditionModel.load_config(folder / "unet"))
    load_weights(unet, folder / "unet/model.onnx")
    vae = AutoencoderKL.from_config(AutoencoderKL.load_config(folder / "vae_decoder"))
    load_weights(vae, folder / "vae_encoder/model.onnx", folder / "vae_decoder/model.onnx")
    tokenizers = {
        part: CLIPTokenizer.from_pretrained(folder / part)
        for part in ("tokenizer", "tokenizer_2")
        if part in index
    }
    scheduler = json.loads((folder / "scheduler/scheduler_config.json").read_text())
    return freeze(Components(index["_class_name"], scheduler, tokenizers, texts, unet, vae))


def freeze(components: Components) -> Components:
    """Evaluation only; eager attention is what the exporter can trace."""
    for text in components.text_encoders.values():
        text.config._attn_implementation = "eager"
    modules = (*components.text_encoders.values(), components.unet, components.vae)
    for module in filter(None, (*modules, components.preview)):
        module.eval().requires_grad_(False)
    return components


def copy_tokenizer(spec: ModelSpec, folder: Path) -> None:
    shutil.copytree(GIVEN / "tiny-sdxl" / spec.tokenizer, folder / "tokenizer")
