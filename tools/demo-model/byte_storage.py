"""Keeps a graph's weights as bytes, at a quarter of the size, while it computes in float32."""

import numpy as np
from onnx import TensorProto, helper, numpy_helper

SMALL_VALUES = 512  # Biases and norms save nothing worth nodes of their own.
BYTE_MAX = 127


def store_as_bytes(model):
    """Replaces each large float32 weight by signed bytes, a Cast, and a Mul with its scales.

    A scale belongs to one output channel, so the error is at most 1/254 of a channel's largest
    weight. Inputs and outputs stay float32. onnxruntime folds the two nodes when it loads the
    graph, so a step costs the same; DequantizeLinear it would leave as it is. The Mul gives its
    weight's name to its output: no other node changes.
    """
    graph = model.graph
    large = [tensor for tensor in graph.initializer if _is_large(tensor)]
    multiplied = {node.input[1] for node in graph.node if node.op_type == "MatMul"}
    nodes = []
    for tensor in large:
        axis = 1 if tensor.name in multiplied else 0
        levels, scales = _rounded(numpy_helper.to_array(tensor), axis)
        nodes += _unpacking(tensor.name)
        graph.initializer.append(numpy_helper.from_array(levels, f"{tensor.name}.bytes"))
        graph.initializer.append(numpy_helper.from_array(scales, f"{tensor.name}.scales"))
        graph.initializer.remove(tensor)
    nodes += graph.node
    del graph.node[:]
    graph.node.extend(nodes)
    return model


def _is_large(tensor):
    return tensor.data_type == TensorProto.FLOAT and np.prod(tensor.dims) > SMALL_VALUES


def _rounded(weight, axis):
    """Bytes of the weight's shape, and a scale for each index of the axis."""
    others = tuple(i for i in range(weight.ndim) if i != axis)
    largest = np.abs(weight).max(axis=others, keepdims=True)
    scales = np.maximum(largest / BYTE_MAX, np.finfo(np.float32).tiny).astype(np.float32)
    return np.rint(weight / scales).astype(np.int8), scales


def _unpacking(name):
    floats = f"{name}.floats"
    return [
        helper.make_node("Cast", [f"{name}.bytes"], [floats], f"{name}/Cast", to=TensorProto.FLOAT),
        helper.make_node("Mul", [floats, f"{name}.scales"], [name], f"{name}/Mul"),
    ]
