"""Reads the header of a GGUF file, with every length checked before it is believed.

Format: https://github.com/ggml-org/ggml/blob/master/docs/gguf.md, versions 2 and 3, little-endian. Large arrays
(vocabularies) are stepped over and only their length is kept: a vocabulary of 152,000 tokens takes 0.15 s, where
gguf.GGUFReader, which makes a numpy array of every string, takes over 30 s on the same machine.
"""

from __future__ import annotations

import math
import mmap
import os
import struct
from collections.abc import Mapping
from pathlib import Path
from typing import Literal, NamedTuple

from workbench.errors import ModelError
from workbench.models.hf_folder import LONGEST_NAME
from workbench.models.untrusted_files import check_finished, check_name, is_folder, open_regular, shorten

Value = str | int | float | bool | tuple[int | float | bool, ...]

KEPT_ARRAY = 1024
"""Number arrays up to this length are kept; longer ones, and string arrays, leave only their length."""

_SCALARS = {0: "B", 1: "b", 2: "H", 3: "h", 4: "I", 5: "i", 6: "f", 7: "?", 10: "Q", 11: "q", 12: "d"}
_STRING, _ARRAY = 8, 9
_LARGEST_DIMENSION_COUNT = 4
"""ggml's own limit."""
_MOST_TENSORS, _MOST_KEYS, _MOST_STRINGS, _MOST_ELEMENTS = 1 << 18, 1 << 16, 1 << 23, 1 << 62
_LONGEST_NAME, _LONGEST_TEXT = 1 << 12, 1 << 24
"""Bytes of a key or tensor's name, and of a text such as a chat template."""
_SMALLEST_ENTRY = 13
"""Bytes that a key, or a tensor's entry, takes at the least."""

_BLOCKS = {
    **{0: (1, 4), 1: (1, 2), 2: (32, 18), 3: (32, 20), 6: (32, 22), 7: (32, 24), 8: (32, 34)},
    **{10: (256, 84), 11: (256, 110), 12: (256, 144), 13: (256, 176), 14: (256, 210), 15: (256, 292)},
    **{16: (256, 66), 17: (256, 74), 18: (256, 98), 19: (256, 50), 20: (32, 18), 21: (256, 110)},
    **{22: (256, 82), 23: (256, 136), 24: (1, 1), 25: (1, 2), 26: (1, 4), 27: (1, 8), 28: (1, 8)},
    **{29: (256, 56), 30: (1, 2), 34: (256, 54), 35: (256, 66), 39: (32, 17)},
}
"""ggml type -> elements in a block and bytes of a block; types that are not here are not checked for size."""


