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
from workbench.models.origin import check_origin
from workbench.models.reference import Adapter, Applied, Model
from workbench.models.tensor_names import ARCHITECTURES, gguf_module, hf_module, layer_of

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
        return find_problems(adapter, contents, base, shape)
    except ModelError as error:
        return (f"{error.message} {error.hint}".strip(),)


def find_problems(adapter: Adapter, contents: Contents, base: Model, shape: Base) -> tuple[str, ...]:
    """The same of an adapter and a base whose headers have been read."""
    problems = list(_check_form(adapter, contents, shape, base))
    if not problems:
        problems = [*check_origin(contents.config, shape), *_check_ranks(contents)]
        problems += [*_check_layers(contents, shape), *_check_sizes(contents, shape)]
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
        yield from _check_tied(contents, shape)
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
    if any(pair.module == "lm_head" for pair in contents.low_rank.pairs) and not shape.find("output"):
        yield f"it changes the output head, which in this file is the token embedding as well{elsewhere}"


def _check_tied(contents: Contents, shape: Base) -> Iterator[str]:
    """llama.cpp would multiply the head with the halves of the embedding, which ends its process."""
    if any(pair.turned for pair in contents.low_rank.pairs) and not shape.find("output"):
        yield (
            "it changes the token embedding, which in this file is the output head as well, and llama.cpp cannot change"
            " one without the other"
        )


def _check_ranks(contents: Contents) -> Iterator[str]:
    """PEFT builds each product by the rank of the configuration, whatever the weights have."""
    config = contents.config
    if config is None or config.peft_type != "LORA" or config.target_parameters:
        return
    wrong = [pair for pair in contents.low_rank.pairs if pair.rank != config.rank(pair.module)]
    if wrong:
        yield (
            f"its configuration says rank {config.rank(wrong[0].module)}, and its weights have rank {wrong[0].rank}"
            f" ({wrong[0].module}{f' and {len(wrong) - 1} more' if len(wrong) > 1 else ''})"
        )


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
    for module, half in contents.low_rank.copies.items():
        copied = shape.find((gguf_module(module) or "") if shape.is_gguf else module)
        if copied and half.shape != copied:
            yield _Misfit(module, f"is there as a copy of the shape {half.shape}, and the base's has {copied}")


def _find_missing(contents: Contents, shape: Base) -> Iterator[_Misfit]:
    """Pairs that must be there: those of the modules that the configuration names."""
    config = contents.config
    if config is None or config.peft_type != "LORA" or config.layer_replication or config.target_parameters:
        return
    there = {_bare(pair.module) for pair in contents.low_rank.pairs}
    spelled = (hf_module(name, shape.architecture) if shape.is_gguf else name for name in shape.modules)
    known = {_bare(name): name for name in spelled if name and layer_of(name) is not None}
    if not {name for name in there if layer_of(name) is not None} <= known.keys():
        return  # the base spells its modules otherwise, or the adapter is for another one, which is told as such
    for bare, module in known.items():
        if bare not in there and config.targets(module):
            yield _Misfit(module, "is missing from the adapter")


def _bare(module: str) -> str:
    """A module's name without the outermost one, which some checkpoints leave out."""
    return module.removeprefix("base_model.").removeprefix("model.").removeprefix("transformer.")


def _check_pair(pair: Pair, contents: Contents, shape: Base) -> Iterator[_Misfit]:
    module: str | None = pair.module
    if contents.header:
        module = pair.module.removesuffix(".weight")
    elif shape.is_gguf:
        module = gguf_module(pair.module)
    if contents.config and contents.config.target_parameters and ".experts" in pair.module:
        return  # PEFT stacks the products of all experts, and checks them when it loads them
    known = shape.find(module) if module else None
    if known is None:
        if (layer_of(pair.module) or 0) < shape.layers:  # missing layers are told as such
            yield _Misfit(pair.module, "is not in the base")
        return
    found = pair.changes
    turned = bool(contents.config and contents.config.fan_in_fan_out)
    wanted = known[::-1] if turned else known
    if shape.packed or found == wanted:
        return
    if len(found) == len(wanted) == 2:
        text = f"goes from {found[1]} to {found[0]} values, and the base's from {wanted[1]} to {wanted[0]}"
    else:
        text = f"changes weights of the shape {found}, and the base's have {wanted}"
    yield _Misfit(pair.module, text)


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
