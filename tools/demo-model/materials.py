"""Draws surfaces of five materials with five defects, each with the exact mask of its defect.

Everything is drawn from a numpy generator, so a seed gives the same pictures everywhere.
Pictures are float arrays of shape (64, 64, 3) in 0..1, masks float arrays of shape (64, 64).
"""

from typing import NamedTuple

import numpy as np
from PIL import Image, ImageDraw, ImageFilter

SIDE = 64
FINE = 2 * SIDE  # Defects are drawn at twice the size and reduced, which smooths their edges.

NO_DEFECT = "no defect"
MATERIALS = ("metal", "wood", "fabric", "leather", "concrete")
DEFECTS = ("scratch", "dent", "stain", "crack", "hole", NO_DEFECT)
CAPTIONS = (
    "{article}{defect} on {material}",
    "a photo of {article}{defect} on {material}",
    "{defect} {material}",
    "{material} with {article}{defect}",
    "close-up of {material} surface, {defect}",
)


class Sample(NamedTuple):
    """One picture (64, 64, 3) and the exact mask of its defect (64, 64), both uint8."""

    picture: np.ndarray
    mask: np.ndarray
    material: str
    defect: str
    caption: str


def draw_sample(rng):
    """A surface of any material with any defect, captioned in one of the five ways."""
    material, defect = MATERIALS[rng.integers(5)], DEFECTS[rng.integers(6)]
    picture, mask = draw_defect(rng, draw_material(rng, material), defect)
    text = caption(material, defect, rng.integers(len(CAPTIONS)))
    return Sample(to_bytes(picture), to_bytes(mask), material, defect, text)


def caption(material, defect, template):
    """The words of a picture, e.g. "a photo of a scratch on metal"."""
    article = "" if defect == NO_DEFECT else "a "
    return CAPTIONS[template].format(article=article, defect=defect, material=material)


def all_captions():
    """Every caption the generator can write, in a fixed order."""
    return [
        caption(material, defect, template)
        for material in MATERIALS
        for defect in DEFECTS
        for template in range(len(CAPTIONS))
    ]


def to_bytes(values):
    """Rounds down 0..1 to 0..255."""
    return (np.clip(values, 0, 1) * 255).astype(np.uint8)


def draw_material(rng, material):
    """A flawless surface."""
    return _SURFACES[material](rng)


def draw_defect(rng, surface, defect, centre=None):
    """Puts a defect on a surface; `centre` is (x, y) in pixels, near the middle when absent.

    Returns the picture and the exact mask of what the defect changed.
    """
    if defect == NO_DEFECT:
        return surface, np.zeros((SIDE, SIDE))
    centre = rng.uniform(18, 46, 2) if centre is None else np.asarray(centre)
    return _DEFECT_PAINTERS[defect](rng, surface, 2 * centre)


def _grid():
    y, x = np.mgrid[0:SIDE, 0:SIDE].astype(np.float32)
    return x, y