class GgufTensor(NamedTuple):
    """An entry of the tensor list; offset counts from the start of the data."""

    name: str
    shape: tuple[int, ...]
    type: int
    offset: int

    @property
    def elements(self) -> int:
        return math.prod(self.shape)

    @property
    def bytes(self) -> int:
        """Its size in the file; 0 for a type that is not known here."""
        per_block, block_bytes = _BLOCKS.get(self.type, (1, 0))
        return -(-self.elements // per_block) * block_bytes


class GgufHeader(NamedTuple):
    """metadata: key -> value. lengths: length of every array by key. data_start: byte at which tensors
    begin."""

    version: int
    metadata: Mapping[str, Value]
    lengths: Mapping[str, int]
    tensors: tuple[GgufTensor, ...]
    data_start: int
    file_bytes: int


def read_header(path: Path) -> GgufHeader:
    """The header of a GGUF file.

    Raises ModelError for a file that is missing, not GGUF, damaged, or shorter than its tensors need.
    """
    try:
        if is_folder(path):
            raise ModelError(f"{path} is a folder, not a GGUF file.", "Choose the file inside it.")
        check_name(path)
        check_finished(path)
        with open_regular(path) as stream:
            size = os.fstat(stream.fileno()).st_size
            if size < 24:
                raise _not_gguf(path, stream.read(4), size)
            with mmap.mmap(stream.fileno(), 0, access=mmap.ACCESS_READ) as data:
                return _GgufParser(path, data).read()
    except FileNotFoundError as error:
        raise ModelError(
            f"No such model file: {path}.", "Check the path; it may have been moved or deleted."
        ) from error
    except OSError as error:
        raise ModelError(f"Cannot read {path}: {error.strerror or error}.", "Check its permissions.") from error


def _not_gguf(path: Path, magic: bytes, size: int) -> ModelError:
    return ModelError(
        f"{path} is not a GGUF file: expected it to begin with b'GGUF', found {magic!r} in {size:,} bytes.",
        "Choose a file that llama.cpp can run; a Hugging Face folder must be converted first.",
    )


class _GgufParser:
    """A cursor over the bytes that never leaves them."""

    def __init__(self, path: Path, data: mmap.mmap) -> None:
        self._path = path
        self._data = data
        self._size = len(data)
        self._at = 0
        self._lengths: dict[str, int] = {}
        self._strings = 0

    def read(self) -> GgufHeader:
        if self._consume(4) != b"GGUF":
            raise _not_gguf(self._path, self._data[:4], self._size)
        version = self._number("I")
        if version not in (2, 3):
            raise ModelError(
                f"{self._path} is GGUF version {version}; expected version 2 or 3.",
                "Convert the model again with a current converter."
                if version < 2
                else "Big-endian files and later versions cannot be read; convert the model again.",
            )
        tensor_count, key_count = self._number("Q"), self._number("Q")
        self._check_count(tensor_count + key_count, _SMALLEST_ENTRY)
        if tensor_count > _MOST_TENSORS or key_count > _MOST_KEYS:
            raise self._damaged(f"{tensor_count:,} tensors and {key_count:,} keys")
        metadata = dict(self._entry() for _ in range(key_count))
        tensors = tuple(self._tensor() for _ in range(tensor_count))
        alignment = metadata.get("general.alignment", 32)
        if not isinstance(alignment, int) or not 0 < alignment <= 1 << 20:
            raise self._damaged(f"an alignment of {alignment!r}")
        start = -(-self._at // alignment) * alignment
        self._check_data(start, tensors)
        return GgufHeader(version, metadata, self._lengths, tensors, start, self._size)

    def _check_data(self, start: int, tensors: tuple[GgufTensor, ...]) -> None:
        needed = max((start + tensor.offset + tensor.bytes for tensor in tensors), default=0)
        if needed > self._size:
            raise ModelError(
                f"{self._path} is truncated: its tensors need {needed:,} bytes, and it has {self._size:,}.",
                "The download or copy did not finish; fetch the file again.",
            )

    def _entry(self) -> tuple[str, Value]:
        key = self._string(_LONGEST_NAME)
        kind = self._number("I")
        return key, self._array(key) if kind == _ARRAY else self._value(kind)

    def _value(self, kind: int) -> Value:
        if kind == _STRING:
            return self._string(_LONGEST_TEXT)
        if kind not in _SCALARS:
            raise self._damaged(f"value type {kind}")
        value: int | float | bool = struct.unpack("<" + _SCALARS[kind], self._consume(_width(kind)))[0]
        return value

    def _array(self, key: str) -> Value:
        kind, length = self._number("I"), self._number("Q")
        self._lengths[key] = length
        if kind == _STRING:
            self._check_count(length, 8)
            self._strings += length
            if self._strings > _MOST_STRINGS:
                raise self._damaged(f"{self._strings:,} strings in lists")
            self._skip_strings(length)
            return ()
        if kind not in _SCALARS:
            raise self._damaged(f"array type {kind} in {shorten(key)!r}")
        self._check_count(length, _width(kind))
        raw = self._consume(length * _width(kind)) if length <= KEPT_ARRAY else b""
        if not raw:
            self._at += length * _width(kind)
        return struct.unpack(f"<{len(raw) // _width(kind)}{_SCALARS[kind]}", raw)

    def _skip_strings(self, length: int) -> None:
        """Step over strings; written flat because a vocabulary has hundreds of thousands."""
        at, unpack, data, last = self._at, struct.Struct("<Q").unpack_from, self._data, self._size - 8
        for _ in range(length):
            if at > last:
                raise self._truncated()
            at += 8 + unpack(data, at)[0]
        if at > self._size:
            raise self._truncated()
        self._at = at

    def _tensor(self) -> GgufTensor:
        name, dimensions = self._string(_LONGEST_NAME), self._number("I")
        if dimensions > _LARGEST_DIMENSION_COUNT:
            raise self._damaged(f"{dimensions} dimensions in tensor {shorten(name)!r}")
        *shape, kind, offset = struct.unpack(f"<{dimensions}QIQ", self._consume(8 * dimensions + 12))
        tensor = GgufTensor(name, tuple(shape), kind, offset)
        if tensor.elements > _MOST_ELEMENTS:
            raise self._damaged(f"a shape of {'x'.join(map(str, shape))} in tensor {shorten(name)!r}")
        return tensor

    def _string(self, longest: int) -> str:
        length = self._number("Q")
        if longest < length <= self._size - self._at:
            raise self._damaged(f"a text of {length:,} bytes")
        return self._consume(length).decode("utf-8", "replace")

    def _number(self, code: Literal["I", "Q"]) -> int:
        return int.from_bytes(self._consume(4 if code == "I" else 8), "little")

    def _consume(self, count: int) -> bytes:
        if count > self._size - self._at:
            raise self._truncated()
        self._at += count
        return self._data[self._at - count : self._at]

    def _check_count(self, count: int, least: int) -> None:
        if count * least > self._size - self._at:
            raise self._truncated()

    def _truncated(self) -> ModelError:
        return ModelError(
            f"{self._path} is truncated or damaged: its header goes on past its {self._size:,} bytes.",
            "The download or copy did not finish; fetch the file again.",
        )

    def _damaged(self, found: str) -> ModelError:
        return ModelError(
            f"{self._path} is damaged: found {found} in its header at byte {self._at:,}.",
            "Fetch the file again.",
        )


def _width(kind: int) -> int:
    return struct.calcsize("<" + _SCALARS[kind])


def describe_gguf_kind(header: GgufHeader) -> str:
    """A GGUF file in words, such as `an importance matrix for quantizing`."""
    metadata = header.metadata
    kind, architecture = metadata.get("general.type", "model"), metadata.get("general.architecture")
    if kind == "adapter":
        return f"an adapter of the type {shorten(str(metadata.get('adapter.type', 'unknown')))}"
    if kind == "imatrix" or "imatrix.chunk_count" in metadata or "imatrix.datasets" in header.lengths:
        return "an importance matrix for quantizing"
    if architecture == "controlvector" or any(tensor.name.startswith("direction.") for tensor in header.tensors[:1]):
        return "a control vector"
    if architecture == "clip" or kind == "mmproj":
        return "a projector for images"
    if _part(header) > 0:
        return f"part {_part(header) + 1} of {metadata.get('split.count', 'several')} of a model"
    if not header.tensors and "tokenizer.ggml.tokens" in header.lengths:
        return "a vocabulary without a model"
    if isinstance(architecture, str) and 0 < len(architecture) <= LONGEST_NAME:
        return "a model"
    return "something else, and does not name its architecture"


def _part(header: GgufHeader) -> int:
    """Which part of a split model it is, from 0."""
    number = header.metadata.get("split.no", 0)
    return number if isinstance(number, int) else 0
