"""Writes a set of goldens of whole pipelines: `python make.py --output FOLDER`."""

import argparse
import copy
import os
import shutil
import warnings
from pathlib import Path

import numpy as np

# Before torch is loaded: one thread, so that sums have one order on every machine.
os.environ["OMP_NUM_THREADS"] = "1"

import torch  # noqa: E402
from PIL import Image, ImageDraw  # noqa: E402

import loras  # noqa: E402
import pipelines  # noqa: E402
from cases import list_cases  # noqa: E402
from export import Graph, list_graphs, write_model  # noqa: E402
from models import GIVEN, MODELS, Components, ModelSpec, load_given, make_components  # noqa: E402
from store import TensorStore  # noqa: E402
from twin import on_graphs  # noqa: E402

GIVEN_MODELS = ("tiny-sd", "tiny-sd-inpaint", "tiny-sdxl")
SIZES = [(16, 16), (24, 16), (48, 32)]
# Half precision against single: one rounding is 5e-4 of a value.
HALF_COMPONENT_TOLERANCE = 5e-3


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--output", type=Path, required=True)
    output = parser.parse_args().output
    torch.set_num_threads(1)
    warnings.simplefilter("ignore")
    for part in ("models", "images", "lora"):
        shutil.rmtree(output / part, ignore_errors=True)
        (output / part).mkdir(parents=True)
    write_inputs(output / "images")
    models = {spec.name: make_components(spec) for spec in MODELS}
    for spec in MODELS:
        print(spec.name, flush=True)
        write_one(spec, models[spec.name], output / "models" / spec.name)
    models |= {name: load_given(name) for name in GIVEN_MODELS}
    write_pipelines(models, output)


def write_inputs(folder: Path) -> None:
    """A picture with shapes, a gradient and grain, and a mask with grey edges, in every size."""
    for width, height in SIZES:
        grain = np.random.default_rng(width * height).integers(-24, 25, (height, width, 3))
        across = np.linspace(40, 215, width)[None, :, None]
        down = np.linspace(-30, 30, height)[:, None, None] * np.array([1.0, -1.0, 0.5])
        pixels = np.clip(across + down + grain, 0, 255).astype(np.uint8)
        picture = Image.fromarray(pixels)
        ImageDraw.Draw(picture).ellipse([2, 3, width // 2, height // 2], fill=(180, 60, 40))
        picture.save(folder / f"in_{width}x{height}.png")
        mask = Image.new("L", (width, height), 0)
        box = [width // 4, height // 4, 3 * width // 4, 7 * height // 8]
        draw = ImageDraw.Draw(mask)
        draw.rectangle(box, fill=255)
        draw.line([box[0], box[1], box[2], box[1]], fill=127)
        draw.line([box[0], box[3], box[2], box[3]], fill=128)
        mask.save(folder / f"mask_{width}x{height}.png")


def write_one(spec: ModelSpec, components: Components, folder: Path) -> None:
    graphs = list_graphs(spec, components)
    store = TensorStore()
    index = {graph.folder: describe_graph(graph, spec, store) for graph in graphs}
    write_model(spec, components, graphs, folder)
    store.save(folder, "components", {"components": index})
    if spec.legacy:
        pipelines.as_legacy(components)


def describe_graph(graph: Graph, spec: ModelSpec, store: TensorStore) -> dict:
    inputs = {name: describe_input(value, store) for name, value in graph.inputs.items()}
    outputs = {name: store.add(value) for name, value in graph.run().items()}
    tolerance = {"tolerance": HALF_COMPONENT_TOLERANCE} if spec.half else {}
    return {"inputs": inputs, "outputs": outputs} | tolerance


def describe_input(value: torch.Tensor, store: TensorStore) -> dict:
    dtype = str(value.dtype).removeprefix("torch.")
    if value.is_floating_point():
        return {"dtype": dtype} | store.add(value)
    return {"dtype": dtype, "shape": list(value.shape), "data": value.flatten().tolist()}


def write_pipelines(models: dict[str, Components], output: Path) -> None:
    store = TensorStore()
    made = {spec.file: loras.make_pairs(spec, models[spec.model]) for spec in loras.LORAS}
    described = {
        spec.file: loras.write_lora(spec, made[spec.file], output / "lora")
        for spec in loras.LORAS
    }
    index = []
    for case in list_cases():
        print(case["name"], flush=True)
        components = with_loras(models[case["model"]], case, made)
        pipe, recording = pipelines.run(components, case, output / "images")
        result = pipelines.describe(pipe, case, recording, store)
        if "loras" in case:
            result["loras"] = [described[item["file"]] | item for item in case["loras"]]
        result["png"] = pipelines.save_pictures(case, recording, output)
        if "loras" not in case:
            result["ort_diff"] = run_on_graphs(components, case, recording, output)
        index.append(result)
    store.save(output, "pipelines", {"cases": index})


def with_loras(components: Components, case: dict, made: dict) -> Components:
    """The model itself, or a copy of it with the case's LoRAs added to its weights."""
    if "loras" not in case:
        return components
    merged = copy.deepcopy(components)
    specs = {spec.file: spec for spec in loras.LORAS}
    for item in case["loras"]:
        loras.merge(specs[item["file"]], made[item["file"]], merged, item["scale"])
    return merged


def run_on_graphs(components: Components, case: dict, expected, output: Path) -> dict:
    own = output / "models" / case["model"]
    folder = own if own.exists() else GIVEN / case["model"]
    with on_graphs(components, folder):
        _, actual = pipelines.run(components, case, output / "images")
    return pipelines.difference(expected, actual)


if __name__ == "__main__":
    main()
