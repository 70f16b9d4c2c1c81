"""`workbench convert`: a model or an adapter in another form, checked against the one it was made from.

Knows nothing of formats (models/convert.py, lora.py, merge.py) or of how answers are compared (evaluation/).
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Annotated, NamedTuple

import typer

from workbench.cli import terminal
from workbench.errors import ModelError

if TYPE_CHECKING:
    from workbench.evaluation.agreement import Side
    from workbench.evaluation.datasets.case import Case
    from workbench.models.reference import Adapter, Applied, Model
    from workbench.prompting.prompt import Prompt
    from workbench.settings import Settings

_PROMPT, _CASES = "queues/plain", "assets/data/queues/test.jsonl"


def main(
    source: Annotated[str, typer.Argument(metavar="SOURCE", help="A Hugging Face folder, a model's name, or a LoRA.")],
    out: Annotated[Path, typer.Argument(metavar="OUT", help="What to write: a .gguf file, or a folder for --merge.")],
    base: Annotated[str, typer.Option(help="For a LoRA: the GGUF model it will be laid over.")] = "",
    kind: Annotated[
        str, typer.Option("--type", help="f32, f16, bf16, q8_0, q6_k, q5_k_m, q4_k_m, q4_0 … of a .gguf file.")
    ] = "",
    merge: Annotated[str, typer.Option(metavar="ADAPTER", help="Merge this adapter into SOURCE.")] = "",
    allow_pickle: Annotated[
        bool, typer.Option(help="Write SOURCE, a folder with pickled weights that you trust, anew with safetensors.")
    ] = False,
    scale: Annotated[float, typer.Option(help="The scale of the merged adapter.")] = 1.0,
    check: Annotated[int, typer.Option(min=0, help="Cases to answer before and after; 0 skips the check.")] = 20,
    prompt: Annotated[str, typer.Option(help="The prompt of the check, a library name.")] = _PROMPT,
    dataset: Annotated[str, typer.Option(metavar="FILE", help="The cases of the check; else those of the demo.")] = "",
) -> None:
    """Convert a model or a LoRA adapter.

    Afterwards the demo's cases, or your own, are answered by both forms, and what differs is shown.

    \b
      workbench convert runs/my-lora my-lora.gguf --base desk-f16
      workbench convert ~/models/Qwen2.5-0.5B qwen.gguf --type q4_k_m
      workbench convert ~/models/Qwen2.5-0.5B merged --merge runs/my-lora
      workbench convert ~/models/Qwen2.5-0.5B merged.gguf --merge runs/my-lora --type q8_0
      workbench convert desk-f16 merged.gguf --merge my-lora.gguf
      workbench convert runs/old-lora runs/new-lora --allow-pickle

    \b
    Exit codes: 0 written; 1 written, and the check could not be run; 2 it
    cannot be converted; 130 interrupted.
    """
    from workbench.evaluation.agreement import Side
    from workbench.models.reference import Applied, Model
    from workbench.settings import load_settings

    settings = load_settings()
    if out.exists():
        raise ModelError(f"{out} is already there.", "Choose another name, or delete it first.")
    if allow_pickle:
        from workbench.models.pickled import rewrite

        rewrite(Path(source).expanduser(), out)
        terminal.say(f"Wrote {out}.")
        return
    asked = _read_questions(prompt, dataset, check, settings)
    adapter = None if merge else _find_adapter(source, settings)
    before: Side | None
    if adapter:
        before, after = _convert_adapter(adapter, base, out, kind, settings)
    else:
        model = _find_model(source, settings)
        laid = (Applied(_need_adapter(merge, settings), scale),) if merge else ()
        _convert_model(model, laid[0] if laid else None, out, kind)
        before, after = Side(model, laid), Side(Model(out.stem, out, "gguf" if out.suffix == ".gguf" else "hf"))
    terminal.say(f"Wrote {out}.")
    if check and before is None:
        terminal.say("Not checked: there is no Hugging Face form of the base beside it to compare with.")
    elif check and before:
        _check(before, after, asked, settings)


def _convert_adapter(adapter: Adapter, base: str, out: Path, kind: str, settings: Settings) -> tuple[Side | None, Side]:
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
    convert_lora(adapter, model, out, "f16" if kind == "f16" else "f32")
    made = Applied(Adapter(out.stem, out.absolute(), "gguf"))
    twin = _find_twin(model)  # on the GGUF model itself it would be converted as well, and prove nothing
    return Side(twin, (Applied(adapter),)) if twin else None, Side(model, (made,))


def _convert_model(model: Model, applied: Applied | None, out: Path, kind: str) -> None:
    from workbench.models.merge import merge
    from workbench.models.reference import Model

    if applied and model.format == "gguf" and out.suffix == ".gguf":
        _merge_gguf(model, applied, out, kind)
        return
    if applied and out.suffix != ".gguf":
        merge(model, applied, out)
        return
    if out.suffix != ".gguf":
        raise ModelError(f"{out} is no .gguf file.", "Name one, or an adapter to --merge.")
    with TemporaryDirectory(dir=out.absolute().parent, prefix=f".{out.name}.") as scratch:
        if applied:
            merge(model, applied, Path(scratch) / out.stem)
            model = Model(out.stem, Path(scratch) / out.stem, "hf")
        _write_gguf(model, out, kind or "f16", Path(scratch))


def _merge_gguf(model: Model, applied: Applied, out: Path, kind: str) -> None:
    """Merge inside GGUF: in the base's own numbers, or unpacked and packed anew where a type is asked for."""
    from workbench.models.merge_gguf import find_packed, merge_gguf

    packed = find_packed(model)
    if not kind and packed:
        raise ModelError(
            f"{model.name} is packed ({', '.join(packed)}): merging means to unpack its weights and pack them again,"
            " which loses a little.",
            "Merge into its f16 or f32 form, or say in which type the result may be packed: --type q8_0",
        )
    if not kind:
        merge_gguf(model, applied, out)
        return
    with TemporaryDirectory(dir=out.absolute().parent, prefix=f".{out.name}.") as scratch:
        exact = Path(scratch) / "exact.gguf"
        merge_gguf(model, applied, exact, unpack=True)
        if kind == "f32":
            exact.replace(out)
        else:
            _pack(exact, out, kind)
    if packed:
        terminal.say(f"Note: {model.name} was unpacked from {', '.join(packed)} for it, and packed anew as {kind}.")


