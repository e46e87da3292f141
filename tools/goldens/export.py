"""Exports a model's modules to ONNX in optimum's layout or the legacy pipeline's."""

import json
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path

import onnx
import torch

from models import Components, ModelSpec, copy_tokenizer

IDS = {0: "batch_size", 1: "sequence_length"}
PICTURE = {0: "batch_size", 2: "height", 3: "width"}
LATENTS = {0: "batch_size", 2: "latent_height", 3: "latent_width"}
# Of diffusers' own bookkeeping; `_attn_implementation` is the exporter's.
INTERNAL = {"_use_default_values", "_name_or_path", "_attn_implementation"}
# Where the dynamo exporter says which module a node comes from.
SCOPES = "pkg.torch.onnx.name_scopes"
TEXTS = ["a photo of a scratch on metal", ""]


@dataclass(frozen=True)
class Graph:
    """One ONNX file to write: a module, the function to trace, inputs by name, outputs."""

    folder: str
    module: torch.nn.Module
    forward: callable
    example: dict[str, torch.Tensor]
    # Other values in other sizes, which the golden of the component shows.
    inputs: dict[str, torch.Tensor]
    outputs: list[str]
    axes: dict[str, dict[int, str]]

    @property
    def is_named(self) -> bool:
        """LoRA files name modules of these; elsewhere the names are only weight."""
        return self.folder in ("text_encoder", "unet")

    def run(self) -> dict[str, torch.Tensor]:
        """What torch makes of `inputs`, in float32."""
        with torch.no_grad():
            values = self.forward(*self.inputs.values())
        values = values if isinstance(values, tuple) else (values,)
        return dict(zip(self.outputs, values, strict=True))


def list_graphs(spec: ModelSpec, components: Components) -> list[Graph]:
    """The graphs of a model; the generator makes the goldens' inputs repeatable."""
    generator = torch.Generator().manual_seed(spec.seed)
    graphs = [
        text_graph(components, components.text_encoders["text_encoder"]),
        unet_graph(components.unet, generator),
        encoder_graph(spec, components.vae, generator),
        decoder_graph(components.vae, generator),
    ]
    if components.preview is not None:
        graphs.append(preview_graph(components.preview, generator))
    return [in_legacy_types(graph) for graph in graphs] if spec.legacy else graphs


def text_graph(components: Components, text: torch.nn.Module) -> Graph:
    encoded = components.tokenizers["tokenizer"](TEXTS, padding="max_length", max_length=77)
    ids = torch.tensor(encoded["input_ids"])
    call = type(text).forward

    def forward(input_ids):
        result = call(text, input_ids=input_ids)
        return result.last_hidden_state, result.pooler_output

    inputs = {"input_ids": ids}
    outputs = ["last_hidden_state", "pooler_output"]
    axes = {"input_ids": IDS, "last_hidden_state": IDS, "pooler_output": {0: "batch_size"}}
    return Graph("text_encoder", text, forward, inputs, inputs, outputs, axes)


def unet_graph(unet: torch.nn.Module, generator: torch.Generator) -> Graph:
    call = type(unet).forward
    condition = unet.config.time_cond_proj_dim

    def forward(sample, timestep, encoder_hidden_states, timestep_cond=None):
        states = encoder_hidden_states
        return call(unet, sample, timestep, states, timestep_cond=timestep_cond).sample

    def inputs(batch: int, height: int, width: int) -> dict[str, torch.Tensor]:
        values = {
            "sample": randn(generator, batch, unet.config.in_channels, height, width),
            "timestep": torch.tensor(437.0),
            "encoder_hidden_states": randn(generator, batch, 77, unet.config.cross_attention_dim),
        }
        if condition is not None:
            values["timestep_cond"] = randn(generator, batch, condition)
        return values

    axes = {"sample": PICTURE, "encoder_hidden_states": IDS, "out_sample": PICTURE}
    if condition is not None:
        axes["timestep_cond"] = {0: "batch_size"}
    return Graph("unet", unet, forward, inputs(2, 8, 8), inputs(1, 8, 12), ["out_sample"], axes)


def encoder_graph(spec: ModelSpec, vae: torch.nn.Module, generator: torch.Generator) -> Graph:
    """The legacy layout draws from the posterior in the graph, the other one gives its parts."""

    def forward(sample):
        posterior = vae.encode(sample).latent_dist
        if spec.legacy:
            return posterior.mean + posterior.std * torch.randn_like(posterior.mean)
        return posterior.parameters

    output = "latent_sample" if spec.legacy else "latent_parameters"
    example = {"sample": randn(generator, 2, 3, 32, 32)}
    inputs = {"sample": randn(generator, 1, 3, 16, 24)}
    axes = {"sample": PICTURE, output: LATENTS}
    return Graph("vae_encoder", vae, forward, example, inputs, [output], axes)


def decoder_graph(vae: torch.nn.Module, generator: torch.Generator) -> Graph:
    def forward(latent_sample):
        return vae.decode(latent_sample).sample

    return latents_to_picture("vae_decoder", vae, forward, generator)


def preview_graph(preview: torch.nn.Module, generator: torch.Generator) -> Graph:
    """Takes latents as the denoising loop has them: the tiny autoencoder's own scale is 1."""

    def forward(latent_sample):
        return preview.decode(latent_sample).sample

    return latents_to_picture("taesd_decoder", preview, forward, generator)


def latents_to_picture(folder: str, module: torch.nn.Module, forward, generator) -> Graph:
    example = {"latent_sample": randn(generator, 2, 4, 8, 8)}
    inputs = {"latent_sample": randn(generator, 1, 4, 4, 6)}
    axes = {"latent_sample": LATENTS, "sample": PICTURE}
    return Graph(folder, module, forward, example, inputs, ["sample"], axes)


