"""A new bench from a data file alone: what it would hold (`plan_bench`), and its files (`create_bench`)."""

from __future__ import annotations

import json
import os
import re
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, get_args

import msgspec

from workbench import files, paths
from workbench.datasets.case import Case
from workbench.datasets.registry import kinds_by_suffix
from workbench.errors import BenchError, ModelError, WorkbenchError
from workbench.inference.types import Sampling
from workbench.library.library import Library
from workbench.library.names import SUFFIX, find_path
from workbench.models.discovery import find_known_models
from workbench.models.model_info import inspect_model
from workbench.models.reference import Model, resolve_model
from workbench.prompting.prompt import Example, Prompt
from workbench.runs.bench import AdapterChoice, Bench, Variant, save_bench
from workbench.runs.case_file import LOOKED_AT, open_case_file
from workbench.runs.example_rows import DrawnExamples, draw_examples
from workbench.runs.task_kind import (
    DESCRIPTIONS,
    DetectedTask,
    TaskKind,
    choose_inputs,
    detect_task,
)
from workbench.settings import Settings

BENCH_SUFFIX = ".bench.yaml"
PaneKind = Literal["zero-shot", "few-shot", "adapter"]
PANE_KINDS: tuple[PaneKind, ...] = get_args(PaneKind)
ScorerEntry = str | dict[str, dict[str, Any]]


@dataclass(frozen=True, slots=True)
class BenchRequest:
    """What a person says of a new bench; everything else is guessed.

    data: the file or folder of the cases. name: of the bench's file; "": as the data. expected: the column of the
    answers; "": a usual name. scorers: names of those that fit; None: the usual ones. adapter: of the pane `adapter`.
    """

    data: Path
    model: str = ""
    kind: TaskKind | None = None
    expected: str = ""
    split: str = ""
    name: str = ""
    panes: tuple[PaneKind, ...] = ("zero-shot", "few-shot")
    adapter: str = ""
    scorers: tuple[str, ...] | None = None


@dataclass(frozen=True, slots=True)
class NewBench:
    """A bench and its prompts before they are written.

    rows, columns: of the data; cases: rows without the examples. expected: where the answers come from; "": there are
    none. fitting: names of the scorers that suit the task. about_data, decisions: a sentence each.
    """

    path: Path
    bench: Bench
    prompts: tuple[Prompt, ...]
    task: DetectedTask
    cases: int
    rows: int
    columns: tuple[str, ...]
    expected: str
    fitting: tuple[str, ...]
    about_data: tuple[str, ...]
    decisions: tuple[str, ...]

    @property
    def notes(self) -> tuple[str, ...]:
        """Everything that was found and decided, a sentence each."""
        return (*self.about_data, _describe_task(self.task), *self.decisions)

    @property
    def scorers(self) -> tuple[str, ...]:
        """The names of the bench's scorers."""
        return tuple(map(_name_scorer, self.bench.scorers))

    @property
    def paths(self) -> tuple[Path, ...]:
        """Every file that will be made, the bench last."""
        prompts = [find_path(self.path.parent, prompt.name) for prompt in self.prompts]
        examples = [path.parent / "examples.jsonl" for path in prompts[:1] if any(p.examples for p in self.prompts)]
        return (*examples, *prompts, self.path)


def is_data(path: Path) -> bool:
    """Whether a path is named like a file of cases."""
    return path.suffix.lower() in kinds_by_suffix() and not path.name.endswith(".recipe.yaml")


def bench_path(data: Path, name: str = "") -> Path:
    """Where the bench of a data file belongs: beside it, under its name."""
    stem = name.removesuffix(BENCH_SUFFIX) or (data.name if data.is_dir() else data.stem)
    return data.parent / f"{_clean_name(stem)}{BENCH_SUFFIX}"


