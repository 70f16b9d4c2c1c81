"""A PEFT LoRA as a GGUF LoRA: the same products under llama.cpp's names, in the order of rows it expects.

Knows nothing of engines; it loads numpy and gguf, but no torch. Sources: llama.cpp's llama-adapter.cpp (the scale is
alpha / rank of each pair), the tensor names of the gguf package.
"""

from __future__ import annotations

import hashlib
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from workbench import paths
from workbench.errors import ModelError
from workbench.models.adapter import Contents, read_contents
from workbench.models.adapter_cache import fetch
from workbench.models.adapter_config import find_weights
from workbench.models.arrays import read_array
from workbench.models.compatibility import check_compatible
from workbench.models.header import Header
from workbench.models.inspect import read_parts
from workbench.models.low_rank import Pair
from workbench.models.reference import ADAPTER_CONFIG, Adapter, Model
from workbench.models.tensor_names import ROTATED, gguf_module

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

_VERSION = b"1"
"""Part of a converted file's name; another number makes all of them anew."""


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


def _write(adapter: Adapter, contents: Contents, base: Header, out: Path, kind: str) -> None:
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


def _heads(pair: Pair, base: Header) -> int:
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


def _digest(adapter: Adapter, base: Header) -> str:
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