def _noise(rng, grain_x, grain_y):
    """Smooth noise in 0..1 whose grains are so many pixels wide and high."""
    margin = 4
    shape = (max(2, SIDE // grain_y + 2), max(2, SIDE // grain_x + 2))
    grains = Image.fromarray((rng.random(shape).astype(np.float32) * 255).astype(np.uint8))
    smooth = grains.resize((SIDE + 2 * margin, SIDE + 2 * margin), Image.BICUBIC)
    return np.asarray(smooth, np.float32)[margin:-margin, margin:-margin] / 255


def _tint(rng, colour, deviation):
    return np.array(colour) + rng.normal(0, deviation, 3)


def _metal(rng):
    brushed = 0.6 * _noise(rng, 32, 1) + 0.4 * _noise(rng, 16, 2)
    picture = _tint(rng, (0.62, 0.65, 0.70), 0.03) + (brushed[..., None] - 0.5) * 0.16
    x, _ = _grid()
    return picture + ((x / SIDE - 0.5) * rng.uniform(-0.15, 0.15))[..., None]


def _wood(rng):
    x, y = _grid()
    warp = _noise(rng, 20, 20) * 10
    frequency = rng.uniform(0.45, 0.8)
    phase = (y + warp + rng.uniform(0, 9)) * frequency
    rings = np.sin(phase + np.sin(x * 0.06 + rng.uniform(0, 6)) * 1.5)
    base = _tint(rng, (0.58, 0.38, 0.20), 0.03)
    grain = rings[..., None] * 0.5 + _noise(rng, 24, 1)[..., None] * 0.4
    return base + grain * np.array([0.16, 0.12, 0.07])


def _fabric(rng):
    x, y = _grid()
    period = rng.integers(4, 6)
    dye = np.array(((0.25, 0.35, 0.62), (0.62, 0.25, 0.28), (0.30, 0.55, 0.38))[rng.integers(3)])
    turn = 2 * np.pi / period
    weave = np.sin(x * turn) * np.sin(y * turn) * 0.09 + np.sin((x + y) * turn) * 0.05
    return dye + weave[..., None] + (_noise(rng, 8, 8)[..., None] - 0.5) * 0.08


def _leather(rng):
    pores = np.abs(_noise(rng, 5, 5) - 0.5) * 2
    picture = _tint(rng, (0.34, 0.20, 0.12), 0.02) + (pores[..., None] - 0.4) * 0.16
    return picture + (_noise(rng, 30, 30)[..., None] - 0.5) * 0.08


def _concrete(rng):
    grains = 0.5 * _noise(rng, 16, 16) + 0.3 * _noise(rng, 6, 6) + 0.2 * _noise(rng, 2, 2)
    return np.full(3, 0.55) + rng.normal(0, 0.03) + (grains[..., None] - 0.5) * 0.28


def _canvas():
    image = Image.new("L", (FINE, FINE), 0)
    return image, ImageDraw.Draw(image)


def _reduced(image, blur_radius=0):
    """The drawing at picture size, as 0..1."""
    if blur_radius > 0:
        return _shrunk(image.filter(ImageFilter.GaussianBlur(blur_radius)), Image.BICUBIC)
    return _shrunk(image, Image.LANCZOS)


def _shrunk(image, filter_name):
    return np.asarray(image.resize((SIDE, SIDE), filter_name), np.float32) / 255


def _mixed(surface, paint, coverage):
    return surface * (1 - coverage[..., None]) + coverage[..., None] * paint


def _scratch(rng, surface, centre):
    image, pen = _canvas()
    angle, length = rng.uniform(0, np.pi), rng.uniform(40, 80)
    half = np.array([np.cos(angle), np.sin(angle)]) * length / 2
    for _ in range(rng.integers(1, 3)):
        offset = rng.uniform(-8, 8) * np.array([1, -1])
        ends = [tuple(centre - half + offset), tuple(centre + half + offset)]
        pen.line(ends, fill=255, width=int(rng.integers(2, 5)))
    coverage = _reduced(image)
    return _mixed(surface, np.clip(surface * 1.15 + 0.38, 0, 1), coverage), coverage


def _crack(rng, surface, centre):
    image, pen = _canvas()
    x, y = centre[0] - 30, centre[1] + rng.uniform(-20, 20)
    points = [(x, y)]
    for _ in range(8):
        x, y = x + rng.uniform(4, 12), y + rng.uniform(-9, 9)
        points.append((x, y))
    pen.line(points, fill=255, width=int(rng.integers(3, 5)))
    fork = points[rng.integers(2, 6)]
    side = 1 if rng.random() < 0.5 else -1
    tip = (fork[0] + rng.uniform(5, 15), fork[1] + rng.uniform(12, 26) * side)
    pen.line([fork, tip], fill=255, width=2)
    coverage = _reduced(image)
    return _mixed(surface, surface * 0.12, coverage), coverage


def _hole(rng, surface, centre):
    image, pen = _canvas()
    radius = rng.uniform(12, 24)
    half = np.array([radius, radius * 0.9])
    pen.ellipse([*(centre - half), *(centre + half)], fill=255)
    coverage, rim = _reduced(image), _reduced(image, blur_radius=4)
    shaded = surface * (1 - rim[..., None] * 0.35)
    return _mixed(shaded, 0.03, coverage), np.maximum(coverage, rim > 0.05)


def _dent(rng, surface, centre):
    x, y = _grid()
    radius = rng.uniform(12, 24) / 1.6
    across, down = (x - centre[0] / 2) / radius, (y - centre[1] / 2) / radius
    depth = np.exp(-(across**2 + down**2))
    light = (across + down) * depth * 0.42 - depth * 0.06
    return surface + light[..., None], (depth > 0.1).astype(np.float32)


def _stain(rng, surface, centre):
    image, pen = _canvas()
    radius = rng.uniform(12, 24)
    for _ in range(6):
        middle = centre + rng.normal(0, radius * 0.5, 2)
        blot = radius * rng.uniform(0.4, 0.8)
        pen.ellipse([*(middle - blot), *(middle + blot)], fill=255)
    coverage = _reduced(image, blur_radius=3)
    colour = np.array(((0.30, 0.17, 0.05), (0.08, 0.08, 0.10))[rng.integers(2)])
    return _mixed(surface, colour, coverage * 0.72), (coverage > 0.1).astype(np.float32)


_SURFACES = {
    "metal": _metal,
    "wood": _wood,
    "fabric": _fabric,
    "leather": _leather,
    "concrete": _concrete,
}
_DEFECT_PAINTERS = {
    "scratch": _scratch,
    "crack": _crack,
    "hole": _hole,
    "dent": _dent,
    "stain": _stain,
}
