"""Draws what the inpainting UNet learns from: a picture, a mask, and words for the masked part.

Under the mask stands what the caption says; around it the surface may be flawless or carry another
defect, so the network learns to look at the words for the inside and at the picture for the rest.
"""

from typing import NamedTuple

import numpy as np
from PIL import Image, ImageDraw, ImageFilter

from materials import (
    CAPTIONS,
    DEFECTS,
    MATERIALS,
    NO_DEFECT,
    SIDE,
    caption,
    draw_defect,
    draw_material,
    to_bytes,
)

FULL_MASK_SHARE = 0.25
OUTLINE_SHARE = 0.45  # The rest are boxes, ellipses and, rarely, masks that cut the defect.
CUT_SHARE = 0.06
NEIGHBOUR_SHARE = 0.3
TRIES_MAX = 8


class InpaintingSample(NamedTuple):
    """Picture (64, 64, 3) and mask (64, 64; 255 = repaint), both uint8, and the words."""

    picture: np.ndarray
    mask: np.ndarray
    caption: str


def draw_inpainting_sample(rng):
    """One picture whose masked part is what the caption says."""
    material, defect = MATERIALS[rng.integers(5)], DEFECTS[rng.integers(6)]
    surface = draw_material(rng, material)
    picture, exact = _defect_anywhere(rng, surface, defect)
    mask = draw_mask(rng, exact)
    if rng.random() < NEIGHBOUR_SHARE:
        picture = _with_neighbour(rng, picture, mask)
    text = caption(material, defect, rng.integers(len(CAPTIONS)))
    return InpaintingSample(to_bytes(picture), to_bytes(mask), text)


def _defect_anywhere(rng, surface, defect):
    """The defect at any place; "no defect" gets the mask of a defect that was repaired."""
    drawn = DEFECTS[rng.integers(5)] if defect == NO_DEFECT else defect
    for _ in range(TRIES_MAX):
        picture, exact = draw_defect(rng, surface, drawn, rng.uniform(8, SIDE - 8, 2))
        if (exact > 0.5).sum() >= 12:
            break
    return (surface if defect == NO_DEFECT else picture), exact


def _with_neighbour(rng, picture, mask):
    """Adds a defect that the mask does not touch, where there is room for one."""
    for _ in range(TRIES_MAX):
        other = DEFECTS[rng.integers(5)]
        changed, exact = draw_defect(rng, picture, other, rng.uniform(4, SIDE - 4, 2))
        if not np.any((exact > 0.02) & (mask > 0)):
            return changed
    return picture


def draw_mask(rng, exact):
    """A mask for a defect as people paint it: roomy, a box, an ellipse or the whole picture."""
    choice = rng.random()
    if choice < FULL_MASK_SHARE:
        return np.ones((SIDE, SIDE), np.float32)
    if choice < FULL_MASK_SHARE + OUTLINE_SHARE:
        return _grown_outline(rng, exact)
    return _shape_around(rng, exact, cut=choice > 1 - CUT_SHARE)


def _grown_outline(rng, exact):
    """The defect's own outline, a few pixels wider on every side."""
    outline = Image.fromarray(((exact > 0.1) * 255).astype(np.uint8))
    radius = int(rng.integers(2, 11))
    grown = outline.filter(ImageFilter.MaxFilter(2 * radius + 1))
    softened = grown.filter(ImageFilter.GaussianBlur(radius / 2))
    return (np.asarray(softened, np.float32) > 100).astype(np.float32)


def _shape_around(rng, exact, cut):
    """A box or ellipse around the defect, or one that cuts off a part of it."""
    rows, columns = np.nonzero(exact > 0.1)
    low = np.array([columns.min(), rows.min()], float)
    high = np.array([columns.max(), rows.max()], float)
    margin = rng.uniform(-8, 2, 4) if cut else rng.uniform(0, 10, 4)
    low, high = low - margin[:2], high + margin[2:]
    middle, half = (low + high) / 2, np.maximum((high - low) / 2, 3)
    image = Image.new("L", (SIDE, SIDE), 0)
    pen = ImageDraw.Draw(image)
    if rng.random() < 0.5:
        pen.rectangle([*(middle - half), *(middle + half)], fill=255)
    else:
        pen.ellipse([*(middle - 1.3 * half), *(middle + 1.3 * half)], fill=255)
    return np.asarray(image, np.float32) / 255
