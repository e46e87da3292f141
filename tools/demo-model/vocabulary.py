"""Learns the CLIP-format byte-pair vocabulary of the demo model from words.

The words are those of the captions and a list of everyday ones, so any prompt can be read.
"""

import json
import re
from collections import Counter

from components import TOKENS_MAX
from materials import all_captions

MERGES_MAX = 1000
CAPTION_WEIGHT = 160
WORD_WEIGHT = 3
START, END = "<|startoftext|>", "<|endoftext|>"
WORD_END = "</w>"
EVERYDAY_WORDS = """
the a an of on in with and or at to for from by is are very small large big tiny deep light dark
long short thin thick round red blue green brown grey gray white black silver golden rusty dirty
clean new old smooth rough shiny matte macro photo picture image close-up closeup surface texture
material industrial inspection sample part plate sheet board cloth textile stone cement steel iron
aluminium plastic rubber glass ceramic paint coating defect damage damaged broken scratched dented
stained cracked scratches dents stains cracks holes spot mark line edge corner center top bottom
left right high quality sharp detailed lighting studio background rust engraved bent burn bubble
""".split()


def write_vocabulary(folder):
    """Writes vocab.json, merges.txt and the tokenizer's settings; returns the number of tokens."""
    letters = byte_letters()
    merges = learn_merges(count_words(), letters)
    alphabet = list(letters.values())
    joined = [left + right for left, right in merges]
    tokens = [*alphabet, *(letter + WORD_END for letter in alphabet), *joined, START, END]
    folder.mkdir(parents=True, exist_ok=True)
    numbered = {token: number for number, token in enumerate(tokens)}
    (folder / "vocab.json").write_text(json.dumps(numbered, ensure_ascii=False), "utf-8")
    lines = ["#version: 0.2", *(f"{left} {right}" for left, right in merges), ""]
    (folder / "merges.txt").write_text("\n".join(lines), "utf-8")
    write_settings(folder)
    return len(tokens)


def write_settings(folder):
    special = {"bos_token": START, "eos_token": END, "pad_token": END, "unk_token": END}
    settings = {
        **special,
        "model_max_length": TOKENS_MAX,
        "do_lower_case": True,
        "tokenizer_class": "CLIPTokenizer",
    }
    (folder / "special_tokens_map.json").write_text(json.dumps(special, indent=1))
    (folder / "tokenizer_config.json").write_text(json.dumps(settings, indent=1))


def byte_letters():
    """A printable letter for each byte, in the order in which CLIP numbers them."""
    visible = [*range(0x21, 0x7F), *range(0xA1, 0xAD), *range(0xAE, 0x100)]
    hidden = [byte for byte in range(256) if byte not in visible]
    letters = [chr(byte) for byte in visible] + [chr(256 + i) for i in range(len(hidden))]
    return dict(zip([*visible, *hidden], letters))


def count_words():
    """How much each word counts; captions count more than everyday words."""
    words = Counter()
    for caption in all_captions():
        for word in re.findall(r"[a-z]+|[0-9]|[^\sa-z0-9]+", caption):
            words[word] += CAPTION_WEIGHT
    for word in EVERYDAY_WORDS:
        words[word] += WORD_WEIGHT
    return words


def learn_merges(words, letters):
    """Joins the most frequent neighbours again and again; equals are ordered by their letters."""
    spelt = {spell(word, letters): count for word, count in words.items()}
    merges = []
    while len(merges) < MERGES_MAX:
        pairs = Counter()
        for word, count in spelt.items():
            for pair in zip(word, word[1:]):
                pairs[pair] += count
        if not pairs:
            break
        best = max(pairs, key=lambda pair: (pairs[pair], pair))
        merges.append(best)
        spelt = {merged(word, best): count for word, count in spelt.items()}
    return merges


def spell(word, letters):
    *first, last = (letters[byte] for byte in word.encode())
    return (*first, last + WORD_END)


def merged(word, pair):
    joined, i = [], 0
    while i < len(word):
        step = 2 if word[i : i + 2] == pair else 1
        joined.append("".join(word[i : i + step]))
        i += step
    return tuple(joined)
