"""Merges a LoRA into a GGUF base: one file that needs neither.

Weights of 32 or 16 bits keep their type, so that only the last bit is rounded. A quantized base is refused, as its
weights would be quantized a second time: merge into its f16 form, then quantize that.
"""

from __future__ import annotations

import contextlib
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from workbench.errors import ModelError
from workbench.models.adapter_info import check_values, read_contents
from workbench.models.compatibility import check_compatible
from workbench.models.lora_tensors import LoraPair, read_factors
from workbench.models.lora_to_gguf import find_gguf
from workbench.models.model_info import read_parts
from workbench.models.reference import Adapter, Applied, Model

if TYPE_CHECKING:
    import gguf
    import numpy as np
    from numpy.typing import NDArray

_EXACT = {0: "F32", 1: "F16", 30: "BF16"}
"""ggml's types that hold numbers as they are."""


class _WeightUpdate(NamedTuple):
    """What is added to one tensor: the pair's product times `scale`."""

    path: Path
    pair: LoraPair
    scale: float


def find_quantized(base: Model) -> tuple[str, ...]:
    """The quantized types of a GGUF model's weights; none where a merge is exact. Raises ModelError."""
    parts = read_parts(base.path)
    kinds = {tensor.type for part in parts for tensor in part.tensors if len(tensor.shape) > 1}
    return tuple(sorted(_name_type(kind) for kind in kinds if kind not in _EXACT))


def merge_gguf(base: Model, adapters: Sequence[Applied], out: Path) -> tuple[str, ...]:
    """Write `base` with the adapters' changes added to its weights into the file `out`, all at once or not at all.

    What a person should know of it, one sentence each. Raises ModelError that names every reason against it.
    """
    changes: dict[str, list[_WeightUpdate]] = {}
    notes: list[str] = []
    for applied in adapters:
        _check(base, applied, out)
        adapter = applied.adapter
        path = adapter.path if adapter.format == "gguf" else find_gguf(adapter, base.path)
        contents = read_contents(Adapter(adapter.name, path, "gguf"))
        notes += contents.left_out
        for pair in contents.low_rank.pairs:
            changes.setdefault(pair.module, []).append(_WeightUpdate(path, pair, applied.scale))
    try:
        out.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=out.parent, prefix=f".{out.name}.") as scratch:
            written = Path(scratch) / out.name
            _write(base.path, changes, written)
            written.replace(out)
    except OSError as error:
        raise ModelError(f"Cannot write {out}: {error.strerror}.", "Make room, or choose another folder.") from error
    return tuple(dict.fromkeys(notes))


def _check(base: Model, applied: Applied, out: Path) -> None:
    adapter = applied.adapter
    problems = [f"{base.name} is not a GGUF model"] if base.format != "gguf" else list(check_compatible(adapter, base))
    if not problems and len(read_parts(base.path)) > 1:
        problems.append("the model comes in several parts; join them first: llama-gguf-split --merge FIRST-PART WHOLE")
    if not problems and (quantized := find_quantized(base)):
        problems.append(
            f"the model is quantized ({', '.join(quantized)}): its weights would be quantized a second time"
        )
    if out.exists():
        problems.append(f"{out} is already there")
    if problems:
        raise ModelError(
            f"The adapter {adapter.name} cannot be merged into {base.name}:\n"
            + "\n".join(f"  {problem}" for problem in problems),
            "Choose an adapter that was made for this model, its f16 or f32 form, and a new file for the result.",
        )
    check_values(adapter)


def _write(base: Path, changes: Mapping[str, Sequence[_WeightUpdate]], out: Path) -> None:
    import gguf

    reader = gguf.GGUFReader(base)
    architecture = reader.get_field(gguf.Keys.General.ARCHITECTURE)
    assert architecture is not None  # its header was checked
    with contextlib.closing(gguf.GGUFWriter(out, architecture.contents())) as writer:
        _copy_fields(reader, writer)
        for tensor in reader.tensors:
            values = tensor.data
            writer.add_tensor_info(tensor.name, values.shape, values.dtype, values.nbytes, tensor.tensor_type)
        writer.write_header_to_file()
        writer.write_kv_data_to_file()
        writer.write_ti_data_to_file()
        for tensor in reader.tensors:
            updates = changes.get(tensor.name)
            writer.write_tensor_data(_update(tensor, updates) if updates else tensor.data)


def _copy_fields(reader: gguf.GGUFReader, writer: gguf.GGUFWriter) -> None:
    import gguf

    for field in reader.fields.values():
        if field.name == gguf.Keys.General.ARCHITECTURE or field.name.startswith("GGUF."):
            continue
        inner = field.types[-1] if field.types[0] == gguf.GGUFValueType.ARRAY else None
        writer.add_key_value(field.name, field.contents(), field.types[0], sub_type=inner)


def _update(tensor: gguf.ReaderTensor, updates: Sequence[_WeightUpdate]) -> NDArray[Any]:
    """A tensor with the products of its pairs added. Raises ModelError where its type cannot hold that."""
    import numpy as np
    from gguf.quants import dequantize, quantize

    values: NDArray[np.float32] = dequantize(tensor.data, tensor.tensor_type)
    for update in updates:
        up, down = read_factors(update.path, update.pair)
        values = values + (up @ down) * np.float32(update.pair.scale * update.scale)
    with np.errstate(over="ignore"):
        packed: NDArray[Any] = quantize(np.ascontiguousarray(values, dtype=np.float32), tensor.tensor_type)
    if not np.isfinite(values).all() or (packed.dtype == np.float16 and not np.isfinite(packed).all()):
        raise ModelError(
            f"{tensor.name} with the adapter goes beyond what {_name_type(int(tensor.tensor_type))} can hold.",
            "Merge into the f32 form of the model, or with a smaller --scale.",
        )
    return packed


def _name_type(kind: int) -> str:
    import gguf

    try:
        return str(gguf.GGMLQuantizationType(kind).name)
    except ValueError:
        return f"ggml type {kind}"