def in_legacy_types(graph: Graph) -> Graph:
    """Layout A: int32 token ids, one int64 timestep for each picture of the batch."""

    def convert(values: dict[str, torch.Tensor]) -> dict[str, torch.Tensor]:
        batch = next(iter(values.values())).shape[0]
        types = {
            "input_ids": lambda ids: ids.to(torch.int32),
            "timestep": lambda timestep: timestep.to(torch.int64).repeat(batch),
        }
        return {name: types.get(name, lambda same: same)(value) for name, value in values.items()}

    axes = graph.axes | ({"timestep": {0: "batch"}} if "timestep" in graph.inputs else {})
    return replace(
        graph, example=convert(graph.example), inputs=convert(graph.inputs), axes=axes
    )


def randn(generator: torch.Generator, *shape: int) -> torch.Tensor:
    return torch.randn(shape, generator=generator)


def write_model(spec: ModelSpec, components: Components, graphs: list[Graph], folder: Path) -> None:
    """A complete model folder."""
    for graph in graphs:
        (folder / graph.folder).mkdir(parents=True)
        write_graph(spec, graph, folder / graph.folder / "model.onnx")
    copy_tokenizer(spec, folder)
    write_json(folder / "scheduler/scheduler_config.json", components.scheduler)
    write_json(folder / "model_index.json", model_index(spec, graphs))
    if not spec.legacy:
        write_settings(components, graphs, folder)


def write_settings(components: Components, graphs: list[Graph], folder: Path) -> None:
    for graph in graphs:
        config = graph.module.config
        if graph.folder == "text_encoder":
            values = config.to_diff_dict()
        else:
            values = {"_class_name": type(graph.module).__name__} | dict(config)
        own = {key: value for key, value in values.items() if key not in INTERNAL}
        write_json(folder / graph.folder / "config.json", own)


def model_index(spec: ModelSpec, graphs: list[Graph]) -> dict:
    head = {"_class_name": spec.pipeline_class, "_diffusers_version": "0.42.1"}
    common = {
        "scheduler": ["diffusers", spec.scheduler["_class_name"]],
        "tokenizer": ["transformers", "CLIPTokenizer"],
        "feature_extractor": [None, None],
        "safety_checker": [None, None],
        "requires_safety_checker": False,
    }
    if spec.legacy:
        parts = {graph.folder: ["diffusers", "OnnxRuntimeModel"] for graph in graphs}
        return head | common | parts
    return head | common | {
        "text_encoder": ["transformers", "CLIPTextModel"],
        "unet": ["diffusers", "UNet2DConditionModel"],
        "vae": ["diffusers", "AutoencoderKL"],
        "image_encoder": [None, None],
    }


def write_graph(spec: ModelSpec, graph: Graph, file: Path) -> None:
    module = graph.module.half() if spec.half else graph.module
    with traced_as(module, graph.forward), warnings.catch_warnings(), torch.no_grad():
        warnings.simplefilter("ignore")
        arguments = tuple(half(value) if spec.half else value for value in graph.example.values())
        if spec.opset >= 23:
            export_by_dynamo(spec, graph, arguments, file)
        else:
            export_by_trace(spec, graph, arguments, file)
    module.float()
    tidy(spec, graph, file)


def half(value: torch.Tensor) -> torch.Tensor:
    return value.half() if value.is_floating_point() else value


def export_by_trace(spec: ModelSpec, graph: Graph, arguments: tuple, file: Path) -> None:
    torch.onnx.export(
        graph.module,
        arguments,
        file,
        input_names=list(graph.example),
        output_names=graph.outputs,
        dynamic_axes=graph.axes,
        opset_version=spec.opset,
        do_constant_folding=True,
        dynamo=False,
    )


def export_by_dynamo(spec: ModelSpec, graph: Graph, arguments: tuple, file: Path) -> None:
    shapes = {
        name: {axis: torch.export.Dim.DYNAMIC for axis in graph.axes.get(name, {})} or None
        for name in graph.example
    }
    program = torch.onnx.export(
        graph.module,
        arguments,
        input_names=list(graph.example),
        output_names=graph.outputs,
        dynamic_shapes=tuple(shapes.values()),
        opset_version=spec.opset,
        dynamo=True,
        verbose=False,
    )
    program.save(file, external_data=False)


@contextmanager
def traced_as(module: torch.nn.Module, forward) -> Iterator[None]:
    """Replaces the module's own forward, so that node names start at the module itself."""
    module.forward = forward
    try:
        yield
    finally:
        del module.forward


def tidy(spec: ModelSpec, graph: Graph, file: Path) -> None:
    """Drops what differs between machines; moves the weights out where the layout wants it."""
    model = onnx.load(file)
    model.producer_version = ""
    del model.graph.value_info[:]
    for node in model.graph.node:
        node.doc_string = ""
        kept = [item for item in node.metadata_props if graph.is_named and item.key == SCOPES]
        del node.metadata_props[:]
        node.metadata_props.extend(kept)
    outside = external_name(spec, graph)
    if outside is None:
        onnx.save(model, file)
    else:
        onnx.save(
            model, file, save_as_external_data=True, location=outside, size_threshold=1024
        )
    onnx.checker.check_model(file)


def external_name(spec: ModelSpec, graph: Graph) -> str | None:
    if graph.folder != "unet":
        return None
    return "weights.pb" if spec.legacy else "model.onnx_data" if spec.external else None


def write_json(file: Path, values: dict) -> None:
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(json.dumps(values, indent=2) + "\n")
