"""An import: what files of other tools become, as a plan of the files to write."""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import msgspec

from workbench import paths
from workbench.datasets.case import Case
from workbench.datasets.spec import Dataset
from workbench.errors import BenchError, FileError, PromptError, WorkbenchError
from workbench.inference.types import Sampling
from workbench.interop.import_plan import ImportPlan, ImportRequest
from workbench.interop.imported_rows import write_rows
from workbench.interop.parts import ImportedCase, ImportedMessage, ImportedModel, ImportedParts, ImportedPrompt
from workbench.interop.prompty_text import write_prompty
from workbench.interop.reading import read_file
from workbench.library.formats import prompty
from workbench.library.names import find_path
from workbench.prompting.prompt import Prompt
from workbench.prompting.render import find_variables, render
from workbench.runs.bench import AdapterChoice, Bench, ModelChoice, Variant, find_value_problems
from workbench.runs.new_bench import BENCH_SUFFIX, choose_model
from workbench.settings import Settings

_TRIED = 500
"""cases that are rendered to see whether the prompts take them"""


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
        path = self.folder / f"{self.stem}.cases.jsonl"
        rows = write_rows(self.parts.cases, path.name)
        self.files[path] = rows.text
        return rows.dataset, rows.cases

    def _write_prompts(self, cases: Sequence[Case]) -> None:
        for imported in self.parts.prompts:
            path = find_path(self.folder, f"{self.stem}/{imported.name}")
            text = write_prompty(imported) if imported.source is None else imported.source
            prompt = _load(imported, text, f"{self.stem}/{imported.name}", path)
            if imported.source is None:
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
                    if not render(prompt, {**case.values} if cases else dict.fromkeys(find_variables(prompt), "")):
                        self.losses.lose("prompts", "it has no text to send", prompt.name)
                        break
                except WorkbenchError as error:
                    self.losses.lose("prompts", f"it cannot be rendered: {error.message}", prompt.name)
                    break


def clean_name(text: str) -> str:
    """A name that a file and a prompt of the library can have; "" where nothing is left of the text."""
    line = " ".join(text.split("\n")[0].split())[:60]
    return re.sub(r"-{2,}", "-", re.sub(r"[^\w.+ -]+", "-", line)).strip(" .-")


def _stem(path: Path) -> str:
    stem = path.name.split(".")[0]
    generic = stem.lower() in ("promptfooconfig", "modelfile", "config", "tests", "prompt")
    return clean_name(paths.expand(str(path)).absolute().parent.name if generic else stem) or "imported"


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
