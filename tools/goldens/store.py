"""Writes a set of numbers: NAME.json and beside it NAME.bin with raw little-endian float32."""

import json
from pathlib import Path

import numpy as np
import torch


class TensorStore:
    """Collects tensors; equal ones are stored once."""

    def __init__(self) -> None:
        self.chunks: list[bytes] = []
        self.floats = 0
        self.offsets: dict[bytes, int] = {}

    def add(self, tensor: torch.Tensor) -> dict:
        """The reference that stands in the index: the first float and the shape."""
        values = np.ascontiguousarray(tensor.detach().to(torch.float32).numpy(), dtype="<f4")
        content = values.tobytes()
        if content not in self.offsets:
            self.offsets[content] = self.floats
            self.chunks.append(content)
            self.floats += values.size
        return {"off": self.offsets[content], "shape": list(tensor.shape)}

    @staticmethod
    def last(reference: dict) -> dict:
        """The last item of a stored tensor's first axis."""
        count, *shape = reference["shape"]
        size = int(np.prod(shape))
        return {"off": reference["off"] + (count - 1) * size, "shape": shape}

    def save(self, folder: Path, name: str, index: dict) -> None:
        head = {"bin": f"{name}.bin", "floats": self.floats}
        (folder / f"{name}.bin").write_bytes(b"".join(self.chunks))
        (folder / f"{name}.json").write_text(to_json(head | index))


def to_json(index: dict) -> str:
    """One line per case or component: small, and a change shows as one line."""
    entries = [f"{compact(key)}:{spread(value)}" for key, value in index.items()]
    return "{" + ",\n".join(entries) + "}\n"


def spread(value) -> str:
    if isinstance(value, list):
        return "[\n" + ",\n".join(compact(item) for item in value) + "\n]"
    if isinstance(value, dict):
        items = [f"{compact(key)}:{compact(item)}" for key, item in value.items()]
        return "{\n" + ",\n".join(items) + "\n}"
    return compact(value)


def compact(value) -> str:
    """NaN and infinity are no JSON: an error here, not in the reader."""
    return json.dumps(value, separators=(",", ":"), allow_nan=False)
