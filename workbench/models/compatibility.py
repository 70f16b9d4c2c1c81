"""Whether an adapter can be laid over a base: everything that speaks against it, from headers alone.

Knows nothing of values or engines.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from typing import NamedTuple

from workbench.errors import ModelError
from workbench.models.adapter import Contents, check_values, read_contents
from workbench.models.base import Base, read_base
from workbench.models.low_rank import Pair, trains_embedding
from workbench.models.reference import Adapter, Applied, Model
from workbench.models.tensor_names import ARCHITECTURES, gguf_module, layer_of

_KINDS = ("LORA", "IA3", "PREFIX_TUNING", "PROMPT_TUNING")
_COPIED = re.compile(r"base_model\.model\.(.+)\.weight")


class _Misfit(NamedTuple):
    module: str
    text: str


def check_compatible(adapter: Adapter, base: Model) -> tuple[str, ...]:
    """Every problem that keeps an adapter from being laid over a base, one sentence each; none when it fits."""
    if base.format == "scripted":
        return ()
    try:
        contents, shape = read_contents(adapter), read_base(base)
    except ModelError as error:
        return (f"{error.message} {error.hint}".strip(),)
    return find_problems(adapter, contents, base, shape)


def find_problems(adapter: Adapter, contents: Contents, base: Model, shape: Base) -> tuple[str, ...]:
    """The same of an adapter and a base whose headers have been read."""
    problems = list(_check_form(adapter, contents, shape, base))
    if not problems:
        problems = [*_check_layers(contents, shape), *_check_sizes(contents, shape)]
        problems += _group([*_find_misfits(contents, shape), *_find_missing(contents, shape)])
    return tuple(problems)


def check_laid(applied: Iterable[Applied], base: Model) -> None:
    """Raise ModelError with everything that keeps these adapters from being laid over a base, before any is loaded."""
    problems: list[str] = []
    if base.format == "scripted":
        return
    for adapter in {entry.adapter.path: entry.adapter for entry in applied}.values():
        found = [f"{adapter.name}: {problem}" for problem in check_compatible(adapter, base)]
        if not found:
            try:
                check_values(adapter)
            except ModelError as error:
                found = [error.message]
        problems += found
    if problems:
        raise ModelError(
            f"What is to be laid over {base.name} does not go with it:\n" + "\n".join(f"  {one}" for one in problems),
            "Choose an adapter that was trained on this model, or fetch it again, whole.",
        )


def _check_form(adapter: Adapter, contents: Contents, shape: Base, base: Model) -> Iterator[str]:
    config, header = contents.config, contents.header
    if header and base.format == "hf":
        yield "it is a GGUF adapter, and a Hugging Face model takes PEFT folders"
    elif header:
        found = header.metadata.get("general.architecture")
        if found != shape.architecture:
            yield f"it was made for the architecture {found}, and {base.name} is a {shape.architecture}"
        if "adapter.alora.invocation_tokens" in header.lengths:
            yield "it is an activated LoRA, which begins in the middle of a text"
        if contents.low_rank.others:
            yield f"it holds tensors that are no part of a LoRA, such as {next(iter(contents.low_rank.others))}"
    elif config and config.peft_type not in _KINDS:
        yield f"its type is {config.peft_type}; LoRA, IA3, prefix tuning and prompt tuning can be used"
    elif config and base.format == "gguf":
        yield from _check_convertible(contents, shape)


def _check_convertible(contents: Contents, shape: Base) -> Iterator[str]:
    config = contents.config
    assert config
    elsewhere = "; lay it over the Hugging Face form of the model instead"
    if config.peft_type != "LORA":
        yield f"its type is {config.peft_type}, and a GGUF model takes LoRA alone{elsewhere}"
        return
    yield from (reason + elsewhere for reason in config.beyond_low_rank)
    if shape.architecture not in ARCHITECTURES:
        yield (
            f"a LoRA cannot be converted for the architecture {shape.architecture}; the ones that can are"
            f" {', '.join(ARCHITECTURES)}"
        )
    others = list(contents.low_rank.others)
    if any(trains_embedding(name) for name in others):
        yield "it trains an embedding" + elsewhere
    elif others and not config.beyond_low_rank:
        yield f"it holds tensors that are no part of a LoRA, such as {others[0]}"
    if not contents.low_rank.pairs and not others:
        yield "it holds no weights"


def _check_layers(contents: Contents, shape: Base) -> Iterator[str]:
    config = contents.config
    layers = [layer for pair in contents.low_rank.pairs if (layer := layer_of(pair.module)) is not None]
    most = max(layers, default=-1) + 1
    if config and config.num_layers and config.peft_type == "PREFIX_TUNING":
        most = config.num_layers
    if most > shape.layers:
        yield f"it was trained on {most} layers or more, and the base has {shape.layers}"


def _check_sizes(contents: Contents, shape: Base) -> Iterator[str]:
    config = contents.config
    width = config.token_dim if config and config.peft_type == "PROMPT_TUNING" else None
    for pair in contents.low_rank.pairs:
        if pair.module.endswith(("q_proj", "attn_q.weight", "qkv_proj", "attn_qkv.weight")):
            width = pair.inputs
    if width and shape.hidden and width != shape.hidden:
        yield f"it was trained on a hidden size of {width}, and the base has {shape.hidden}"
    for name, half in contents.low_rank.others.items():
        if name.endswith(("lm_head.weight", "embed_tokens.weight")) and half.shape[0] != shape.vocabulary:
            yield f"its tokenizer has {half.shape[0]:,} tokens, and the base's has {shape.vocabulary:,}"
            return


def _find_misfits(contents: Contents, shape: Base) -> Iterator[_Misfit]:
    for pair in contents.low_rank.pairs:
        yield from _check_pair(pair, contents, shape)
    if contents.header or not contents.config or contents.config.peft_type != "LORA":
        return
    for name, half in contents.low_rank.others.items():
        found = _COPIED.fullmatch(name)
        known = shape.find(found[1]) if found else None
        if known and len(half.shape) == 2 and half.shape != known:
            yield _Misfit(name, f"has the shape {half.shape}, and the base's has {known}")


def _find_missing(contents: Contents, shape: Base) -> Iterator[_Misfit]:
    """Pairs that must be there: what is changed in one layer is changed in all of them, unless some were chosen."""
    config = contents.config
    if config is None or config.layers_to_transform is not None or config.exclude_modules or config.layer_replication:
        return
    if not isinstance(config.target_modules, list):
        return
    there = {pair.module for pair in contents.low_rank.pairs}
    for module in {_in_layer(module, 0): module for module in there if layer_of(module) is not None}.values():
        for layer in range(shape.layers):
            wanted = _in_layer(module, layer)
            spelled = gguf_module(wanted) if shape.is_gguf else wanted
            if wanted not in there and spelled and shape.find(spelled):
                yield _Misfit(wanted, "is missing from the adapter")


def _in_layer(module: str, layer: int) -> str:
    return re.sub(r"(^|\.)(layers|blk|h)\.\d+\.", rf"\g<1>\g<2>.{layer}.", module, count=1)


def _check_pair(pair: Pair, contents: Contents, shape: Base) -> Iterator[_Misfit]:
    module: str | None = pair.module
    if contents.header:
        module = pair.module.removesuffix(".weight")
    elif shape.is_gguf:
        module = gguf_module(pair.module)
    known = shape.find(module) if module else None
    if known is None:
        if (layer_of(pair.module) or 0) < shape.layers:  # missing layers are told as such
            yield _Misfit(pair.module, "is not in the base")
        return
    found = (pair.outputs, pair.inputs)
    turned = bool(contents.config and contents.config.fan_in_fan_out)
    if not shape.packed and found != (known[::-1] if turned else known):
        yield _Misfit(
            pair.module, f"goes from {found[1]} to {found[0]} values, and the base's from {known[1]} to {known[0]}"
        )


def _group(misfits: Iterable[_Misfit]) -> list[str]:
    """One sentence for what is wrong in the same way in many layers."""
    groups: dict[tuple[str, str], list[int]] = {}
    for misfit in misfits:
        layer = layer_of(misfit.module)
        module = misfit.module if layer is None else re.sub(r"\b(layers|blk|h)\.\d+\.", "", misfit.module, count=1)
        groups.setdefault((module.removeprefix("model."), misfit.text), []).extend([] if layer is None else [layer])
    return [f"{module}{_name_layers(layers)} {text}" for (module, text), layers in groups.items()]


def _name_layers(layers: list[int]) -> str:
    if not layers:
        return ""
    numbers = sorted(layers)
    if len(numbers) > 1 and numbers == list(range(numbers[0], numbers[-1] + 1)):
        return f" in layers {numbers[0]} to {numbers[-1]}"
    return f" in layer {', '.join(map(str, numbers))}"
