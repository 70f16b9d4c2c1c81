"""Values of tensors in safetensors and GGUF files, as numpy arrays.

Knows nothing of what they are for. Places must come from a header that was checked (tensors.py, header.py).
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO

from workbench.errors import ModelError
from workbench.models.foreign_file import open_regular

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

_TYPES = {"F64": "<f8", "F32": "<f4", "F16": "<f2", "BF16": "<u2"}


def read_array(path: Path, dtype: str, shape: tuple[int, ...], offset: int) -> NDArray[np.float32]:
    """The values at an offset of a file. Raises ModelError for a type without fractions, or a file that is gone."""
    import numpy as np  # slow to load, and only needed where values are

    if dtype not in _TYPES:
        raise ModelError(
            f"{path} holds values of the type {dtype}; expected one of {', '.join(_TYPES)}.",
            "Save it again in one of these types.",
        )
    count = int(np.prod(shape, dtype=np.int64))
    try:
        raw: Any = np.fromfile(path, _TYPES[dtype], count, offset=offset)
    except OSError as error:
        raise ModelError(f"Cannot read {path}: {error.strerror}.", "Check its permissions.") from error
    if raw.size != count:
        raise ModelError(f"{path} became shorter while it was read.", "Wait until it is written, and try again.")
    if dtype == "BF16":
        raw = (raw.astype(np.uint32) << 16).view(np.float32)
    values: NDArray[np.float32] = raw.astype(np.float32, copy=False).reshape(shape)
    return values


def are_numbers(path: Path, places: Sequence[tuple[str, tuple[int, ...], int]]) -> list[bool]:
    """Whether all values at each place (type, shape, offset) are finite; other types than fractions count as such.

    Raises ModelError for a file that is gone, or became shorter.
    """
    import numpy as np

    found = []
    try:
        with open_regular(path) as stream:
            for dtype, shape, offset in places:
                stream.seek(offset)
                kind = np.dtype(_TYPES.get(dtype, "<u1"))
                count = math.prod(shape) if dtype in _TYPES else 0
                values: Any = np.frombuffer(_read(stream, path, count * kind.itemsize), kind)
                # a bfloat16 without its sign is not finite where all bits of its exponent are set
                finite = (values & 0x7F80) != 0x7F80 if dtype == "BF16" else np.isfinite(values)
                found.append(bool(finite.all()))
    except OSError as error:
        raise ModelError(f"Cannot read {path}: {error.strerror}.", "Check its permissions.") from error
    return found


def _read(stream: BinaryIO, path: Path, count: int) -> bytes:
    raw = stream.read(count)
    if len(raw) != count:
        raise ModelError(f"{path} became shorter while it was read.", "Wait until it is written, and try again.")
    return raw
