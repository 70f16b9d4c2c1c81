"""The pixels of a PNG, JPEG, GIF or WebP picture, read from its header: nothing is decoded."""

from __future__ import annotations

from typing import NamedTuple


class PictureSize(NamedTuple):
    """In pixels, as the file stores them."""

    width: int
    height: int


def read_size(media_type: str, data: bytes) -> PictureSize | None:
    """The size that a header tells; None for one that is damaged."""
    readers = {"image/png": _read_png, "image/jpeg": _read_jpeg, "image/gif": _read_gif, "image/webp": _read_webp}
    reader = readers.get(media_type)
    found = reader(data) if reader else None
    return found if found and found.width > 0 and found.height > 0 else None


def _big(data: bytes, start: int, count: int) -> int:
    return int.from_bytes(data[start : start + count], "big")


def _little(data: bytes, start: int, count: int) -> int:
    return int.from_bytes(data[start : start + count], "little")


def _read_png(data: bytes) -> PictureSize | None:
    """The IHDR chunk comes first (PNG specification, 5.6)."""
    return PictureSize(_big(data, 16, 4), _big(data, 20, 4)) if data[12:16] == b"IHDR" and len(data) >= 24 else None


def _read_gif(data: bytes) -> PictureSize | None:
    """The logical screen (GIF89a, 18)."""
    return PictureSize(_little(data, 6, 2), _little(data, 8, 2)) if len(data) >= 10 else None


def _read_jpeg(data: bytes) -> PictureSize | None:
    """The first start-of-frame segment (ITU T.81, B.2.2); other segments are skipped by their length."""
    at = 2
    while at + 9 <= len(data):
        if data[at] != 0xFF:
            return None
        marker = data[at + 1]
        if marker == 0xFF:  # a fill byte
            at += 1
        elif marker == 0x01 or 0xD0 <= marker <= 0xD8:  # these stand alone
            at += 2
        elif 0xC0 <= marker <= 0xCF and marker not in (0xC4, 0xC8, 0xCC):
            return PictureSize(_big(data, at + 7, 2), _big(data, at + 5, 2))
        else:
            at += 2 + max(2, _big(data, at + 2, 2))
    return None


def _read_webp(data: bytes) -> PictureSize | None:
    """Lossy, lossless or extended (WebP container specification; RFC 9649)."""
    kind = data[12:16]
    if len(data) < 30:
        return None
    if kind == b"VP8X":
        return PictureSize(1 + _little(data, 24, 3), 1 + _little(data, 27, 3))
    if kind == b"VP8L":
        bits = _little(data, 21, 4)
        return PictureSize(1 + (bits & 0x3FFF), 1 + (bits >> 14 & 0x3FFF))
    if kind == b"VP8 ":
        return PictureSize(_little(data, 26, 2) & 0x3FFF, _little(data, 28, 2) & 0x3FFF)
    return None
