"""An import: what files of other tools become (`plan_import`), and its files (`write_import`)."""

from __future__ import annotations

import json
import os
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import msgspec

from workbench import files, paths
from workbench.datasets.case import Case
from workbench.datasets.spec import Dataset
from workbench.errors import BenchError, FileError, PromptError, WorkbenchError
from workbench.inference.types import Sampling
from workbench.interop.loss import LossList
from workbench.interop.parts import ImportedCase, ImportedMessage, ImportedModel, ImportedParts, ImportedPrompt
from workbench.interop.reading import read_file
from workbench.library.formats import prompty
from workbench.library.formats.sections import Section, join_sections
from workbench.library.names import find_path
from workbench.prompting.prompt import Prompt
from workbench.prompting.render import find_variables, render
from workbench.prompting.values import write_json
from workbench.runs.bench import AdapterChoice, Bench, ModelChoice, Variant, find_value_problems, save_bench
from workbench.runs.new_bench import BENCH_SUFFIX, choose_model
from workbench.settings import Settings
from workbench.units import format_plural
from workbench.yaml_render import render_block

_SHOWN = 20
"""kinds of losses that are shown"""

_TRIED = 500
"""cases that are rendered to see whether the prompts take them"""


@dataclass(frozen=True, slots=True)
class ImportRequest:
    """What a person says of an import. files: in one bench. folder: where it is made; None: the working folder.
    name: of the bench; "": as the first file. model: for all variants; "": as the files say, else the first found.
    judge: the model of assertions that a model grades."""

    files: tuple[Path, ...]
    folder: Path | None = None
    name: str = ""
    model: str = ""
    judge: str = ""


@dataclass(frozen=True, slots=True)
class ImportPlan:
    """What would be written, nothing of which is there yet. files: each path with its text, the bench left out.
    kinds: what each file was read as."""

    path: Path
    bench: Bench
    files: dict[Path, str]
    prompts: tuple[Prompt, ...]
    cases: tuple[Case, ...]
    losses: LossList
    notes: tuple[str, ...]
    kinds: tuple[str, ...]

    @property
    def paths(self) -> tuple[Path, ...]:
        """Every file that will be made, the bench last."""
        return (*self.files, self.path)


def plan_import(request: ImportRequest, settings: Settings) -> ImportPlan:
    """Read the files; nothing is written or executed. Raises WorkbenchError for a file that cannot be read at all."""
    if not request.files:
        raise FileError("No file to import.", "Name one.")
    parts = ImportedParts()
    kinds = []
    for path in request.files:
        kind, one = read_file(paths.expand(str(path)).absolute(), request.judge)
        kinds.append(f"{path.name}: {kind}")
        parts.merge(one)
    return _Planner(request, settings, parts, tuple(kinds)).plan()


def describe_plan(plan: ImportPlan) -> list[str]:
    """What was read, and what is lost, in lines."""
    bench = plan.bench
    scorers = ", ".join(one if isinstance(one, str) else next(iter(one)) for one in bench.scorers)
    counts = (
        f"{format_plural(len(plan.prompts), 'prompt')}, {format_plural(len(plan.cases), 'case')},"
        f" {format_plural(len(bench.variants), 'variant')}"
    )
    losses = plan.losses.lines()
    more = [f"! and {len(losses) - _SHOWN} more kinds of losses"] if len(losses) > _SHOWN else []
    shown = [f"! {line}" for line in losses[:_SHOWN]] or ["Nothing is lost."]
    return [*plan.kinds, f"{counts}; scorers: {scorers}.", *plan.notes, *shown, *more]


def check_free(plan: ImportPlan) -> None:
    """Raise BenchError where a file is in the way."""
    taken = [path for path in plan.paths if os.path.lexists(path)]
    if taken:
        raise BenchError(
            f"Nothing was made, since {'these exist' if len(taken) > 1 else 'this exists'} already: "
            + ", ".join(map(str, taken[:5])),
            "Choose another name with --name, or another folder with --out.",
        )


def write_import(plan: ImportPlan) -> tuple[Path, ...]:
    """Write the files, the bench last. Never overwrites: raises BenchError or FileError, and then leaves nothing."""
    check_free(plan)
    made: list[Path] = []
    try:
        for path, text in plan.files.items():
            files.make_folder(path.parent)
            files.write_text(path, text, "")
            made.append(path)
        save_bench(plan.path, plan.bench, "")
    except BaseException:
        for path in made:
            files.remove(path)
        raise
    return plan.paths


