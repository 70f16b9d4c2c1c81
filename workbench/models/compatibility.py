"""Whether an adapter can be applied to a base: every reason against it, from headers alone."""

from __future__ import annotations

import contextlib
import re
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import NamedTuple

from workbench.errors import ModelError
from workbench.models.adapter_config import AdapterConfig
from workbench.models.adapter_info import AdapterContents, check_values, read_contents
from workbench.models.base_shape import BaseShape, read_base_shape
from workbench.models.hf_folder import read_config
from workbench.models.hf_weights import ARCHITECTURES
from workbench.models.lora_tensors import (
    GGUF_ARCHITECTURES,
    LoraPair,
    gguf_module,
    hf_module,
    layer_of,
    trains_embedding,
)
from workbench.models.reference import Adapter, Applied, Model

_FAMILIES = {"qwen": ("qwen",), "llama": ("llama", "mistral"), "mistral": ("llama", "mistral"), "gemma": ("gemma",)}
"""Part of a model's name -> how the architectures begin that go by it."""


def check_origin(config: AdapterConfig | None, shape: BaseShape) -> Iterator[str]:
    """Why a PEFT adapter is not one of a base, as parts of a sentence about it; nothing where nobody can tell."""
    if config is None:
        return
    named = config.base_model_name_or_path or ""
    found = _find_architecture(config)
    if found:
        if _plain(found, shape) != shape.architecture:
            origin = named[-200:] or config.base_class
            yield f"it was trained on a {found} ({origin}), and the base is a {shape.architecture}"
        return
    own = named.replace("\\", "/").rstrip("/").rpartition("/")[2].lower()
    families = [starts for name, starts in _FAMILIES.items() if name in own]
    if families and not any(shape.architecture.startswith(starts) for starts in families):
        yield f"it was trained on {named[-200:]}, and the base is a {shape.architecture}"


def _find_architecture(config: AdapterConfig) -> str:
    """transformers' name of the base's architecture, from the class or from the folder that the adapter names."""
    if config.base_class:
        known = ARCHITECTURES.get(config.base_class)
        own = config.base_class.removesuffix("ForCausalLM").lower()
        return own if known else ""
    with contextlib.suppress(ModelError, OSError, ValueError):
        folder = Path(config.base_model_name_or_path or "")
        if folder.is_absolute() and folder.is_dir():
            return str(read_config(folder)["model_type"])
    return ""


def _plain(architecture: str, shape: BaseShape) -> str:
    """transformers' name as the base's format has it: in GGUF, mistral is one of llama's."""
    return "llama" if shape.is_gguf and architecture == "mistral" else architecture


_KINDS = ("LORA", "IA3", "PREFIX_TUNING", "PROMPT_TUNING")
_COPIED = re.compile(r"base_model\.model\.(.+)\.weight")


class _Misfit(NamedTuple):
    module: str
    text: str


def check_compatible(adapter: Adapter, base: Model) -> tuple[str, ...]:
    """Every reason why an adapter cannot be applied to a base, one sentence each; none when it fits."""
    if base.format in ("scripted", "remote"):  # a server says itself what it has
        return ()
    try:
        contents, shape = read_contents(adapter), read_base_shape(base)
        return find_problems(adapter, contents, base, shape)
    except ModelError as error:
        return (f"{error.message} {error.hint}".strip(),)


def find_problems(adapter: Adapter, contents: AdapterContents, base: Model, shape: BaseShape) -> tuple[str, ...]:
    """The same of an adapter and a base whose headers have been read."""
    problems = list(_check_form(adapter, contents, shape, base))
    if not problems:
        problems = [*check_origin(contents.config, shape), *_check_ranks(contents)]
        problems += [*_check_layers(contents, shape), *_check_sizes(contents, shape)]
        problems += _group([*_find_misfits(contents, shape), *_find_missing(contents, shape)])
    return tuple(problems)


def check_applied(applied: Iterable[Applied], base: Model) -> None:
    """Raise ModelError with every reason why these adapters cannot be applied to a base, before any is loaded."""
    problems: list[str] = []
    if base.format in ("scripted", "remote"):
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
            f"Cannot apply these adapters to {base.name}:\n" + "\n".join(f"  {one}" for one in problems),
            "Choose an adapter that was trained on this model, or fetch it again, whole.",
        )


