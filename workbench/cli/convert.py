"""`workbench convert`: a model or an adapter in another form, checked against the one it was made from.

Knows nothing of formats (models/convert.py, lora.py, merge.py) or of how the result is checked (conversion_check.py).
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from workbench import paths
from workbench.cli import terminal
from workbench.cli.conversion_check import (
    CheckedPair,
    Made,
    Questions,
    in_32_bits,
    know_vocabulary,
    open_workplace,
    settle,
)
from workbench.errors import ModelError

if TYPE_CHECKING:
    from workbench.evaluation.agreement import Side
    from workbench.evaluation.equivalence import Vocabulary
    from workbench.models.reference import Adapter, Applied, Model
    from workbench.settings import Settings

_PROMPT, _CASES = "queues/plain", "assets/data/queues/test.jsonl"


def main(
    source: Annotated[str, typer.Argument(metavar="SOURCE", help="A Hugging Face folder, a model's name, or a LoRA.")],
    out: Annotated[Path, typer.Argument(metavar="OUT", help="What to write: a .gguf file, or a folder for --merge.")],
    base: Annotated[str, typer.Option(help="For a LoRA: the GGUF model it will be laid over.")] = "",
    kind: Annotated[
        str, typer.Option("--type", help="f32, f16, bf16, q8_0, q6_k, q5_k_m, q4_k_m, q4_0 … of a .gguf file.")
    ] = "",
    merge: Annotated[
        list[str] | None,
        typer.Option(metavar="ADAPTER", help="Merge this adapter into SOURCE; may be given several times."),
    ] = None,
    allow_pickle: Annotated[
        bool, typer.Option(help="Write SOURCE, a folder with pickled weights that you trust, anew with safetensors.")
    ] = False,
    scale: Annotated[
        list[float] | None, typer.Option(help="The scale of the merged adapter; one for all, or one for each.")
    ] = None,
    check: Annotated[int, typer.Option(min=0, help="Cases to answer before and after, and show what differs.")] = 20,
    prompt: Annotated[str, typer.Option(help="The prompt of these cases, a library name.")] = _PROMPT,
    dataset: Annotated[str, typer.Option(metavar="FILE", help="The cases; else those of the demo.")] = "",
) -> None:
    """Convert a model or a LoRA adapter, and check the result.

    The result is compared with its source: the tokens of more than a hundred texts and conversations, the chat
    templates, the tokens that end an answer, and the log-probabilities of some answers. Where they differ by more than
    rounding, the result is set aside under a name that says so, and the exit code is 1. Then the demo's cases, or your
    own, are answered by both forms.

    \b
      workbench convert runs/my-lora my-lora.gguf --base desk-f16
      workbench convert ~/models/Qwen2.5-0.5B qwen.gguf --type q4_k_m
      workbench convert ~/models/Qwen2.5-0.5B merged --merge runs/my-lora
      workbench convert ~/models/Qwen2.5-0.5B merged.gguf --merge runs/my-lora --type q8_0
      workbench convert desk-f16 merged.gguf --merge first.gguf --merge second.gguf
      workbench convert runs/old-lora runs/new-lora --allow-pickle

    \b
    Exit codes: 0 written, and the same model; 1 set aside, because it differs or
    could not be checked; 2 it cannot be converted; 130 interrupted.
    """
    from workbench.settings import load_settings

    settings = load_settings()
    if out.exists():
        raise ModelError(f"{out} is already there.", "Choose another name, or delete it first.")
    if allow_pickle:
        from workbench.models.pickled import rewrite

        rewrite(paths.expand(source), out)
        terminal.say(f"Wrote {out}.")
        return
    names = merge or []
    asked = _read_questions(prompt, dataset, check, settings)
    adapter = None if names else _find_adapter(source, settings)
    with open_workplace(out) as scratch:
        if adapter:
            made = _convert_adapter(adapter, base, scratch / out.name, kind, settings)
        else:
            model = _find_model(source, settings)
            laid = _need_adapters(names, scale or [], settings)
            made = _convert_model(model, laid, scratch / out.name, kind)
        code = settle(made, out, asked, settings)
    if code:
        raise typer.Exit(code)


def _convert_adapter(adapter: Adapter, base: str, out: Path, kind: str, settings: Settings) -> Made:
    from workbench.evaluation.agreement import Side
    from workbench.models.lora import convert_lora
    from workbench.models.reference import Adapter, Applied

    if not base:
        raise ModelError("A LoRA is converted for a model.", "Name a GGUF form of its base with --base.")
    if kind not in ("", "f32", "f16"):
        raise ModelError(f"A LoRA cannot be written as {kind}.", "Choose f32 or f16.")
    model = _find_model(base, settings)
    if model.format != "gguf":
        raise ModelError(f"{model.name} is no GGUF model.", "Convert it first, and name the GGUF file.")
    notes = convert_lora(adapter, model, out, "f16" if kind == "f16" else "f32")
    twin = _find_twin(model)  # on the GGUF model itself it would be converted as well, and prove nothing
    if twin is None:
        return Made(out, (), (), notes, "there is no Hugging Face form of the base beside it to compare with.")
    before = Side(in_32_bits(twin), (Applied(adapter),))
    after = Side(model, (Applied(Adapter(out.stem, out.absolute(), "gguf")),))
    return Made(out, (CheckedPair(before, after, None),), (), notes)


def _convert_model(model: Model, laid: Sequence[Applied], out: Path, kind: str) -> Made:
    from workbench.evaluation.agreement import Side
    from workbench.models.merge import merge
    from workbench.models.reference import Model

    before = Side(in_32_bits(model), tuple(laid))
    if laid and model.format == "gguf" and out.suffix == ".gguf":
        return _merge_gguf(before, out, kind)
    if laid and out.suffix != ".gguf":
        notes = merge(model, laid, out)
        after = Side(in_32_bits(Model(out.name, out, "hf")))
        return Made(out, (CheckedPair(before, after, _bound(_stored(out)), _vocabulary(model)),), (), notes)
    if out.suffix != ".gguf":
        raise ModelError(f"{out} is no .gguf file.", "Name one, or an adapter to --merge.")
    if model.format == "gguf":
        return Made(
            out, (CheckedPair(before, Side(Model(out.stem, out)), _bound(kind)),), (), _pack(model.path, out, kind)
        )
    whole, notes = model, ()
    if laid:
        whole = Model(out.stem, out.parent / "merged" / out.stem, "hf")
        notes = merge(model, laid, whole.path)
    return _write_gguf(before, whole, out, kind or "f16", notes)


def _write_gguf(before: Side, whole: Model, out: Path, kind: str, notes: Sequence[str]) -> Made:
    """A Hugging Face folder as GGUF. What is to be packed is compared before that as well, which loses nothing."""
    from workbench.evaluation.agreement import Side
    from workbench.models.convert import convert_hf_to_gguf
    from workbench.models.gguf_check import find_changes
    from workbench.models.hf_config import read_effective_config
    from workbench.models.hf_tokenizer import load_tokenizer
    from workbench.models.reference import Model

    exact = out if kind in ("f32", "f16") else out.parent / "exact.gguf"
    notes = [*notes, *convert_hf_to_gguf(whole.path, exact, "f16" if kind == "f16" else "f32")]
    tokenizer = load_tokenizer(whole.path, read_effective_config(whole.path))
    before = Side(_with_template(before.model, tokenizer.templates), before.adapters)
    stored = _bound(_stored(whole.path)) if before.adapters else 0.0
    bound = max(_bound("f16" if kind == "f16" else "f32"), stored)
    comparisons = [CheckedPair(before, Side(Model(exact.stem, exact)), bound, know_vocabulary(tokenizer))]
    if exact != out:
        notes += _pack(exact, out, kind)
        comparisons.append(CheckedPair(before, Side(Model(out.stem, out)), max(_bound(kind), stored)))
    return Made(out, comparisons, tuple(find_changes(tokenizer, exact)), notes)


def _with_template(model: Model, templates: dict[str, str]) -> Model:
    """A model whose engine takes the template that the folder holds, wherever in it that is."""
    import msgspec

    return msgspec.structs.replace(model, chat_template=templates.get("default"))


def _merge_gguf(before: Side, out: Path, kind: str) -> Made:
    """Merge inside GGUF: in the base's own numbers, or unpacked and packed anew where a type is asked for."""
    from workbench.evaluation.agreement import Side
    from workbench.models.merge_gguf import find_packed, merge_gguf
    from workbench.models.reference import Model

    model, laid = before
    packed = find_packed(model)
    if not kind and packed:
        raise ModelError(
            f"{model.name} is packed ({', '.join(packed)}): merging means to unpack its weights and pack them again,"
            " which loses a little.",
            "Merge into its f16 or f32 form, or say in which type the result may be packed: --type q8_0",
        )
    notes: list[str] = []
    if not kind:
        notes += merge_gguf(model, laid, out)
    else:
        exact = out.parent / "exact.gguf" if kind != "f32" else out
        notes += merge_gguf(model, laid, exact, unpack=True)
        notes += _pack(exact, out, kind) if exact != out else ()
    if packed:
        notes.append(f"{model.name} was unpacked from {', '.join(packed)} for it, and packed anew as {kind}.")
    return Made(out, (CheckedPair(before, Side(Model(out.stem, out)), _bound(kind or "bf16")),), (), notes)


