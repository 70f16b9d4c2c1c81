"""`workbench convert`: a model or an adapter in another format, checked against its source."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from workbench import paths
from workbench.cli import terminal
from workbench.cli.conversion_check import (
    CheckedPair,
    CheckPrompts,
    ConversionResult,
    check_result,
    in_32_bits,
    open_staging_folder,
    tokenizer_vocabulary,
)
from workbench.errors import ModelError

if TYPE_CHECKING:
    from workbench.analysis.agreement import Side
    from workbench.analysis.equivalence import VocabularySample
    from workbench.models.reference import Adapter, Applied, Model
    from workbench.settings import Settings

_PROMPT, _CASES = "queues/plain", "assets/data/queues/test.jsonl"


def main(
    source: Annotated[str, typer.Argument(metavar="SOURCE", help="A Hugging Face folder, a model's name, or a LoRA.")],
    out: Annotated[Path, typer.Argument(metavar="OUT", help="Output: a .gguf file, or with --merge also a folder.")],
    base: Annotated[str, typer.Option(metavar="MODEL", help="For a LoRA: the GGUF model to use it with.")] = "",
    kind: Annotated[
        str,
        typer.Option(
            "--type", metavar="TYPE", help="Type of the .gguf file: f32, f16, bf16, q8_0, q6_k, q5_k_m, q4_k_m, q4_0 …"
        ),
    ] = "",
    merge: Annotated[
        list[str] | None, typer.Option(metavar="ADAPTER", help="Merge this adapter into SOURCE. Repeatable.")
    ] = None,
    allow_pickle: Annotated[
        bool, typer.Option(help="Rewrite SOURCE, a folder with pickled weights that you trust, as safetensors.")
    ] = False,
    scale: Annotated[
        list[float] | None, typer.Option(metavar="X", help="Scale of the merged adapter; one for all, or one for each.")
    ] = None,
    check: Annotated[
        int, typer.Option(min=0, metavar="N", help="Number of cases to answer before and after, to compare.")
    ] = 20,
    prompt: Annotated[str, typer.Option(metavar="NAME", help="Prompt for these cases, from the library.")] = _PROMPT,
    dataset: Annotated[str, typer.Option(metavar="FILE", help="Dataset with these cases. Default: the demo's.")] = "",
) -> None:
    """Convert a model or a LoRA adapter, and check the result.

    The result is compared with its source: the tokens of more than a hundred texts and conversations, the chat
    templates, the end-of-turn tokens, and the log-probabilities of some answers. If they differ by more than rounding,
    the result is renamed to say so, and the exit code is 1. Then both forms answer the demo's cases, or your own.

    \b
      workbench convert runs/my-lora my-lora.gguf --base desk-f16
      workbench convert ~/models/Qwen2.5-0.5B qwen.gguf --type q4_k_m
      workbench convert ~/models/Qwen2.5-0.5B merged --merge runs/my-lora
      workbench convert ~/models/Qwen2.5-0.5B merged.gguf --merge runs/my-lora --type q8_0
      workbench convert desk-f16 merged.gguf --merge first.gguf --merge second.gguf
      workbench convert runs/old-lora runs/new-lora --allow-pickle

    \b
    Exit codes: 0 converted, and equivalent; 1 different, or could not be checked;
    2 it cannot be converted; 130 interrupted.
    """
    from workbench.settings import load_settings

    settings = load_settings()
    if out.exists():
        raise ModelError(f"{out} already exists.", "Choose another name, or delete it first.")
    if allow_pickle:
        from workbench.models.pickled import rewrite

        rewrite(paths.expand(source), out)
        terminal.log(f"Wrote {out}.")
        return
    names = merge or []
    asked = _load_check_prompts(prompt, dataset, check, settings)
    adapter = None if names else _find_adapter(source, settings)
    with open_staging_folder(out) as scratch:
        if adapter:
            made = _convert_adapter(adapter, base, scratch / out.name, kind, settings)
        else:
            model = _find_model(source, settings)
            applied = _resolve_adapters(names, scale or [], settings)
            made = _convert_model(model, applied, scratch / out.name, kind)
        code = check_result(made, out, asked, settings)
    if code:
        raise typer.Exit(code)


def _convert_adapter(adapter: Adapter, base: str, out: Path, kind: str, settings: Settings) -> ConversionResult:
    from workbench.analysis.agreement import Side
    from workbench.models.lora_to_gguf import convert_lora
    from workbench.models.reference import Adapter, Applied

    if not base:
        raise ModelError(
            "Expected a base model to convert this LoRA for.", "Name the GGUF form of its base with --base."
        )
    if kind not in ("", "f32", "f16"):
        raise ModelError(f"A LoRA cannot be written as {kind}.", "Choose f32 or f16.")
    model = _find_model(base, settings)
    if model.format != "gguf":
        raise ModelError(f"{model.name} is not a GGUF model.", "Convert it first, then pass the GGUF file.")
    notes = convert_lora(adapter, model, out, "f16" if kind == "f16" else "f32")
    twin = _find_twin(model)  # on the GGUF model itself it would be converted as well, and prove nothing
    if twin is None:
        return ConversionResult(
            out, (), (), notes, "no Hugging Face form of the base was found next to it to compare with."
        )
    before = Side(in_32_bits(twin), (Applied(adapter),))
    after = Side(model, (Applied(Adapter(out.stem, out.absolute(), "gguf")),))
    return ConversionResult(out, (CheckedPair(before, after, None),), (), notes)


def _convert_model(model: Model, applied: Sequence[Applied], out: Path, kind: str) -> ConversionResult:
    from workbench.analysis.agreement import Side
    from workbench.models.merge import merge
    from workbench.models.reference import Model

    before = Side(in_32_bits(model), tuple(applied))
    if applied and model.format == "gguf" and out.suffix == ".gguf":
        return _merge_gguf(before, out, kind)
    if applied and out.suffix != ".gguf":
        notes = merge(model, applied, out)
        after = Side(in_32_bits(Model(out.name, out, "hf")))
        return ConversionResult(
            out, (CheckedPair(before, after, _tolerance(_stored(out)), _vocabulary(model)),), (), notes
        )
    if out.suffix != ".gguf":
        raise ModelError(f"{out} is not a .gguf file.", "Name one, or pass an adapter with --merge.")
    if model.format == "gguf":
        return ConversionResult(
            out,
            (CheckedPair(before, Side(Model(out.stem, out)), _tolerance(kind)),),
            (),
            _quantize(model.path, out, kind),
        )
    whole, notes = model, ()
    if applied:
        whole = Model(out.stem, out.parent / "merged" / out.stem, "hf")
        notes = merge(model, applied, whole.path)
    return _write_gguf(before, whole, out, kind or "f16", notes)


def _write_gguf(before: Side, whole: Model, out: Path, kind: str, notes: Sequence[str]) -> ConversionResult:
    """A Hugging Face folder as GGUF. What is to be packed is compared before that as well, which loses nothing."""
    from workbench.analysis.agreement import Side
    from workbench.models.gguf_tokenizer import find_changes
    from workbench.models.hf_folder import read_effective_config
    from workbench.models.hf_to_gguf import convert_hf_to_gguf
    from workbench.models.hf_tokenizer import load_tokenizer
    from workbench.models.reference import Model

    exact = out if kind in ("f32", "f16") else out.parent / "exact.gguf"
    notes = [*notes, *convert_hf_to_gguf(whole.path, exact, "f16" if kind == "f16" else "f32")]
    tokenizer = load_tokenizer(whole.path, read_effective_config(whole.path))
    before = Side(_with_template(before.model, tokenizer.templates), before.adapters)
    stored = _tolerance(_stored(whole.path)) if before.adapters else 0.0
    bound = max(_tolerance("f16" if kind == "f16" else "f32"), stored)
    comparisons = [CheckedPair(before, Side(Model(exact.stem, exact)), bound, tokenizer_vocabulary(tokenizer))]
    if exact != out:
        notes += _quantize(exact, out, kind)
        comparisons.append(CheckedPair(before, Side(Model(out.stem, out)), max(_tolerance(kind), stored)))
    return ConversionResult(out, comparisons, tuple(find_changes(tokenizer, exact)), notes)


def _with_template(model: Model, templates: dict[str, str]) -> Model:
    """A model whose engine takes the template that the folder holds, wherever in it that is."""
    import msgspec

    return msgspec.structs.replace(model, chat_template=templates.get("default"))


def _merge_gguf(before: Side, out: Path, kind: str) -> ConversionResult:
    """Merge inside GGUF in the base's own precision, and quantize the result where a type is asked for."""
    from workbench.analysis.agreement import Side
    from workbench.models.merge_gguf import merge_gguf
    from workbench.models.reference import Model

    model, applied = before
    exact = out.parent / "exact.gguf" if kind else out
    notes = [*merge_gguf(model, applied, exact), *(_quantize(exact, out, kind) if kind else ())]
    return ConversionResult(
        out, (CheckedPair(before, Side(Model(out.stem, out)), _tolerance(kind or "bf16")),), (), notes
    )


