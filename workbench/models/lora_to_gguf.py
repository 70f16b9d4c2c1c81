"""Converts a PEFT LoRA to a GGUF LoRA, and keeps the converted files in a cache.

The same products under llama.cpp's names, in the order of rows it expects. Sources: llama.cpp's llama-adapter.cpp (the
scale is alpha / rank of each pair), the tensor names of the gguf package.
"""

from __future__ import annotations

import contextlib
import hashlib
import os
import shutil
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, NamedTuple

from workbench import paths
from workbench.errors import ModelError
from workbench.models.adapter_config import find_weights
from workbench.models.adapter_info import AdapterContents, read_contents
from workbench.models.compatibility import check_compatible
from workbench.models.gguf_header import GgufHeader
from workbench.models.lora_tensors import ROTATED, LoraPair, gguf_module
from workbench.models.model_info import read_parts
from workbench.models.reference import ADAPTER_CONFIG, Adapter, Model
from workbench.models.safetensors_header import read_array

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray


_VERSION = b"1"
"""Part of a converted file's name; another number converts all of them again."""


def find_gguf(adapter: Adapter, base: Path) -> Path:
    """A PEFT LoRA's GGUF form for a base, converted once and kept by its content. Raises ModelError."""
    header = read_parts(base)[0]
    path = paths.cache_folder() / "adapters" / f"{_digest(adapter, header)}.gguf"
    return fetch(path, lambda out: _make(adapter, base, out))


def _make(adapter: Adapter, base: Path, out: Path) -> None:
    convert_lora(adapter, Model(base.stem, base), out)


def convert_lora(adapter: Adapter, base: Model, out: Path, kind: Literal["f32", "f16"] = "f32") -> tuple[str, ...]:
    """Write a PEFT LoRA for a GGUF base as a GGUF adapter, all at once or not at all; what to know of it.

    Raises ModelError that names everything that a GGUF adapter cannot hold or the base has no place for.
    """
    problems = check_compatible(adapter, base)
    if problems:
        raise ModelError(
            f"The adapter {adapter.name} cannot be converted for {base.name}:\n"
            + "\n".join(f"  {problem}" for problem in problems),
            "Choose an adapter that was trained on this model.",
        )
    try:
        out.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=out.parent, prefix=f".{out.name}.") as scratch:
            written = Path(scratch) / out.name
            _write(adapter, read_contents(adapter), read_parts(base.path)[0], written, kind)
            written.replace(out)
    except OSError as error:
        raise ModelError(
            f"Cannot write the converted adapter {out}: {error.strerror}.", "Make room, or choose another folder."
        ) from error
    return ()


def _write(adapter: Adapter, contents: AdapterContents, base: GgufHeader, out: Path, kind: str) -> None:
    import gguf
    import numpy as np

    architecture = str(base.metadata["general.architecture"])
    pairs = contents.low_rank.pairs
    alpha = pairs[0].scale * pairs[0].rank or 1.0
    writer = gguf.GGUFWriter(out, architecture)
    writer.add_type(gguf.GGUFType.ADAPTER)
    writer.add_string(gguf.Keys.Adapter.TYPE, "lora")
    writer.add_float32(gguf.Keys.Adapter.LORA_ALPHA, alpha)
    writer.add_name(adapter.name)
    weights = find_weights(adapter.path)
    for pair in pairs:
        name = gguf_module(pair.module)
        down = read_array(weights, pair.down.dtype, pair.down.shape, pair.down.offset)
        up = read_array(weights, pair.up.dtype, pair.up.shape, pair.up.offset)
        up = up * np.float32(pair.scale * pair.rank / alpha)
        if architecture in ROTATED:
            up = reorder_heads(up, _heads(pair, base))
        for part, array in (("a", down), ("b", up)):
            with np.errstate(over="ignore"):
                wanted = array.astype(np.float16 if kind == "f16" else np.float32)
            if not np.isfinite(wanted).all():
                raise ModelError(
                    f"{pair.module} goes beyond what {kind} can hold.", "Write the adapter in 32 bits: --type f32"
                )
            writer.add_tensor(f"{name}.weight.lora_{part}", np.ascontiguousarray(wanted))
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()