def plan_bench(request: BenchRequest, settings: Settings) -> NewBench:
    """What the bench would be; nothing is written.

    Raises FileError, DatasetError or ModelError for what cannot be used, BenchError where a file is in the way.
    """
    data = paths.expand(str(request.data)).absolute()
    path = bench_path(data, request.name)
    opened = open_case_file(data, request.split, request.expected)
    looked_at = list(opened.cases[:LOOKED_AT])
    task = detect_task(looked_at, request.kind)
    inputs = choose_inputs(looked_at)
    drawn = draw_examples(opened, looked_at, task, inputs) if "few-shot" in request.panes else DrawnExamples()
    dataset = msgspec.structs.replace(opened.dataset, exclude=drawn.exclude)
    remaining = len(opened.cases) - len(drawn.exclude)
    model, model_note = choose_model(request.model, path.parent, settings)
    prompts = _write_prompts(path.name.removesuffix(BENCH_SUFFIX), task, inputs, drawn.examples)
    sampling = Sampling(max_tokens=_count_tokens(task, looked_at))
    variants = _make_variants(request, prompts, model, sampling)
    used = {variant.prompt for variant in variants}
    answered = any(case.expected and case.expected.strip() for case in looked_at)
    fitting = _list_scorers(task, answered)
    scorers = _choose_scorers(fitting, request.scorers)
    first = next(number for number in opened.cases.numbers if number not in drawn.exclude)
    planned = NewBench(
        path,
        Bench(variants, dataset, scorers, library=".", case=first),
        tuple(prompt for prompt in prompts if prompt.name in used),
        task,
        remaining,
        len(opened.cases),
        tuple(opened.cases.columns),
        (opened.cases.mapper.origin("") or dataset.expected) if answered else "",
        tuple(map(_name_scorer, fitting)),
        opened.notes,
        tuple(filter(None, (drawn.note, model_note))),
    )
    _check_free(planned)
    return planned


def create_bench(planned: NewBench) -> tuple[Path, ...]:
    """Write the prompts and then the bench; the files made. Never overwrites: raises BenchError or FileError."""
    _check_free(planned)
    library = Library(planned.path.parent)
    made: list[Path] = []
    try:
        for prompt in planned.prompts:
            opened = library.save_as(prompt, prompt.name)
            made += [path for path in (opened.path, opened.examples_path) if path and path not in made]
        save_bench(planned.path, planned.bench, "")
    except BaseException:
        for path in made:
            files.remove(path)
        raise
    return (*made, planned.path)


def choose_model(wanted: str, folder: Path, settings: Settings) -> tuple[str, str]:
    """The model as the bench in `folder` names it, and a sentence on a choice that nobody made. Raises ModelError."""
    known = [
        model for model in find_known_models(settings, folder) if model.format in ("gguf", "hf") or model.name == wanted
    ]
    if wanted:
        model = resolve_model(wanted, {}, paths.working_folder(), known)
        named = any(found.name == wanted for found in known) or model.remote is not None
        return (wanted if named else _refer(model.path, folder)), ""
    if not known:
        raise ModelError("No model found.", "Name one with --model: a .gguf file or a Hugging Face folder.")
    own = [model for model in known if not is_shipped(model)]
    choices = own or [model for model in known if model.format == "gguf"] or known
    chosen = next(filter(_is_readable, choices), choices[0])
    note = f"Model: {chosen.name}, the first of {len(choices)} found."
    return chosen.name, note if own else f"{note} It is the demo's and has learned only the demo's tasks."


def is_shipped(model: Model) -> bool:
    """Whether a model came with the workbench: it has learned only the demo's tasks."""
    return model.path.resolve().is_relative_to(paths.find_shipped("assets").resolve())


def _is_readable(model: Model) -> bool:
    try:
        inspect_model(model)
    except WorkbenchError:
        return False
    return True


def _refer(path: Path, folder: Path) -> str:
    """A path as the bench should name it: relative where it lies in or near its folder."""
    relative = os.path.relpath(path, folder)
    return str(path) if relative.count("..") > 2 else relative


def _check_free(planned: NewBench) -> None:
    taken = [path for path in planned.paths if os.path.lexists(path)]
    if taken:
        raise BenchError(
            f"Nothing was made, since {'these exist' if len(taken) > 1 else 'this exists'} already: "
            + ", ".join(map(str, taken)),
            f"Open it with `workbench {planned.path.name}`, or make one of another name with --name."
            if planned.path in taken
            else "Choose another name with --name.",
        )


def _describe_task(task: DetectedTask) -> str:
    labels = f": {', '.join(task.labels[:12])}{', …' if len(task.labels) > 12 else ''}" if task.labels else ""
    keys = f" with the keys {', '.join(task.keys[:12])}" if task.keys else ""
    return f"Task: {DESCRIPTIONS[task.kind]}{labels}{keys}."


