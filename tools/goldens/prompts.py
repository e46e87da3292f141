"""Prompts of any length and with weights, encoded as tensors that a pipeline takes as they are.

A prompt of more than 75 tokens becomes several windows of 77 (start, 75 tokens, end), each encoded
by itself and joined on the token axis. Weights multiply the encoded tokens of a window; the
window's mean is then what it was before, as AUTOMATIC1111 has it.
"""

import re
from dataclasses import dataclass

import torch
from transformers import CLIPTokenizer

from models import Components

WINDOW = 75
# What one pair of brackets does.
STRONGER, WEAKER = 1.1, 1 / 1.1
PIECE = re.compile(r"\\[()\[\]\\]|[(\[\])]|:\s*[+-]?[\d.]+\s*(?=\))|[^\\()\[\]:]+|[\\:]")


@dataclass(frozen=True)
class Embeds:
    """What a pipeline takes in place of a prompt; `pooled` only for SDXL."""

    states: torch.Tensor
    pooled: torch.Tensor | None


@dataclass(frozen=True)
class Token:
    id: int
    weight: float


def encode_pair(
    components: Components, case: dict
) -> tuple[Embeds, Embeds | None]:
    """The prompt and, with guidance, the negative one, filled up to as many windows."""
    texts = [case["prompt"]]
    if case["guidance_scale"] > 1:
        texts.append(case.get("negative_prompt", ""))
    tokens = {
        name: [read_tokens(tokenizer, text, case) for text in texts]
        for name, tokenizer in components.tokenizers.items()
    }
    count = max(windows_of(item) for items in tokens.values() for item in items)
    encoded = [
        encode(components, {name: items[i] for name, items in tokens.items()}, count)
        for i in range(len(texts))
    ]
    if len(encoded) == 1:
        return encoded[0], None
    if components.is_sdxl and "negative_prompt" not in case:
        encoded[1] = Embeds(*(torch.zeros_like(item) for item in vars(encoded[1]).values()))
    return encoded[0], encoded[1]


def read_tokens(tokenizer: CLIPTokenizer, text: str, case: dict) -> list[Token]:
    weighted = case.get("prompt_syntax") == "Weighted"
    parts = parse_weights(text) if weighted else [(text, 1.0)]
    tokens = [
        Token(id, weight)
        for part, weight in parts
        for id in tokenizer(part, add_special_tokens=False, verbose=False)["input_ids"]
    ]
    return tokens if case.get("prompt_overflow") == "Chunk" else tokens[:WINDOW]


def parse_weights(text: str) -> list[tuple[str, float]]:
    """`(a)` is 1.1, `[a]` is 1/1.1, `(a:1.3)` is 1.3, nested they multiply; `\\(` is a bracket.

    A bracket that is never closed still counts for all that follows it, a closing one that nothing
    opened is a character, and a lone backslash is nothing.
    """
    parts: list[list] = []
    open_round: list[int] = []
    open_square: list[int] = []
    stated = None
    for piece in PIECE.findall(text):
        if piece == "(":
            open_round.append(len(parts))
        elif piece == "[":
            open_square.append(len(parts))
        elif piece[0] == ":" and len(piece) > 1 and open_round:
            stated = float(piece[1:])
        elif piece == ")" and open_round:
            multiply(parts, open_round.pop(), STRONGER if stated is None else stated)
            stated = None
        elif piece == "]" and open_square:
            multiply(parts, open_square.pop(), WEAKER)
        else:
            parts.append([piece[1:] if piece[0] == "\\" else piece, 1.0])
    for start in open_round:
        multiply(parts, start, STRONGER)
    for start in open_square:
        multiply(parts, start, WEAKER)
    return join_equal(parts)


def multiply(parts: list[list], start: int, factor: float) -> None:
    for part in parts[start:]:
        part[1] *= factor


def join_equal(parts: list[list]) -> list[tuple[str, float]]:
    """Neighbours of one weight are one text, so that no word is cut for the tokenizer."""
    joined: list[tuple[str, float]] = []
    for text, weight in parts:
        if joined and joined[-1][1] == weight:
            joined[-1] = (joined[-1][0] + text, weight)
        else:
            joined.append((text, weight))
    return joined


def windows_of(tokens: list[Token]) -> int:
    return max(1, -(-len(tokens) // WINDOW))


def encode(components: Components, tokens: dict[str, list[Token]], count: int) -> Embeds:
    windows = [encode_window(components, tokens, i) for i in range(count)]
    states = torch.cat([window.states for window in windows], dim=1)
    return Embeds(states, windows[0].pooled)


def encode_window(components: Components, tokens: dict[str, list[Token]], index: int) -> Embeds:
    """One window by every encoder; SDXL joins them on the feature axis."""
    states, pooled = [], None
    for number, text in enumerate(components.text_encoders.values()):
        name = list(components.tokenizers)[number]
        chunk = tokens[name][index * WINDOW : (index + 1) * WINDOW]
        ids = torch.tensor([frame(components.tokenizers[name], chunk)])
        result = text(input_ids=ids, output_hidden_states=components.is_sdxl)
        own = result.hidden_states[-2] if components.is_sdxl else result.last_hidden_state
        states.append(weigh(own, chunk))
        pooled = result.text_embeds if "text_embeds" in result else None
    return Embeds(torch.cat(states, dim=-1), pooled)


def frame(tokenizer: CLIPTokenizer, chunk: list[Token]) -> list[int]:
    padding = [tokenizer.pad_token_id] * (WINDOW - len(chunk))
    ids = [token.id for token in chunk]
    return [tokenizer.bos_token_id, *ids, tokenizer.eos_token_id, *padding]


def weigh(states: torch.Tensor, chunk: list[Token]) -> torch.Tensor:
    """The weight of start, end and padding is 1. Without any other weight nothing is touched."""
    weights = torch.ones(states.shape[1])
    weights[1 : len(chunk) + 1] = torch.tensor([token.weight for token in chunk])
    if bool((weights == 1).all()):
        return states
    mean = states.mean()
    scaled = states * weights[None, :, None]
    return scaled * (mean / scaled.mean())