def reorder_heads(array: NDArray[np.float32], heads: int) -> NDArray[np.float32]:
    """Rows of queries or keys as llama.cpp rotates them: neighbours in a pair, not the halves of a head.

    heads: 0 leaves them as they are.
    """
    if not heads:
        return array
    return array.reshape(heads, 2, array.shape[0] // heads // 2, -1).swapaxes(1, 2).reshape(array.shape)


def _heads(pair: LoraPair, base: GgufHeader) -> int:
    """The heads whose rows a pair changes; 0 for one that changes neither queries nor keys."""
    architecture = base.metadata["general.architecture"]
    queries: Any = base.metadata.get(f"{architecture}.attention.head_count", 0)
    keys: Any = base.metadata.get(f"{architecture}.attention.head_count_kv", queries)
    count = {"q_proj": queries, "k_proj": keys}.get(pair.module.rpartition(".")[2], 0)
    if not isinstance(count, int):
        raise ModelError(
            f"The base has another number of heads in each layer, which {pair.module} cannot be converted for.",
            "Lay the adapter over the Hugging Face form of the model.",
        )
    return count


def _digest(adapter: Adapter, base: GgufHeader) -> str:
    architecture = base.metadata.get("general.architecture")
    shape = [base.metadata.get(f"{architecture}.attention.head_count{end}") for end in ("", "_kv")]
    state = hashlib.blake2b(_VERSION + repr((architecture, shape)).encode(), digest_size=16)
    try:
        state.update((adapter.path / ADAPTER_CONFIG).read_bytes())
        with find_weights(adapter.path).open("rb") as stream:
            while block := stream.read(1 << 20):
                state.update(block)
    except OSError as error:
        raise ModelError(f"Cannot read {adapter.path}: {error.strerror}.", "Check its permissions.") from error
    return state.hexdigest()


MOST_BYTES = 2 * 2**30
LONGEST_IDLE_SECONDS = 60 * 24 * 3600.0
SAFE_SECONDS = 3600.0
"""Whatever was used since stays, whatever the limits say: another process may be about to load it."""


class _CachedAdapter(NamedTuple):
    path: Path
    used: float
    bytes: int


def fetch(path: Path, make: Callable[[Path], None], clock: Callable[[], float] = time.time) -> Path:
    """The file at `path`, made by `make` where it is not there; either way it is now the one last used."""
    try:
        os.utime(path, ns=(int(clock() * 1e9), path.stat().st_mtime_ns))
    except OSError:
        make(path)
        clean(path.parent, clock())
    return path


def clean(folder: Path, now: float) -> None:
    """Delete what was not used for too long, and what was used longest ago as long as all take too much room.

    What another process deletes meanwhile, or holds so that it cannot be deleted, is passed over.
    """
    files = sorted(_list(folder), key=lambda kept: kept.used)
    total = sum(kept.bytes for kept in files)
    for kept in files:
        idle = now - kept.used
        if idle < SAFE_SECONDS or (idle < LONGEST_IDLE_SECONDS and total <= MOST_BYTES):
            continue
        if _delete(kept.path, kept.used):
            total -= kept.bytes
    for scratch in folder.glob(".*.gguf.*"):  # of a process that ended in the middle of writing
        with contextlib.suppress(OSError):
            if now - scratch.stat().st_mtime > SAFE_SECONDS:
                shutil.rmtree(scratch, ignore_errors=True)


def _list(folder: Path) -> list[_CachedAdapter]:
    found = []
    for path in folder.glob("*.gguf"):
        with contextlib.suppress(OSError):
            state = path.stat()
            found.append(_CachedAdapter(path, _used(state), state.st_size))
    return found


def _used(state: os.stat_result) -> float:
    """When a file was last asked for, or made."""
    return max(state.st_atime, state.st_mtime)


def _delete(path: Path, used: float) -> bool:
    with contextlib.suppress(OSError):
        if _used(path.stat()) == used:  # else somebody has just taken it up again
            path.unlink()
            return True
    return False
