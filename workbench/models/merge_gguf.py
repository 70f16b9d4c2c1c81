"""A GGUF LoRA merged into a GGUF base: one file that needs neither.

Numbers of 32 or 16 bits stay what they are, so that only the last bit is rounded. A packed base can only be unpacked
for it, and is then written in 32 bits. Knows nothing of how a file is packed again (engines/llamacpp/quantize.py).
"""

from __future__ import annotations

import contextlib
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from workbench.errors import ModelError
from workbench.models.adapter import check_values, read_contents
from workbench.models.compatibility import check_compatible
from workbench.models.inspect import read_parts
from workbench.models.lora import find_gguf
from workbench.models.low_rank import Pair
from workbench.models.low_rank_values import read_factors
from workbench.models.reference import Adapter, Applied, Model

if TYPE_CHECKING:
    import gguf
    import numpy as np
    from numpy.typing import NDArray

_EXACT = {0: "F32", 1: "F16", 30: "BF16"}
"""ggml's types that hold numbers as they are."""


class _Change(NamedTuple):
    """What is added to one tensor: the pair's product times `scale`."""

    path: Path
    pair: Pair
    scale: float


def find_packed(base: Model) -> tuple[str, ...]:
    """The kinds of packed weights in a GGUF model; none where a merge is exact. Raises ModelError."""
    parts = read_parts(base.path)
    kinds = {tensor.type for part in parts for tensor in part.tensors if len(tensor.shape) > 1}
    return tuple(sorted(_name_type(kind) for kind in kinds if kind not in _EXACT))


def merge_gguf(base: Model, laid: Sequence[Applied], out: Path, unpack: bool = False) -> tuple[str, ...]:
    """Write `base` with the adapters' changes added to its weights into the file `out`, all at once or not at all.

    unpack: write every weight in 32 bits, which a packed base needs. What a person should know of it, one sentence
    each. Raises ModelError that names everything that speaks against it.
    """
    changes: dict[str, list[_Change]] = {}
    notes: list[str] = []
    for applied in laid:
        _check(base, applied, out, unpack)
        adapter = applied.adapter
        path = adapter.path if adapter.format == "gguf" else find_gguf(adapter, base.path)
        contents = read_contents(Adapter(adapter.name, path, "gguf"))
        notes += contents.left_out
        for pair in contents.low_rank.pairs:
            changes.setdefault(pair.module, []).append(_Change(path, pair, applied.scale))
    try:
        out.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=out.parent, prefix=f".{out.name}.") as scratch:
            written = Path(scratch) / out.name
            _write(base.path, changes, written, unpack)
            written.replace(out)
    except OSError as error:
        raise ModelError(f"Cannot write {out}: {error.strerror}.", "Make room, or choose another folder.") from error
    return tuple(dict.fromkeys(notes))


def _check(base: Model, applied: Applied, out: Path, unpack: bool) -> None:
    adapter = applied.adapter
    problems = [f"{base.name} is no GGUF model"] if base.format != "gguf" else list(check_compatible(adapter, base))
    if not problems and len(read_parts(base.path)) > 1:
        problems.append("the model comes in several parts; join them first: llama-gguf-split --merge FIRST-PART WHOLE")
    if not problems and not unpack and (packed := find_packed(base)):
        problems.append(
            f"the model's weights are packed ({', '.join(packed)}): they would have to be unpacked and packed again,"
            " which loses a little"
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


def _write(base: Path, changes: Mapping[str, Sequence[_Change]], out: Path, unpack: bool) -> None:
    import gguf

    reader = gguf.GGUFReader(base)
    architecture = reader.get_field(gguf.Keys.General.ARCHITECTURE)
    assert architecture is not None  # its header was checked
    kinds = [_choose_type(tensor, unpack) for tensor in reader.tensors]
    with contextlib.closing(gguf.GGUFWriter(out, architecture.contents())) as writer:
        _copy_fields(reader, writer, unpack)
        for tensor, kind in zip(reader.tensors, kinds, strict=True):
            values = _keep(tensor, kind)
            writer.add_tensor_info(tensor.name, values.shape, values.dtype, values.nbytes, kind)
        writer.write_header_to_file()
        writer.write_kv_data_to_file()
        writer.write_ti_data_to_file()
        for tensor, kind in zip(reader.tensors, kinds, strict=True):
            changed = changes.get(tensor.name)
            writer.write_tensor_data(_change(tensor, kind, changed) if changed else _keep(tensor, kind))


def _copy_fields(reader: gguf.GGUFReader, writer: gguf.GGUFWriter, unpack: bool) -> None:
    import gguf

    for field in reader.fields.values():
        if field.name == gguf.Keys.General.ARCHITECTURE or field.name.startswith("GGUF."):
            continue
        value = field.contents()
        if unpack and field.name == gguf.Keys.General.FILE_TYPE:
            value = int(gguf.LlamaFileType.ALL_F32)
        inner = field.types[-1] if field.types[0] == gguf.GGUFValueType.ARRAY else None
        writer.add_key_value(field.name, value, field.types[0], sub_type=inner)


def _choose_type(tensor: gguf.ReaderTensor, unpack: bool) -> gguf.GGMLQuantizationType:
    import gguf

    whole = unpack and len(tensor.shape) > 1
    return gguf.GGMLQuantizationType.F32 if whole else tensor.tensor_type


def _keep(tensor: gguf.ReaderTensor, kind: gguf.GGMLQuantizationType) -> NDArray[Any]:
    return tensor.data if kind == tensor.tensor_type else _unpacked(tensor)


def _change(tensor: gguf.ReaderTensor, kind: gguf.GGMLQuantizationType, changes: Sequence[_Change]) -> NDArray[Any]:
    """A tensor with the products of its pairs added. Raises ModelError where its type cannot hold that."""
    import numpy as np
    from gguf.quants import quantize

    values = _unpacked(tensor)
    for change in changes:
        up, down = read_factors(change.path, change.pair)
        values = values + (up @ down) * np.float32(change.pair.scale * change.scale)
    with np.errstate(over="ignore"):
        packed: NDArray[Any] = quantize(np.ascontiguousarray(values, dtype=np.float32), kind)
    if not np.isfinite(values).all() or (packed.dtype == np.float16 and not np.isfinite(packed).all()):
        raise ModelError(
            f"{tensor.name} with the adapter goes beyond what {_name_type(int(kind))} can hold.",
            "Merge into the f32 form of the model, or with a smaller --scale.",
        )
    return packed


def _unpacked(tensor: gguf.ReaderTensor) -> NDArray[np.float32]:
    from gguf.quants import dequantize

    try:
        values: NDArray[np.float32] = dequantize(tensor.data, tensor.tensor_type)
    except NotImplementedError as error:
        raise ModelError(
            f"{tensor.name} is packed as {_name_type(int(tensor.tensor_type))}, which cannot be unpacked here.",
            "Merge into another form of the model.",
        ) from error
    return values


def _name_type(kind: int) -> str:
    import gguf

    try:
        return str(gguf.GGMLQuantizationType(kind).name)
    except ValueError:
        return f"ggml type {kind}"