def _pack(source: Path, out: Path, kind: str) -> None:
    from workbench.engines.llamacpp.quantize import quantize

    note = quantize(source, out, kind)
    if note:
        terminal.say(f"Note: {note}")


def _write_gguf(model: Model, out: Path, kind: str, scratch: Path) -> None:
    from workbench.models.convert import convert_hf_to_gguf

    if model.format == "gguf":
        _pack(model.path, out, kind)
    elif kind in ("f32", "f16"):
        convert_hf_to_gguf(model.path, out, "f32" if kind == "f32" else "f16")
    else:
        convert_hf_to_gguf(model.path, scratch / "exact.gguf", "f32")
        _pack(scratch / "exact.gguf", out, kind)


class _Questions(NamedTuple):
    """What a check asks both forms."""

    prompt: Prompt
    cases: Sequence[Case]


def _read_questions(prompt: str, dataset: str, count: int, settings: Settings) -> _Questions:
    """The prompt and the first cases of a dataset, or of the demo's; before anything long is begun."""
    from workbench.evaluation.bench import Dataset
    from workbench.evaluation.datasets import load_cases
    from workbench.evaluation.opening import open_library
    from workbench.paths import find_shipped

    path = dataset or str(find_shipped(_CASES))
    return _Questions(open_library(settings).open(prompt).prompt, load_cases(Dataset(path), Path.cwd())[:count])


def _check(before: Side, after: Side, asked: _Questions, settings: Settings) -> None:
    from workbench.evaluation.agreement import measure_agreement
    from workbench.hosting.pool import Pool

    pool = Pool.configured(settings)
    try:
        found = measure_agreement(asked.prompt, asked.cases, before, after, pool)
    finally:
        pool.close()
    same = found.cases - len(found.differences)
    terminal.say(
        f"{same} of {found.cases} answers are the same before and after ({found.share:.0%}); log-probabilities differ"
        f" by {found.logprob:.3g} at most."
    )
    for difference in found.differences[:10]:
        terminal.say(f"  case {difference.case}: {difference.before!r} became {difference.after!r}")


def _find_model(name: str, settings: Settings) -> Model:
    from workbench.models.discover import default_folders, discover_models
    from workbench.models.reference import resolve_model

    return resolve_model(name, {}, Path.cwd(), discover_models(default_folders(settings)))


def _find_adapter(name: str, settings: Settings) -> Adapter | None:
    """The PEFT adapter of a name or path; None for what is none."""
    from workbench.models.discover import default_folders, discover_adapters
    from workbench.models.reference import adapter_at

    path = Path(name).expanduser()
    if path.is_dir():
        return adapter_at(path.absolute()) if (path / "adapter_config.json").is_file() else None
    found = discover_adapters(default_folders(settings))
    return next((adapter for adapter in found if adapter.name == name and adapter.format == "peft"), None)


def _need_adapter(name: str, settings: Settings) -> Adapter:
    """The adapter of a name or path, in either format."""
    from workbench.evaluation.bench import AdapterChoice
    from workbench.models.discover import default_folders, discover_adapters
    from workbench.models.reference import resolve_adapters

    found = discover_adapters(default_folders(settings))
    return resolve_adapters([AdapterChoice(name)], Path.cwd(), found)[0].adapter


def _find_twin(model: Model) -> Model | None:
    """The Hugging Face folder beside a GGUF file that it was made from, by its name: `desk` for `desk-q8_0.gguf`."""
    from workbench.models.reference import Model, recognize

    parts = model.path.stem.split("-")
    beside = [model.path.with_name("-".join(parts[:end])) for end in range(len(parts), 0, -1)]
    folder = next((path for path in beside if recognize(path) == "hf"), None)
    return Model(folder.name, folder, "hf") if folder else None