def _pack(source: Path, out: Path, kind: str) -> tuple[str, ...]:
    """What a person should know of it."""
    from workbench.engines.llamacpp.quantize import quantize

    note = quantize(source, out, kind or "f16")
    return (note,) if note else ()


def _bound(kind: str) -> float:
    from workbench.evaluation.equivalence import BOUNDS, PACKED_BOUND

    return BOUNDS.get(kind or "f16", PACKED_BOUND)


def _stored(folder: Path) -> str:
    """The type of a folder's numbers, as conversions name it."""
    from workbench.models.folder import inspect_folder

    return inspect_folder(folder).quantization.lower()


def _vocabulary(model: Model) -> Vocabulary:
    from workbench.models.hf_config import read_effective_config
    from workbench.models.hf_tokenizer import load_tokenizer

    return know_vocabulary(load_tokenizer(model.path, read_effective_config(model.path)))


def _read_questions(prompt: str, dataset: str, count: int, settings: Settings) -> Questions:
    """The prompt and the first cases of a dataset, or of the demo's; before anything long is begun."""
    from workbench.evaluation.bench import Dataset
    from workbench.evaluation.datasets import load_cases
    from workbench.evaluation.opening import open_library
    from workbench.paths import find_shipped

    path = dataset or str(find_shipped(_CASES))
    return Questions(open_library(settings).open(prompt).prompt, load_cases(Dataset(path), Path.cwd())[:count])


