"""Picture: an image in a message, read from a file or a data URL and told by its first bytes, not by its name."""

from __future__ import annotations

import base64
import binascii
import hashlib
import re
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path, PurePath
from typing import Any

import msgspec

from workbench import paths
from workbench.errors import FileError
from workbench.prompting.picture_size import PictureSize, read_size

LARGEST_BYTES = 20 * 2**20
MOST_PIXELS = 64_000_000
"""Pixels of a picture: a small file may claim so many that no memory holds them."""

_LONGEST_NAME = 60
_DATA_URL = re.compile(r"\Adata:image/[\w.+-]+;base64,", re.IGNORECASE)
_SIGNATURES = (
    (b"\x89PNG\r\n\x1a\n", "image/png"),
    (b"\xff\xd8\xff", "image/jpeg"),
    (b"GIF87a", "image/gif"),
    (b"GIF89a", "image/gif"),
)


class Picture(msgspec.Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True):
    """media_type: such as image/png. at: where in the message's text it stands, in characters.

    name: what a person calls it, which no model and no cache sees.
    """

    media_type: str
    data: bytes
    at: int = 0
    name: str = ""

    @property
    def digest(self) -> str:
        """Of its bytes, in hexadecimal."""
        return hashlib.blake2b(self.data, digest_size=16).hexdigest()

    @property
    def size(self) -> PictureSize | None:
        """Its pixels, as its header has them; None where that cannot be read."""
        return read_size(self.media_type, self.data)

    @property
    def without_name(self) -> Picture:
        """The same, as a model sees it."""
        return msgspec.structs.replace(self, name="")

    @property
    def encoded(self) -> str:
        """Its bytes in base64."""
        return base64.b64encode(self.data).decode()

    @property
    def url(self) -> str:
        return f"data:{self.media_type};base64,{self.encoded}"


def load_picture(text: str, folder: Path, name: str) -> Picture:
    """The picture that a variable names: a data URL, or a file, from the folder first. Nothing is fetched.

    Raises FileError that says which variable, what was expected and what was found.
    """
    given = text.strip()
    if match := _DATA_URL.match(given):
        try:
            data = base64.b64decode(given[match.end() :], validate=True)
        except (binascii.Error, ValueError) as error:
            raise FileError(f"`{name}` is a data URL whose base64 is broken.", "Encode the picture again.") from error
        where, shown = "its data URL", name
    else:
        where, shown = given[:200], PurePath(given).name[-_LONGEST_NAME:]
        data = _read_file(given, folder, name)
    picture = Picture(_find_type(data, name, where), data, name=shown)
    size = picture.size
    if size and size.width * size.height > MOST_PIXELS:
        raise FileError(
            f"`{name}`: {where} has {size.width:,} × {size.height:,} pixels; at most {MOST_PIXELS:,} in all are read.",
            "Make it smaller.",
        )
    return picture


def load_pictures(values: Mapping[str, Any], kinds: Mapping[str, str], folder: Path) -> dict[str, Any]:
    """The values with the pictures that those of kind `image` name; empty ones stay. Raises FileError."""
    named = (name for name, kind in kinds.items() if kind == "image")
    given = {name: values[name] for name in named if isinstance(values.get(name), str) and values[name].strip()}
    return {**values, **{name: load_picture(text, folder, name) for name, text in given.items()}}


def insert_at_pictures(text: str, pictures: Sequence[Picture], make: Callable[[Picture], str]) -> str:
    """The text with what is made of each picture at its place."""
    parts: list[str] = []
    at = 0
    for picture in pictures:
        parts += [text[at : picture.at], make(picture)]
        at = picture.at
    return "".join([*parts, text[at:]])


def _read_file(given: str, folder: Path, name: str) -> bytes:
    try:
        path = folder / given if paths.exists(folder / given) else paths.expand(given)
        size, data = path.stat().st_size, b""
        if size <= LARGEST_BYTES:
            data = path.read_bytes()
    except (OSError, ValueError, FileError) as error:
        raise FileError(
            f"`{name}`: there is no picture {given[:200]!r}.", "Name a file, relative to the bench, or a data URL."
        ) from error
    if size > LARGEST_BYTES:
        raise FileError(f"`{name}`: {given[:200]} is larger than {LARGEST_BYTES >> 20} MB.", "Make it smaller.")
    return data


def _find_type(data: bytes, name: str, where: str) -> str:
    found = next((kind for begin, kind in _SIGNATURES if data.startswith(begin)), "")
    if not found and data[:4] == b"RIFF" and data[8:12] == b"WEBP":
        found = "image/webp"
    if not found:
        raise FileError(f"`{name}`: expected a PNG, JPEG, GIF or WebP picture, found other data in {where}.")
    return found
