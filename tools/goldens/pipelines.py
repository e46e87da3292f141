"""Runs the pipelines of diffusers on the cases and records every number on the way."""

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from types import SimpleNamespace

import diffusers
import numpy as np
import torch
from PIL import Image

from models import Components
from prompts import encode_pair
from store import TensorStore

PIPELINES = {
    "sd": {
        "txt2img": diffusers.StableDiffusionPipeline,
        "img2img": diffusers.StableDiffusionImg2ImgPipeline,
        "inpaint": diffusers.StableDiffusionInpaintPipeline,
    },
    "sdxl": {
        "txt2img": diffusers.StableDiffusionXLPipeline,
        "img2img": diffusers.StableDiffusionXLImg2ImgPipeline,
        "inpaint": diffusers.StableDiffusionXLInpaintPipeline,
    },
    "lcm": {
        "txt2img": diffusers.LatentConsistencyModelPipeline,
        "img2img": diffusers.LatentConsistencyModelImg2ImgPipeline,
    },
}
KARRAS = {"use_karras_sigmas": True}
SDE = {"algorithm_type": "sde-dpmsolver++"}
SCHEDULERS = {
    "DPM++ 2M": ("DPMSolverMultistepScheduler", {}),
    "DPM++ 2M Karras": ("DPMSolverMultistepScheduler", KARRAS),
    "DPM++ 2M SDE": ("DPMSolverMultistepScheduler", SDE),
    "DPM++ 2M SDE Karras": ("DPMSolverMultistepScheduler", SDE | KARRAS),
    "DPM++ SDE": ("DPMSolverSinglestepScheduler", {}),
    "DPM++ SDE Karras": ("DPMSolverSinglestepScheduler", KARRAS),
    "DPM2": ("KDPM2DiscreteScheduler", {}),
    "DPM2 Karras": ("KDPM2DiscreteScheduler", KARRAS),
    "DPM2 a": ("KDPM2AncestralDiscreteScheduler", {}),
    "DPM2 a Karras": ("KDPM2AncestralDiscreteScheduler", KARRAS),
    "Euler": ("EulerDiscreteScheduler", {}),
    "Euler a": ("EulerAncestralDiscreteScheduler", {}),
    "Heun": ("HeunDiscreteScheduler", {}),
    "LMS": ("LMSDiscreteScheduler", {}),
    "LMS Karras": ("LMSDiscreteScheduler", KARRAS),
    "DDIM": ("DDIMScheduler", {}),
    "DDPM": ("DDPMScheduler", {}),
    "PNDM": ("PNDMScheduler", {}),
    "UniPC": ("UniPCMultistepScheduler", {}),
    "LCM": ("LCMScheduler", {}),
    "TCD": ("TCDScheduler", {}),
}


@dataclass
class Recording:
    """What happened in one run, in order."""

    embeds: tuple = ()
    draws: list[tuple[str, torch.Tensor]] = field(default_factory=list)
    initial: torch.Tensor | None = None
    steps: list[torch.Tensor] = field(default_factory=list)
    mask: tuple[torch.Tensor, torch.Tensor] | None = None
    pictures: list[Image.Image] = field(default_factory=list)


def make_pipeline(components: Components, case: dict):
    """The pipeline class of the model's family and the case's task, with the case's scheduler."""
    common = {
        "vae": components.vae,
        "unet": components.unet,
        "scheduler": make_scheduler(components, case),
        **components.text_encoders,
        **components.tokenizers,
    }
    if not components.is_sdxl:
        common |= {"safety_checker": None, "feature_extractor": None}
        common |= {"requires_safety_checker": False}
    pipe = PIPELINES[family(components)][case["pipeline"]](**common)
    pipe.set_progress_bar_config(disable=True)
    return pipe


def family(components: Components) -> str:
    if components.is_sdxl:
        return "sdxl"
    return "lcm" if components.pipeline_class.startswith("LatentConsistency") else "sd"


def make_scheduler(components: Components, case: dict):
    config = components.scheduler
    own = getattr(diffusers, config["_class_name"]).from_config(config)
    if "scheduler" not in case:
        return own
    name, override = SCHEDULERS[case["scheduler"]]
    return getattr(diffusers, name).from_config(own.config, **override)


def run(components: Components, case: dict, images: Path):
    """One run of a case: the pipeline as it stands afterwards, and what was recorded."""
    pipe = make_pipeline(components, case)
    recording = Recording()
    generators = [
        torch.Generator().manual_seed(case["seed"] + i) for i in range(case.get("images", 1))
    ]
    arguments = read_arguments(components, case, images) | {
        "num_inference_steps": case["steps"],
        "guidance_scale": case["guidance_scale"],
        "num_images_per_prompt": len(generators),
        "generator": generators if len(generators) > 1 else generators[0],
        "callback_on_step_end": keep_latents(recording),
    }
    with recorded(pipe, recording), torch.no_grad():
        recording.pictures = pipe(**arguments).images
    return pipe, recording


def read_arguments(components: Components, case: dict, images: Path) -> dict:
    arguments = read_prompt(components, case)
    if "image" not in case:
        return arguments | {"height": case["height"], "width": case["width"]}
    arguments |= {"image": Image.open(images / case["image"]), "strength": case["strength"]}
    if "mask" in case:
        arguments |= {"mask_image": Image.open(images / case["mask"])}
        arguments |= {"height": case["height"], "width": case["width"]}
    return arguments


