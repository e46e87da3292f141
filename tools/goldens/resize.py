"""Writes test/unit/inference/fixtures/resize.json: what Pillow and diffusers make of known pictures.

    python tools/goldens/resize.py        (Pillow 13.0, numpy, diffusers 0.42.1)

Sample i of every source is the high byte of (i + 1) * 2654435761 mod 2^32. Bytes are base64.
"""

import base64
import json
import random
from pathlib import Path

import numpy
from diffusers.image_processor import VaeImageProcessor
from PIL import Image, ImageFilter

FILTERS = {
    "Nearest": Image.Resampling.NEAREST,
    "Bilinear": Image.Resampling.BILINEAR,
    "Bicubic": Image.Resampling.BICUBIC,
    "Lanczos": Image.Resampling.LANCZOS,
}
processor = VaeImageProcessor(do_resize=True, vae_scale_factor=8)


def source(width, height, channels):
    index = numpy.arange(width * height * channels, dtype=numpy.uint64)
    values = ((index + 1) * 2654435761 % 2**32 >> 24).astype(numpy.uint8)
    return Image.fromarray(values.reshape((height, width, 3) if channels == 3 else (height, width)))


def text(image):
    return base64.b64encode(image.tobytes()).decode()


def resized():
    sizes = [(37, 23, 39, 29), (37, 23, 13, 9), (37, 23, 48, 8), (37, 23, 37, 27), (37, 23, 31, 23)]
    sizes += [(37, 23, 1, 1), (1, 1, 5, 3), (2, 3, 31, 17), (301, 203, 17, 11), (16, 16, 8, 24)]
    for width, height, to_width, to_height in sizes:
        for name, kind in FILTERS.items():
            image = source(width, height, 3).resize((to_width, to_height), kind)
            yield {"from": [width, height], "to": [to_width, to_height], "filter": name, "bytes": text(image)}


def blurred():
    for width, height in [(37, 23), (5, 3)]:
        for radius in [0, 0.5, 1, 2, 3, 5, 13, 64]:
            image = source(width, height, 1).filter(ImageFilter.GaussianBlur(radius))
            yield {"from": [width, height], "radius": radius, "bytes": text(image)}


def fitted():
    # Where the gap is odd, diffusers leaves a black line at the far edge, and we repeat the edge.
    for to in [(24, 24), (16, 40), (40, 32), (48, 24)]:
        for mode, name in [("fill", "Fit"), ("crop", "Fill"), ("default", "Stretch")]:
            for size in [(36, 18), (20, 40)]:
                image = processor.resize(source(*size, 3), to[1], to[0], mode)
                yield {"from": size, "to": to, "mode": name, "bytes": text(image)}


def regions():
    rng = random.Random(7)
    for _ in range(80):
        width, height = rng.randint(8, 900), rng.randint(8, 900)
        left, right = sorted(rng.sample(range(width + 1), 2))
        top, bottom = sorted(rng.sample(range(height + 1), 2))
        mask = Image.new("L", (width, height))
        mask.paste(255, (left, top, right, bottom))
        target = (rng.choice([64, 512, 768, 1024]), rng.choice([64, 512, 640, 1024]))
        padding = rng.choice([0, 1, 8, 32, 512])
        box = processor.get_crop_region(mask, *target, pad=padding)
        yield {"from": [width, height], "box": [left, top, right, bottom], "to": target, "padding": padding, "region": box}


def overlaid():
    """diffusers' way back: painted 24x16 into the region of a 37x23 picture."""
    mask = source(37, 23, 1)
    for region in [(3, 2, 27, 18), (5, 1, 35, 21), (0, 0, 12, 8), (9, 2, 15, 22)]:
        image = processor.apply_overlay(mask, source(37, 23, 3), source(24, 16, 3), region)
        yield {"region": region, "bytes": text(image)}


groups = {"resized": resized, "blurred": blurred, "fitted": fitted, "regions": regions, "overlaid": overlaid}
path = Path(__file__).parents[2] / "test/unit/inference/fixtures/resize.json"


def lines(case):
    return "    {\n" + ",\n".join(f'      "{key}": {json.dumps(value)}' for key, value in case.items()) + "\n    }"


# One field a line, as the formatter of the project wants it.
parts = [f'  "{name}": [\n' + ",\n".join(map(lines, make())) + "\n  ]" for name, make in groups.items()]
path.write_text("{\n" + ",\n".join(parts) + "\n}\n")
print(f"{path.name}: {path.stat().st_size} bytes")