class _Planner:
    """One import on its way from parts to files."""

    def __init__(
        self, request: ImportRequest, settings: Settings, parts: ImportedParts, kinds: tuple[str, ...]
    ) -> None:
        self.request, self.settings, self.parts, self.kinds = request, settings, parts, kinds
        self.losses = parts.losses
        self.folder = (request.folder or paths.working_folder()).absolute()
        self.stem = clean_name(request.name.removesuffix(BENCH_SUFFIX)) or _stem(request.files[0])
        self.notes = list(parts.notes)
        self.files: dict[Path, str] = {}
        self.prompts: list[tuple[ImportedPrompt, Prompt]] = []

    def plan(self) -> ImportPlan:
        lost = any(one.noun == "prompts" for one in self.losses.losses)
        if not self.parts.prompts and self.parts.cases and not lost:
            self.parts.prompts.append(_make_plain_prompt(self.parts.cases))
            self.notes.append("The files hold no prompt: one that sends the variables was made; edit it.")
        if not self.parts.prompts:
            raise PromptError(
                f"Nothing can be imported: {self.losses.summary() or 'no prompt and no case was found'}.",
                "Name other files.",
            )
        self._name_prompts()
        dataset, cases = self._make_dataset()
        self._write_prompts(cases)
        variants, models = self._make_variants()
        bench = Bench(variants, dataset, self._choose_scorers(cases), models, library=".", repeats=self.parts.repeats)
        if problems := find_value_problems(bench):
            raise BenchError("The import makes no valid bench:\n" + "\n".join(f"  {one}" for one in problems))
        prompts = tuple(prompt for _, prompt in self.prompts)
        self._try_to_render(prompts, cases)
        path = self.folder / f"{self.stem}{BENCH_SUFFIX}"
        return ImportPlan(path, bench, self.files, prompts, cases, self.losses, tuple(self.notes), self.kinds)

    def _name_prompts(self) -> None:
        """Names that files can have, each once."""
        taken: set[str] = set()
        for imported in self.parts.prompts:
            name = clean_name(imported.name) or "prompt"
            choices = [name, *(f"{name}-{number}" for number in range(2, len(self.parts.prompts) + 2))]
            imported.name = next(one for one in choices if one.casefold() not in taken)
            taken.add(imported.name.casefold())

    def _make_dataset(self) -> tuple[Dataset | None, tuple[Case, ...]]:
        if not self.parts.cases:
            return (Dataset(**self.parts.dataset) if self.parts.dataset else None), ()
        names = dict.fromkeys(name for case in self.parts.cases for name in case.variables)
        checks = _free("checks", names)
        expected = _free("expected", names)
        description = _free("description", names)
        rows = [_make_row(case, checks, expected, description) for case in self.parts.cases]
        used = {key for row in rows for key in row}
        path = self.folder / f"{self.stem}.cases.jsonl"
        self.files[path] = "".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows)
        dataset = Dataset(
            path.name,
            checks=checks if checks in used else "",
            expected=expected if expected in used else Dataset("").expected,
            layout="columns",
        )
        cases = tuple(_make_case(number, one) for number, one in enumerate(self.parts.cases, 1))
        return dataset, cases

    def _write_prompts(self, cases: Sequence[Case]) -> None:
        for imported in self.parts.prompts:
            path = find_path(self.folder, f"{self.stem}/{imported.name}")
            text = imported.source or write_prompty(imported)
            prompt = _load(imported, text, f"{self.stem}/{imported.name}", path)
            if not imported.source:
                text, prompt = self._add_defaults(imported, prompt, path, cases)
            self.files[path] = text
            for name, attached in imported.attachments.items():
                self.files[path.parent / name] = attached
            self.prompts.append((imported, prompt))

    def _add_defaults(
        self, imported: ImportedPrompt, prompt: Prompt, path: Path, cases: Sequence[Case]
    ) -> tuple[str, Prompt]:
        """The prompt with an empty default for each variable that some case lacks: elsewhere those print nothing."""
        lacking = [
            name
            for name in find_variables(prompt)
            if name not in prompt.defaults and any(name not in case.variables for case in cases)
        ]
        if lacking:
            imported.defaults |= dict.fromkeys(lacking, "")
            imported.messages = tuple(
                ImportedMessage(one.role, _default_for_empty(one.text, lacking)) for one in imported.messages
            )
            self.losses.change(
                "variables",
                f"{', '.join(lacking)}: empty where a case lacks it, by a default of the prompt",
                imported.name,
            )
        text = write_prompty(imported)
        return text, prompty.load(text, prompt.name, path).prompt

    def _make_variants(self) -> tuple[tuple[Variant, ...], dict[str, ModelChoice]]:
        models: dict[str, ModelChoice] = {}
        variants: dict[tuple[Any, ...], Variant] = {}
        listed = self.parts.models or [ImportedModel("")]
        for model in listed if not self.request.model else _as_one(listed):
            key = self._name_model(model, models)
            for imported, prompt in self.prompts:
                if model.prompts is not None and not _is_allowed(imported.label, model.prompts):
                    continue
                if imported.model and not self.request.model and model.name != imported.model and self.parts.models:
                    continue
                sampling = self._make_sampling(imported, model)
                adapters = tuple(AdapterChoice(name) for name in model.adapters)
                same = (prompt.name, key, repr(sampling), adapters)
                variants.setdefault(same, Variant(imported.name, prompt.name, key, sampling, adapters=adapters))
        if not variants:
            raise BenchError("No model is asked any of the prompts.", "Check `prompts` of the providers.")
        several = len({variant.model for variant in variants.values()}) > 1
        named = [
            msgspec.structs.replace(one, name=f"{one.name} {one.model}") if several else one
            for one in variants.values()
        ]
        return tuple(_with_unique_names(named)), models

    def _name_model(self, model: ImportedModel, models: dict[str, ModelChoice]) -> str:
        """How variants name the model; one of its own is added to the bench's."""
        if model.choice is None or self.request.model:
            chosen, note = choose_model(self.request.model, self.folder, self.settings)
            if note and note not in self.notes:
                self.notes.append(note)
            return chosen
        choice = ModelChoice(**dict(model.choice))
        key = re.sub(r"[^A-Za-z0-9._-]+", "-", model.name.rpartition(":")[2] or model.name).strip("-") or "model"
        while key in models and models[key] != choice:
            key += "-2"
        models[key] = choice
        return key

    def _make_sampling(self, imported: ImportedPrompt, model: ImportedModel) -> Sampling:
        options = {**imported.options, **model.options}
        if imported.schema is not None:
            options["json_schema"] = imported.schema
        known: dict[str, Any] = {}
        for name, value in options.items():
            try:
                known |= msgspec.to_builtins(msgspec.convert({name: value}, Sampling, strict=False))
            except (msgspec.ValidationError, WorkbenchError) as error:
                self.losses.lose("settings", f"{name} {value!r}: {error}", imported.name)
        return msgspec.convert(known, Sampling)

    def _choose_scorers(self, cases: Sequence[Case]) -> tuple[Any, ...]:
        own = [*(["checks"] if any(case.checks for case in cases) else []), *self.parts.scorers]
        if own:
            return tuple(own)
        answered = any(case.expected for case in cases) or "expected" in self.parts.dataset
        return ("exact_match",) if answered else ("output_length",)

    def _try_to_render(self, prompts: Sequence[Prompt], cases: Sequence[Case]) -> None:
        """Note the prompts that cannot be rendered for a case."""
        for prompt in prompts:
            for case in cases[:_TRIED] or (Case(1, {}),):
                try:
                    render(prompt, {**case.values} if cases else dict.fromkeys(find_variables(prompt), ""))
                except WorkbenchError as error:
                    self.losses.lose("prompts", f"it cannot be rendered: {error.message}", prompt.name)
                    break