def _quantize(source: Path, out: Path, kind: str) -> tuple[str, ...]:
    """What a person should know of it."""
    from workbench.inference.llamacpp.quantize import quantize

    note = quantize(source, out, kind or "f16")
    return (note,) if note else ()


def _tolerance(kind: str) -> float:
    from workbench.analysis.equivalence import BOUNDS, PACKED_BOUND

    return BOUNDS.get(kind or "f16", PACKED_BOUND)


def _stored(folder: Path) -> str:
    """The type of a folder's numbers, as conversions name it."""
    from workbench.models.hf_folder import inspect_folder

    return inspect_folder(folder).quantization.lower()


def _vocabulary(model: Model) -> VocabularySample:
    from workbench.models.hf_folder import read_effective_config
    from workbench.models.hf_tokenizer import load_tokenizer

    return tokenizer_vocabulary(load_tokenizer(model.path, read_effective_config(model.path)))


def _load_check_prompts(prompt: str, dataset: str, count: int, settings: Settings) -> CheckPrompts:
    """The prompt and the first cases of a dataset, or of the demo's; before anything long is begun."""
    from workbench.datasets import load_cases
    from workbench.datasets.spec import Dataset
    from workbench.paths import find_shipped
    from workbench.runs.opening import open_library

    path = dataset or str(find_shipped(_CASES))
    return CheckPrompts(open_library(settings).open(prompt).prompt, load_cases(Dataset(path), Path.cwd())[:count])


