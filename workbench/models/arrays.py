"""Values of tensors in safetensors and GGUF files, as numpy arrays.

Knows nothing of what they are for. Places must come from a header that was checked (tensors.py, header.py).
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from workbench.errors import ModelError

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
