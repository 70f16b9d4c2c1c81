"""The header of a safetensors file: which tensors it holds, in which shapes, without reading any of them.

Every length is checked before memory is touched for it. Knows nothing of what the tensors are for.
Source: the safetensors format specification.
"""

from __future__ import annotations

import math
import os
from pathlib import Path
from typing import NamedTuple

import msgspec

from workbench.errors import ModelError
from workbench.models.foreign_file import open_regular, shorten
from workbench.models.unfinished import check_finished

LONGEST_HEADER = 100_000_000
"""Bytes; the format's own limit."""

_SIZES = {"F64": 8, "I64": 8, "U64": 8, "F32": 4, "I32": 4, "U32": 4, "F16": 2, "BF16": 2, "I16": 2, "U16": 2}
MOST_DIMENSIONS = 16
MOST_ELEMENTS = 1 << 62
_AGAIN = "Fetch or save the file again."


class Tensor(msgspec.Struct, frozen=True):
    """One tensor. data_offsets: where it begins and ends, in bytes after the header."""

    dtype: str
    shape: tuple[int, ...]
    data_offsets: tuple[int, int]

    @property
    def elements(self) -> int:
        return math.prod(self.shape)


class Tensors(NamedTuple):
    """The tensors of a file by name, the file's size, and the byte at which their data begins."""

    tensors: dict[str, Tensor]
    file_bytes: int
    data_start: int


def read_tensors(path: Path) -> Tensors:
    """The tensors of a safetensors file. Raises ModelError: not there, not such a file, cut off, damaged."""
    check_finished(path)
    try:
        with open_regular(path) as file:
            size = os.fstat(file.fileno()).st_size
            length = int.from_bytes(file.read(8), "little")
            if not 2 <= length <= min(LONGEST_HEADER, size - 8):
                raise ModelError(
                    f"{path} is cut off, or no safetensors file: its header should have {length:,} bytes,"
                    f" and the file has {size:,}.",
                    _AGAIN,
                )
            header = file.read(length)
    except OSError as error:
        raise ModelError(
            f"{path} cannot be read: {error.strerror or error}.", "Look whether the file is there."
        ) from error
    return Tensors(_decode(path, header, size - 8 - length), size, 8 + length)


def _decode(path: Path, header: bytes, room: int) -> dict[str, Tensor]:
    try:
        entries = msgspec.json.decode(header, type=dict[str, msgspec.Raw])
        entries.pop("__metadata__", None)
        tensors = {name: msgspec.json.decode(raw, type=Tensor) for name, raw in entries.items()}
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise ModelError(f"{path} has a damaged header: {shorten(str(error))}.", _AGAIN) from error
    end = max((tensor.data_offsets[1] for tensor in tensors.values()), default=0)
    if end > room:
        raise ModelError(
            f"{path} is cut off: its tensors need {end:,} bytes after the header, and {room:,} are there.", _AGAIN
        )
    wrong = [name for name, tensor in tensors.items() if not _is_sound(tensor)]
    if wrong:
        raise ModelError(
            f"{path} has a damaged header: the sizes of {', '.join(map(shorten, wrong[:5]))} do not add up.", _AGAIN
        )
    return tensors


def _is_sound(tensor: Tensor) -> bool:
    begin, end = tensor.data_offsets
    if len(tensor.shape) > MOST_DIMENSIONS or tensor.elements > MOST_ELEMENTS:
        return False
    size = _SIZES.get(tensor.dtype)
    return (
        0 <= begin <= end
        and min(tensor.shape, default=0) >= 0
        and (size is None or tensor.elements * size == end - begin)
    )
