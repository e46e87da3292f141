"""The same pipeline with the exported graphs in place of the torch modules."""

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import onnxruntime
import torch
from diffusers.models.autoencoders.vae import DiagonalGaussianDistribution

from models import Components

TYPES = {"tensor(float16)": np.float16, "tensor(float)": np.float32, "tensor(int32)": np.int32}


class Session:
    """One graph; values get the types and ranks that it declares."""

    def __init__(self, file: Path) -> None:
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = 1
        self.session = onnxruntime.InferenceSession(
            file, options, providers=["CPUExecutionProvider"]
        )

    def run(self, values: dict[str, torch.Tensor]) -> dict[str, torch.Tensor]:
        feeds = {item.name: fit(item, values[item.name]) for item in self.session.get_inputs()}
        names = [item.name for item in self.session.get_outputs()]
        results = self.session.run(names, feeds)
        return {
            name: torch.from_numpy(value).float()
            for name, value in zip(names, results, strict=True)
        }


def fit(item, value: torch.Tensor) -> np.ndarray:
    array = value.numpy().astype(TYPES.get(item.type, np.int64))
    return array.reshape(1) if len(item.shape) > array.ndim else array


@contextmanager
def on_graphs(components: Components, folder: Path) -> Iterator[None]:
    """Inside of the block the modules' calls go to the graphs of `folder`."""
    # For the legacy encoder, which draws by itself.
    onnxruntime.set_seed(1)
    with ExitStack() as stack:
        for part, text in components.text_encoders.items():
            forward = text_forward(Session(folder / part / "model.onnx"))
            stack.enter_context(replaced(text, "forward", forward))
        unet = unet_forward(Session(folder / "unet/model.onnx"))
        stack.enter_context(replaced(components.unet, "forward", unet))
        encode = vae_encode(Session(folder / "vae_encoder/model.onnx"))
        decode = vae_decode(Session(folder / "vae_decoder/model.onnx"))
        stack.enter_context(replaced(components.vae, "encode", encode))
        stack.enter_context(replaced(components.vae, "decode", decode))
        yield


@contextmanager
def replaced(owner, name: str, value) -> Iterator[None]:
    own = vars(owner).get(name)
    setattr(owner, name, value)
    try:
        yield
    finally:
        delattr(owner, name)
        if own is not None:
            setattr(owner, name, own)


class TextResult(SimpleNamespace):
    """Answers by name and by position, as the outputs of transformers do."""

    def __getitem__(self, index):
        return self.text_embeds if index == 0 and "text_embeds" in self else self.first

    def __contains__(self, name: str) -> bool:
        return name in vars(self)


def text_forward(session: Session):
    def forward(input_ids, **_options):
        values = session.run({"input_ids": input_ids})
        hidden = [value for name, value in values.items() if name.startswith("hidden_states.")]
        plain = {name: value for name, value in values.items() if "." not in name}
        return TextResult(**plain, hidden_states=hidden, first=values["last_hidden_state"])

    return forward


def unet_forward(session: Session):
    def forward(sample, timestep, encoder_hidden_states, **options):
        timestep = torch.as_tensor(timestep)
        values = {
            "sample": sample,
            "timestep": timestep.repeat(len(sample)) if session_wants_batch(session) else timestep,
            "encoder_hidden_states": encoder_hidden_states,
            "timestep_cond": options.get("timestep_cond"),
            **(options.get("added_cond_kwargs") or {}),
        }
        return (session.run(values)["out_sample"],)

    return forward


def session_wants_batch(session: Session) -> bool:
    shapes = {item.name: item.shape for item in session.session.get_inputs()}
    return len(shapes["timestep"]) == 1


def vae_encode(session: Session):
    def encode(sample, **_options):
        values = session.run({"sample": sample})
        if "latent_sample" in values:
            return SimpleNamespace(latents=values["latent_sample"])
        return SimpleNamespace(
            latent_dist=DiagonalGaussianDistribution(values["latent_parameters"])
        )

    return encode


def vae_decode(session: Session):
    def decode(latents, **_options):
        return (session.run({"latent_sample": latents})["sample"],)

    return decode