def _find_model(name: str, settings: Settings) -> Model:
    from workbench.models.discover import default_folders, discover_models
    from workbench.models.reference import resolve_model

    return resolve_model(name, {}, Path.cwd(), discover_models(default_folders(settings)))


def _find_adapter(name: str, settings: Settings) -> Adapter | None:
    """The PEFT adapter of a name or path; None for what is none."""
    from workbench.models.discover import default_folders, discover_adapters
    from workbench.models.reference import adapter_at

    path = paths.expand(name)
    if paths.exists(path) and path.is_dir():
        return adapter_at(path.absolute()) if (path / "adapter_config.json").is_file() else None
    found = discover_adapters(default_folders(settings))
    return next((adapter for adapter in found if adapter.name == name and adapter.format == "peft"), None)


def _need_adapters(names: Sequence[str], scales: Sequence[float], settings: Settings) -> tuple[Applied, ...]:
    """The adapters of names or paths, in either format, with a scale for all or for each."""
    from workbench.evaluation.bench import AdapterChoice
    from workbench.models.discover import default_folders, discover_adapters
    from workbench.models.reference import resolve_adapters

    if len(scales) > 1 and len(scales) != len(names):
        raise ModelError(
            f"{len(scales)} scales were given for {len(names)} adapters.", "Give one --scale for all, or one for each."
        )
    if not names:
        return ()
    each = scales if len(scales) == len(names) else [scales[0] if scales else 1.0] * len(names)
    found = discover_adapters(default_folders(settings))
    choices = [AdapterChoice(name, scale) for name, scale in zip(names, each, strict=True)]
    if 0 in each:
        raise ModelError("A scale of 0 merges nothing.", "Leave the adapter out, or give another --scale.")
    return resolve_adapters(choices, Path.cwd(), found)


def _find_twin(model: Model) -> Model | None:
    """The Hugging Face folder beside a GGUF file that it was made from, by its name: `desk` for `desk-q8_0.gguf`."""
    from workbench.models.reference import Model, recognize

    parts = model.path.stem.split("-")
    beside = [model.path.with_name("-".join(parts[:end])) for end in range(len(parts), 0, -1)]
    folder = next((path for path in beside if recognize(path) == "hf"), None)
    return Model(folder.name, folder, "hf") if folder else None