def _find_model(name: str, settings: Settings) -> Model:
    from workbench.models.discovery import find_known_models
    from workbench.models.reference import resolve_model

    return resolve_model(name, {}, Path.cwd(), find_known_models(settings))


def _find_adapter(name: str, settings: Settings) -> Adapter | None:
    """The PEFT adapter of a name or path; None for anything else."""
    from workbench.models.discovery import default_folders, discover_adapters
    from workbench.models.reference import adapter_at

    path = paths.expand(name)
    if paths.exists(path) and path.is_dir():
        return adapter_at(path.absolute()) if (path / "adapter_config.json").is_file() else None
    found = discover_adapters(default_folders(settings))
    return next((adapter for adapter in found if adapter.name == name and adapter.format == "peft"), None)


def _resolve_adapters(names: Sequence[str], scales: Sequence[float], settings: Settings) -> tuple[Applied, ...]:
    """The adapters of names or paths, in either format, with a scale for all or for each."""
    from workbench.models.discovery import default_folders, discover_adapters
    from workbench.models.reference import resolve_adapters
    from workbench.runs.bench import AdapterChoice

    if len(scales) > 1 and len(scales) != len(names):
        raise ModelError(
            f"Found {len(scales)} scales for {len(names)} adapters.", "Pass one --scale for all, or one for each."
        )
    if not names:
        return ()
    each = scales if len(scales) == len(names) else [scales[0] if scales else 1.0] * len(names)
    found = discover_adapters(default_folders(settings))
    choices = [AdapterChoice(name, scale) for name, scale in zip(names, each, strict=True)]
    if 0 in each:
        raise ModelError("A scale of 0 merges nothing.", "Leave the adapter out, or pass another --scale.")
    return resolve_adapters(choices, Path.cwd(), found)


def _find_twin(model: Model) -> Model | None:
    """The Hugging Face folder beside a GGUF file that it was made from, by its name: `desk` for `desk-q8_0.gguf`."""
    from workbench.models.reference import Model, detect_format

    parts = model.path.stem.split("-")
    beside = [model.path.with_name("-".join(parts[:end])) for end in range(len(parts), 0, -1)]
    folder = next((path for path in beside if detect_format(path) == "hf"), None)
    return Model(folder.name, folder, "hf") if folder else None
