"""Small pictures for tests, in the formats that are read."""

from __future__ import annotations

import io

import numpy as np
from PIL import Image

from workbench.prompting.pictures import Picture


def make_image(seed: int = 1, width: int = 40, height: int = 30) -> Image.Image:
    """Noise of this size, the same each time."""
    pixels = np.random.default_rng(seed).integers(0, 255, (height, width, 3), dtype=np.uint8)
    return Image.fromarray(pixels)


def encode_image(image: Image.Image, kind: str = "PNG", **options: object) -> bytes:
    """The bytes of a file."""
    buffer = io.BytesIO()
    image.save(buffer, kind, **options)
    return buffer.getvalue()


def make_picture(seed: int = 1, at: int = 0, name: str = "noise.png") -> Picture:
    """The same noise as part of a message."""
    return Picture("image/png", encode_image(make_image(seed)), at, name)