def write_prompty(imported: ImportedPrompt) -> str:
    """The text of a `.prompty` file (v2) with what was read."""
    header: dict[str, Any] = {}
    if imported.description:
        header["description"] = imported.description
    if imported.options:
        header["model"] = {"options": _write_options(imported.options)}
    if imported.tools:
        header["tools"] = imported.tools
    if inputs := _write_inputs(imported):
        header["inputs"] = inputs
    if imported.mode == "completion":
        header["metadata"] = {"workbench": {"mode": "completion"}}
        body = imported.messages[0].text
        return (f"---\n{render_block(header)}---\n" if header else "") + body + ("\n" if body.endswith("\n") else "")
    body = join_sections(Section(one.role, one.text) for one in imported.messages)
    return (f"---\n{render_block(header)}---\n" if header else "") + body


def _write_inputs(imported: ImportedPrompt) -> dict[str, Any]:
    found: dict[str, Any] = {name: {"kind": kind} for name, kind in imported.kinds.items()}
    for name, value in imported.defaults.items():
        if name in found or isinstance(value, dict):
            found[name] = {**found.get(name, {}), "default": value}
        else:
            found[name] = value
    return found


def _write_options(options: Mapping[str, Any]) -> dict[str, Any]:
    """Sampling fields under Prompty's names; the others under additionalProperties."""
    from workbench.interop.dotprompt import OPTIONS

    names = {ours: theirs for theirs, ours in OPTIONS.items()}
    known = {names[key]: value for key, value in options.items() if key in names}
    others = {key: value for key, value in options.items() if key not in names}
    return {**known, **({"additionalProperties": others} if others else {})}