def read_prompt(components: Components, case: dict) -> dict:
    """The texts themselves, or what they encode to where diffusers has no syntax for them."""
    if not {"prompt_overflow", "prompt_syntax"} & set(case):
        negative = {"negative_prompt": case["negative_prompt"]} if "negative_prompt" in case else {}
        return {"prompt": case["prompt"], **negative}
    with torch.no_grad():
        prompt, negative = encode_pair(components, case)
    named = {"": prompt, "negative_": negative}
    arguments = {f"{key}prompt_embeds": item.states for key, item in named.items() if item}
    if components.is_sdxl:
        arguments |= {
            f"{key}pooled_prompt_embeds": item.pooled for key, item in named.items() if item
        }
    return arguments


def keep_latents(recording: Recording):
    def callback(_pipe, _index, _timestep, values):
        recording.steps.append(values["latents"].clone())
        return values

    return callback


@contextmanager
def recorded(pipe, recording: Recording) -> Iterator[None]:
    """Listens to the pipeline's methods and to every draw of a generator."""

    def keep_embeds(result):
        recording.embeds = result

    def keep_initial(result):
        latents = result[0] if isinstance(result, tuple) else result
        recording.initial = latents.clone()

    def keep_mask(result):
        recording.mask = result

    listeners = {
        "encode_prompt": keep_embeds,
        "prepare_latents": keep_initial,
        "prepare_mask_latents": keep_mask,
    }
    for name, listener in listeners.items():
        if hasattr(pipe, name):
            setattr(pipe, name, listening(getattr(pipe, name), listener))
    with recorded_draws(recording):
        yield


def listening(method, listener):
    def call(*args, **kwargs):
        result = method(*args, **kwargs)
        listener(result)
        return result

    return call


@contextmanager
def recorded_draws(recording: Recording) -> Iterator[None]:
    """Every module of diffusers has its own name for the one function that draws."""
    places = {
        name: module
        for name, module in sys.modules.items()
        if name.startswith("diffusers.") and "randn_tensor" in vars(module)
    }
    original = diffusers.utils.torch_utils.randn_tensor

    def drawing(by: str):
        def draw(*args, **kwargs):
            result = original(*args, **kwargs)
            recording.draws.append((by, result.clone()))
            return result

        return draw

    for name, module in places.items():
        module.randn_tensor = drawing(name.rsplit(".", 1)[1])
    try:
        yield
    finally:
        for module in places.values():
            module.randn_tensor = original


def describe(pipe, case: dict, recording: Recording, store: TensorStore) -> dict:
    """The case as it stands in the index."""
    steps = store.add(torch.stack(recording.steps))
    result = case | {
        "scheduler_class": type(pipe.scheduler).__name__,
        "scheduler_config": describe_config(pipe.scheduler.config),
        "timesteps": [float(timestep) for timestep in pipe.scheduler.timesteps],
        "embeds": describe_embeds(recording.embeds, store),
        "draws": [{"by": by, **store.add(values)} for by, values in recording.draws],
        "initial_latents": store.add(recording.initial),
        "step_latents": steps,
        "final_latents": store.last(steps),
    }
    if recording.mask is not None:
        mask, masked_image = recording.mask
        result |= {
            "mask_latents": store.add(mask[:1]),
            "masked_image_latents": store.add(masked_image[:1]),
        }
    return result


def describe_config(config: dict) -> dict:
    """The effective settings; JSON has no infinity, so it is the text that the given set has."""
    own = {key: value for key, value in config.items() if key[0] != "_"}
    return {key: "-inf" if value == float("-inf") else value for key, value in own.items()}


def describe_embeds(embeds: tuple, store: TensorStore) -> dict:
    names = ("", "negative_", "pooled_", "negative_pooled_")[: len(embeds)]
    return {
        f"{name}prompt_embeds": None if item is None else store.add(item[:1])
        for name, item in zip(names, embeds, strict=True)
    }


def save_pictures(case: dict, recording: Recording, folder: Path) -> list[str]:
    many = len(recording.pictures) > 1
    names = [
        f"images/{case['name']}{f'-{i}' if many else ''}.png"
        for i in range(len(recording.pictures))
    ]
    for name, picture in zip(names, recording.pictures, strict=True):
        picture.save(folder / name)
    return names


def difference(expected: Recording, actual: Recording) -> dict:
    """How far another run of the case is from the first."""
    latents = (expected.steps[-1] - actual.steps[-1]).abs().max()
    pairs = zip(expected.pictures, actual.pictures, strict=True)
    levels = [np.abs(np.int16(np.asarray(a)) - np.int16(np.asarray(b))) for a, b in pairs]
    return {
        "latents": float(latents),
        "latents_max": float(expected.steps[-1].abs().max()),
        "pixels": int(max(level.max() for level in levels)),
        "pixels_differing": int(sum((level > 0).sum() for level in levels)),
    }


def as_legacy(components: Components) -> None:
    """Makes the modules behave as the legacy graphs do.

    The encoder draws from the posterior by itself, so the pipeline gets plain latents and draws
    nothing; timesteps are integers, cut off as the legacy pipeline casts them.
    """
    unet, vae = components.unet, components.vae

    def encode(sample):
        return SimpleNamespace(latents=type(vae).encode(vae, sample).latent_dist.mean)

    def forward(sample, timestep, encoder_hidden_states, **options):
        return type(unet).forward(unet, sample, timestep.long(), encoder_hidden_states, **options)

    vae.encode = encode
    unet.forward = forward