def _check_form(adapter: Adapter, contents: AdapterContents, shape: BaseShape, base: Model) -> Iterator[str]:
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
            yield f"it holds tensors that are not part of a LoRA, such as {next(iter(contents.low_rank.others))}"
        yield from _check_tied(contents, shape)
    elif config and "score" in (config.modules_to_save or ()):  # peft's head of a sequence classification
        yield (
            "it is a reward model, which scores answers and generates none; name it in the scorer reward_model, or as"
            " rollouts.reward_model"
        )
    elif config and config.peft_type not in _KINDS:
        yield f"its type is {config.peft_type}; LoRA, IA3, prefix tuning and prompt tuning can be used"
    elif config and base.format == "gguf":
        yield from _check_convertible(contents, shape)


def _check_convertible(contents: AdapterContents, shape: BaseShape) -> Iterator[str]:
    config = contents.config
    assert config
    elsewhere = "; lay it over the Hugging Face form of the model instead"
    if config.peft_type != "LORA":
        yield f"its type is {config.peft_type}, and a GGUF model takes LoRA alone{elsewhere}"
        return
    yield from (reason + elsewhere for reason in config.beyond_low_rank)
    if shape.architecture not in GGUF_ARCHITECTURES:
        yield (
            f"a LoRA cannot be converted for the architecture {shape.architecture}; the ones that can are"
            f" {', '.join(GGUF_ARCHITECTURES)}"
        )
    others = list(contents.low_rank.others)
    if any(trains_embedding(name) for name in others):
        yield "it trains an embedding" + elsewhere
    elif others and not config.beyond_low_rank:
        yield f"it holds tensors that are not part of a LoRA, such as {others[0]}"
    if not contents.low_rank.pairs and not others:
        yield "it holds no weights"
    if any(pair.module == "lm_head" for pair in contents.low_rank.pairs) and not shape.find("output"):
        yield f"it changes the output head, which in this file is the token embedding as well{elsewhere}"


def _check_tied(contents: AdapterContents, shape: BaseShape) -> Iterator[str]:
    """llama.cpp would multiply the head with the halves of the embedding, which ends its process."""
    if any(pair.turned for pair in contents.low_rank.pairs) and not shape.find("output"):
        yield (
            "it changes the token embedding, which in this file is the output head as well, and llama.cpp cannot change"
            " one without the other"
        )


def _check_ranks(contents: AdapterContents) -> Iterator[str]:
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


def _check_layers(contents: AdapterContents, shape: BaseShape) -> Iterator[str]:
    config = contents.config
    layers = [layer for pair in contents.low_rank.pairs if (layer := layer_of(pair.module)) is not None]
    most = max(layers, default=-1) + 1
    if config and config.num_layers and config.peft_type == "PREFIX_TUNING":
        most = config.num_layers
    if most > shape.layers:
        yield f"it was trained on {most} layers or more, and the base has {shape.layers}"


def _check_sizes(contents: AdapterContents, shape: BaseShape) -> Iterator[str]:
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


def _find_misfits(contents: AdapterContents, shape: BaseShape) -> Iterator[_Misfit]:
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


def _find_missing(contents: AdapterContents, shape: BaseShape) -> Iterator[_Misfit]:
    """Pairs that must be there: those of the modules that the configuration names."""
    config = contents.config
    if config is None or config.peft_type != "LORA" or config.layer_replication or config.target_parameters:
        return
    there = {_bare(pair.module) for pair in contents.low_rank.pairs}
    spelled = (hf_module(name, shape.architecture) if shape.is_gguf else name for name in shape.modules)
    known = {_bare(name): name for name in spelled if name and layer_of(name) is not None}
    if not {name for name in there if layer_of(name) is not None} <= known.keys():
        return  # the base names its modules differently, or the adapter is for another base, which is reported as such
    for bare, module in known.items():
        if bare not in there and config.targets(module):
            yield _Misfit(module, "is missing from the adapter")


def _bare(module: str) -> str:
    """A module's name without the outermost one, which some checkpoints leave out."""
    return module.removeprefix("base_model.").removeprefix("model.").removeprefix("transformer.")


def _check_pair(pair: LoraPair, contents: AdapterContents, shape: BaseShape) -> Iterator[_Misfit]:
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