def clean_name(text: str) -> str:
    """A name that a file and a prompt of the library can have; "" where nothing is left of the text."""
    line = " ".join(text.split("\n")[0].split())[:60]
    return re.sub(r"-{2,}", "-", re.sub(r"[^\w.+ -]+", "-", line)).strip(" .-")


def _stem(path: Path) -> str:
    stem = path.name.split(".")[0]
    generic = stem.lower() in ("promptfooconfig", "modelfile", "config", "tests", "prompt")
    return clean_name(paths.expand(str(path)).absolute().parent.name if generic else stem) or "imported"


def _free(name: str, taken: Mapping[str, None]) -> str:
    while name in taken:
        name += "_"
    return name


def _make_row(case: ImportedCase, checks: str, expected: str, description: str) -> dict[str, Any]:
    row = {name: "" if value is None else value for name, value in case.variables.items()}
    if case.description:
        row[description] = case.description
    if case.expected is not None:
        row[expected] = case.expected
    if case.checks:
        row[checks] = _write_checks(case)
    return row


def _write_checks(case: ImportedCase) -> Any:
    return case.checks if case.threshold is None else {"parts": case.checks, "threshold": case.threshold}


def _make_case(number: int, case: ImportedCase) -> Case:
    texts = {
        name: value if isinstance(value, str) else "" if value is None else write_json(value)
        for name, value in case.variables.items()
    }
    return Case(number, texts, case.expected, number, checks=json.dumps(_write_checks(case)) if case.checks else "")


def _make_plain_prompt(cases: Sequence[ImportedCase]) -> ImportedPrompt:
    names = list(dict.fromkeys(name for case in cases for name in case.variables if name.isidentifier()))
    lines = [f"{{{{ {name} }}}}" if len(names) == 1 else f"{name}: {{{{ {name} }}}}" for name in names]
    return ImportedPrompt("prompt", (ImportedMessage("user", "\n".join(lines)),), "Sends the variables of the tests")


def _load(imported: ImportedPrompt, text: str, name: str, path: Path) -> Prompt:
    """The prompt of a text that is not written yet; the files that it refers to are beside where it came from."""
    return prompty.load(text, name, imported.origin or path).prompt


def _default_for_empty(text: str, names: Sequence[str]) -> str:
    """The template with `| default(…)` of these variables also for an empty text, which is what a missing one is."""
    for name in names:
        text = re.sub(rf"(\b{name}\s*\|\s*(?:default|d)\()([^(),]*)\)", r"\1\2, true)", text)
    return text


def _as_one(models: Sequence[ImportedModel]) -> list[ImportedModel]:
    """One model instead of all, which answers every prompt, with the settings of the first."""
    return [ImportedModel("", None, models[0].options, None, ())]


def _is_allowed(label: str, allowed: Sequence[str]) -> bool:
    return label in allowed or any(label.startswith(f"{one}:") for one in allowed)


def _with_unique_names(variants: Sequence[Variant]) -> list[Variant]:
    taken: set[str] = set()
    found = []
    for one in variants:
        choices = [one.name, *(f"{one.name} {number}" for number in range(2, len(variants) + 2))]
        name = next(choice for choice in choices if choice not in taken)
        taken.add(name)
        found.append(msgspec.structs.replace(one, name=name))
    return found