def _write_prompts(
    folder: str, task: DetectedTask, inputs: Sequence[str], examples: tuple[Example, ...]
) -> Sequence[Prompt]:
    one = len(inputs) == 1
    user = "\n".join(f"{{{{ {name} }}}}" if one else f"{_title(name)}: {{{{ {name} }}}}" for name in inputs)
    body = f"system:\n{_instruct(task)}\n\nuser:\n{user}\n"
    prompts = [Prompt(f"{folder}/zero-shot", body, description=f"{_describe_task(task)[6:-1]}, without examples")]
    if examples:
        about = f"The same with {len(examples)} answered examples"
        prompts.append(Prompt(f"{folder}/few-shot", body, description=about, placement="turns", examples=examples))
    return prompts


def _title(name: str) -> str:
    return name.replace("_", " ").strip().capitalize() or name


def _instruct(task: DetectedTask) -> str:
    if task.kind == "classify":
        labels = "\n".join(f"- {_quote(label)}" for label in task.labels)
        return f"Choose the label that fits the input. Answer with the label only.\n{labels}"
    if task.kind == "extract":
        keys = f" with the keys {', '.join(map(_quote, task.keys))}" if task.keys else ""
        return f"Extract what the input says. Answer with one JSON value{keys} and nothing else."
    if task.kind == "answer":
        return f"Answer with the {'number' if task.numeric else 'answer'} only, without an explanation."
    return "Respond to the input."


def _quote(text: str) -> str:
    """Text of the data in a template: as it is, unless the template would act on it."""
    flat = " ".join(text.split())
    return f"{{{{ {json.dumps(flat, ensure_ascii=False)} }}}}" if re.search(r"\{[{%#]|[%#}]\}", flat) else flat


def _make_variants(
    request: BenchRequest, prompts: Sequence[Prompt], model: str, sampling: Sampling
) -> tuple[Variant, ...]:
    by_kind = {prompt.name.rpartition("/")[2]: prompt.name for prompt in prompts}
    variants = [
        Variant(kind, by_kind[kind], model, sampling)
        for kind in PANE_KINDS
        if kind in request.panes and kind in by_kind
    ]
    if "adapter" in request.panes:
        if not request.adapter:
            raise BenchError("The pane `adapter` has no adapter.", "Choose one, or leave this pane out.")
        adapters = (AdapterChoice(request.adapter),)
        variants.append(Variant("adapter", by_kind["zero-shot"], model, sampling, adapters=adapters))
    if not variants:
        raise BenchError("A bench needs a pane.", "Choose zero-shot; few-shot needs rows with an expected answer.")
    return tuple(variants)


def _name_scorer(entry: ScorerEntry) -> str:
    return entry if isinstance(entry, str) else next(iter(entry))


def _list_scorers(task: DetectedTask, answered: bool) -> tuple[ScorerEntry, ...]:
    """The scorers that suit a task, the usual ones first. answered: whether there are expected answers."""
    if task.kind == "extract":
        return ("json_fields", "json_valid", "exact_match") if task.keys else ("json_valid", "normalized_match")
    if not answered:
        return ("output_length",)
    if task.kind == "classify":
        accuracy: ScorerEntry = {"accuracy": {"labels": list(task.labels), "within": True}}
        return ("exact_match", accuracy, "normalized_match")
    if task.kind == "answer":
        close: ScorerEntry = "numeric_match" if task.numeric else "normalized_match"
        return (close, "exact_match" if task.numeric else "token_f1", "contains", "edit_similarity")
    return ("token_f1", "rougeL", "edit_similarity", "output_length")


def _choose_scorers(fitting: Sequence[ScorerEntry], names: Collection[str] | None) -> tuple[ScorerEntry, ...]:
    if names is None:
        return tuple(fitting[:2])
    chosen = tuple(entry for entry in fitting if _name_scorer(entry) in names)
    if not chosen:
        raise BenchError("A bench needs a scorer.", f"Choose from {', '.join(map(_name_scorer, fitting))}.")
    return chosen


def _count_tokens(task: DetectedTask, cases: Sequence[Case]) -> int:
    """Room for the longest expected answer, at two characters a token, and as much again."""
    longest = max((len(case.expected or "") for case in cases), default=0)
    least = {"classify": 16, "extract": 256, "answer": 64, "text": 256}[task.kind]
    return min(max(least, 8 * -(-longest // 8)), 2048)


def _clean_name(stem: str) -> str:
    """A name that a file and a prompt of the library can have."""
    shown = "".join(letter if letter.isprintable() and letter not in '\\/:*?"<>|' else "-" for letter in stem)
    name = shown.strip(" .-").encode()[:80].decode(errors="ignore").strip(" .-")
    return name.removesuffix(SUFFIX) or "task"
