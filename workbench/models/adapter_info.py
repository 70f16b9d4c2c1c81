"""What is known of an adapter before it is loaded: type, rank, scale, targets, base, and whether all is finite."""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import NamedTuple

import msgspec

from workbench.errors import ModelError
from workbench.models.adapter_config import AdapterConfig, find_weights, read_adapter_config
from workbench.models.gguf_header import GgufHeader, describe_gguf_kind, read_header
from workbench.models.lora_tensors import LoraMatrix, LoraPair, LoraTensors, read_gguf_pairs, read_peft_pairs
from workbench.models.reference import Adapter, Model
from workbench.models.safetensors_header import are_numbers, read_tensors


class AdapterInfo(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What an adapter's configuration and headers say.

    kind: PEFT's name of the type, such as LORA; a GGUF adapter's is LORA. architecture: of the base; PEFT folders
    do not say it. scales: what the low-rank products are multiplied with at an adapter scale of 1, all different
    ones. targets: the kinds of module it changes, such as q_proj. has_scale: whether its scale can be other
    than 1. notes: what a person should know, one sentence each.
    """

    kind: str
    format: str
    architecture: str
    base: str
    ranks: tuple[int, ...]
    alpha: float
    scales: tuple[float, ...]
    targets: tuple[str, ...]
    parameters: int
    file_bytes: int
    has_scale: bool
    notes: tuple[str, ...] = ()


class AdapterContents(NamedTuple):
    """An adapter's headers, read. config: of a PEFT folder; header: of a GGUF file."""

    low_rank: LoraTensors
    config: AdapterConfig | None
    header: GgufHeader | None
    file_bytes: int
    strange: tuple[str, ...]

    @property
    def more_than_low_rank(self) -> tuple[str, ...]:
        """What the adapter does besides adding low-rank products, as parts of a sentence about it."""
        if self.config is None:
            return ()
        return self.config.beyond_low_rank or (
            () if self.config.peft_type == "LORA" else (f"it is a {self.config.peft_type}",)
        )

    @property
    def halves(self) -> list[LoraMatrix]:
        """Every tensor of the adapter."""
        paired = [half for pair in self.low_rank.pairs for half in (pair.down, pair.up)]
        return [*paired, *self.low_rank.others.values(), *self.low_rank.copies.values()]

    @property
    def left_out(self) -> tuple[str, ...]:
        """What of it is passed over wherever it is used, one sentence each."""
        norms = list(self.low_rank.norms)
        if not norms:
            return ()
        return (f"It holds {len(norms)} norm vectors ({norms[0]}), which llama.cpp passes over, and so does this.",)


def inspect_adapter(adapter: Adapter) -> AdapterInfo:
    """What is known of an adapter. Raises ModelError: no adapter, cut off, damaged, pickled."""
    contents = read_contents(adapter)
    pairs, config, header = contents.low_rank.pairs, contents.config, contents.header
    kind = config.peft_type if config else "LORA"
    return AdapterInfo(
        kind=kind,
        format=adapter.format,
        architecture=_text(header, "general.architecture"),
        base=(config.base_model_name_or_path or "") if config else _text(header, "general.base_model.0.name"),
        ranks=tuple(sorted({pair.rank for pair in pairs})),
        alpha=config.lora_alpha * (kind == "LORA") if config else _number(header, "adapter.lora.alpha"),
        scales=tuple(sorted({round(pair.scale, 6) for pair in pairs})),
        targets=_targets(pairs),
        parameters=sum(_count(half) for half in contents.halves),
        file_bytes=contents.file_bytes,
        has_scale=kind == "LORA" and not (config and (config.modules_to_save or config.trainable_token_indices)),
        notes=_notes(contents),
    )


def read_contents(adapter: Adapter) -> AdapterContents:
    """An adapter's configuration and headers. Raises ModelError."""
    if adapter.format == "gguf":
        header = read_header(adapter.path)
        if header.metadata.get("general.type") != "adapter" or header.metadata.get("adapter.type") != "lora":
            raise ModelError(
                f"{adapter.path} is a GGUF file, but no LoRA adapter: it is {describe_gguf_kind(header)}.",
                "Choose a file that was converted as one.",
            )
        return AdapterContents(read_gguf_pairs(adapter.path, header), None, header, header.file_bytes, ())
    config, strange = read_adapter_config(adapter.path)
    path = find_weights(adapter.path)
    tensors = read_tensors(path)
    return AdapterContents(read_peft_pairs(path, config, tensors), config, None, tensors.file_bytes, strange)


_NOT_COMPUTED = ("F64", "I8", "I16", "I32", "I64")
"""Types of numbers that end llama.cpp's process when it is to multiply with them."""


def check_values(adapter: Adapter, contents: AdapterContents | None = None) -> None:
    """Raise ModelError when weights are not numbers: the answers would be garbage without a word of why.

    contents: the adapter's, where they have been read already.
    """
    path = adapter.path if adapter.format == "gguf" else find_weights(adapter.path)
    halves = (contents or read_contents(adapter)).halves
    odd = [half for half in halves if half.dtype in _NOT_COMPUTED]
    if odd and adapter.format == "gguf":
        raise ModelError(
            f"The adapter {adapter.name} holds {odd[0].name} as {odd[0].dtype}, with which llama.cpp cannot compute.",
            "Convert it again, as F32 or F16.",
        )
    sound = are_numbers(path, [(half.dtype, half.shape, half.offset) for half in halves])
    wrong = [half.name for half, good in zip(halves, sound, strict=True) if not good]
    if wrong:
        raise ModelError(
            f"The adapter {adapter.name} holds weights that are not numbers (NaN or infinite), in {len(wrong)} of its"
            f" tensors, such as {wrong[0]}.",
            "Its training went wrong; train it again, perhaps with a lower learning rate.",
        )


def _targets(pairs: Iterable[LoraPair]) -> tuple[str, ...]:
    names = (pair.module.removesuffix(".weight").rpartition(".")[2] for pair in pairs)
    return tuple(dict.fromkeys(names))


def _notes(contents: AdapterContents) -> tuple[str, ...]:
    notes = list(contents.left_out)
    if contents.strange:
        notes.append(f"Its configuration has keys of a newer PEFT, which are left aside: {', '.join(contents.strange)}")
    if contents.config and contents.config.beyond_low_rank:
        notes.append(f"It is more than a plain LoRA: {'; '.join(contents.config.beyond_low_rank)}")
    return tuple(notes)


def _count(half: LoraMatrix) -> int:
    count = 1
    for length in half.shape:
        count *= length
    return count


def _text(header: GgufHeader | None, key: str) -> str:
    value = header.metadata.get(key) if header else None
    return value if isinstance(value, str) else ""


def _number(header: GgufHeader | None, key: str) -> float:
    value = header.metadata.get(key) if header else None
    return value if isinstance(value, (int, float)) else 0.0


def matches_base(named: str, model: Model) -> bool:
    """Whether a model goes by the name of an adapter's base; another form of it (a quantised file) does too.

    An adapter that names none may belong to any.
    """
    wanted = _plain(named.rstrip("/").rpartition("/")[2])
    return not wanted or any(wanted in _plain(part) for part in (model.name, *model.path.parts[-4:]))


def find_base(named: str, models: Iterable[Model]) -> Model | None:
    """The first of the models that goes by the name of an adapter's base; None where none does."""
    return next((model for model in models if matches_base(named, model)), None)


def _plain(name: str) -> str:
    return re.sub(r"[^a-z0-9]", "", name.lower().removesuffix(".gguf"))
