"""Reads the weights of an exported graph back into the torch module that it came from.

The exporter keeps a parameter's name only where it uses the parameter as it is; transposed and
reshaped ones become anonymous constants, and equal ones are stored once. A node's name always
holds the path of its module (`/down_blocks.0/attentions.0/proj_in/Conv`), so that is the key.
"""

import re
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import onnx
import torch
from onnx import numpy_helper

# Which input of a node is which parameter of its module.
ROLES = {
    "Conv": {1: "weight", 2: "bias"},
    "Gemm": {1: "weight", 2: "bias"},
    "LayerNormalization": {1: "weight", 2: "bias"},
    "Gather": {0: "weight"},
    "MatMul": {1: "weight"},
    "Mul": {0: "weight", 1: "weight"},
    "Add": {0: "bias", 1: "bias"},
}


def load_weights(module: torch.nn.Module, *graphs: Path) -> None:
    """Fills every parameter of `module`; one that no graph holds is an error."""
    parameters = dict(module.named_parameters())
    missing = set(parameters)
    for graph in graphs:
        for name, values in read_parameters(onnx.load(graph).graph, parameters):
            with torch.no_grad():
                parameters[name].copy_(torch.from_numpy(values.copy()))
            missing.discard(name)
    if missing:
        raise ValueError(f"{graphs[0]} lacks {sorted(missing)}")


def read_parameters(
    graph: onnx.GraphProto, parameters: dict[str, torch.nn.Parameter]
) -> Iterator[tuple[str, np.ndarray]]:
    """Names and values, in the shapes of the module."""
    constants = {item.name: numpy_helper.to_array(item) for item in graph.initializer}
    for node in graph.node:
        path = ".".join(node.name.split("/")[1:-1])
        kind = re.sub(r"_\d+$", "", node.name.split("/")[-1])
        for position, role in ROLES.get(kind, {}).items():
            name = f"{path}.{role}"
            if name in parameters and position < len(node.input):
                values = constants.get(node.input[position])
                if values is not None:
                    yield name, fit(values, tuple(parameters[name].shape), kind)


def fit(values: np.ndarray, shape: tuple[int, ...], kind: str) -> np.ndarray:
    return (values.T if kind == "MatMul" else values).reshape(shape)
