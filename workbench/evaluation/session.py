"""Session: an open bench, with what a person changed and has not saved yet.

Every change is a method here, so that the screen only gathers values and shows the outcome. Knows nothing of
engines (see hosting/) or of widgets. Unsaved prompt texts are kept as drafts: a crash loses none of them.
"""

from __future__ import annotations

import contextlib
from collections.abc import Sequence
from pathlib import Path
from typing import Literal, NamedTuple

import msgspec

from workbench import files, paths
from workbench.errors import BenchError, DatasetChangedError, DatasetError, WorkbenchError
from workbench.evaluation.bench import (
    AdapterChoice,
    Bench,
    Dataset,
    ModelChoice,
    Variant,
    load_bench,
    rename_thresholds,
    save_bench,
    with_variants,
)
from workbench.evaluation.bench_autosave import BenchAutosave, Inputs
from workbench.evaluation.datasets import Case, Cases, load_cases, overlay
from workbench.evaluation.inputs import check_inputs, list_columns
from workbench.evaluation.launch import Draft
from workbench.evaluation.opening import open_library
from workbench.library.drafts import Drafts
from workbench.library.workspace import Workspace
from workbench.models.reference import Adapter, Model, model_at, resolve_adapters, resolve_model
from workbench.prompting.prompt import Example, Mode, Placement, Prompt
from workbench.prompting.render import find_variables
from workbench.settings import Settings

MOST_VARIANTS = 8


class Changed(NamedTuple):
    """A bench file that another program wrote."""

    bench: Bench
    digest: str


class Session:
    """The state of one open bench.

    problems: what could not be opened; the rest still works. recovered: prompts, and the bench's file, whose unsaved
    changes of an earlier session were taken up again, until they are saved or discarded; recovered_from: when the last
    of them was kept, in seconds since the epoch.
    """

    def __init__(self, path: Path, settings: Settings) -> None:
        """Open the bench at `path`. Raises BenchError or FileError when there is no bench to open at all."""
        self.path = path
        self.settings = settings
        self.digest = self._saved_digest = files.digest(path)
        self.bench = load_bench(path)
        self.saved = self.bench
        self._inputs: dict[int, dict[str, str]] = {}
        self._take_inputs({})
        self.problems: list[WorkbenchError] = []
        self.drafts = Drafts(paths.data_folder() / "drafts")
        self._autosave = BenchAutosave(self.drafts, path)
        recovered_from = self._recover_bench()
        recovered_bench = self._has_unsaved_bench
        self.library = open_library(settings, self.bench, path.parent)
        self.prompts = Workspace(self.library, self.drafts)
        self._news: list[str] = []
        self._row: tuple[Cases, Case] | None = None
        self.cases = self._load_cases()
        self._listed: tuple[object, tuple[str, ...]] | None = None
        self.models: tuple[Model, ...] = ()
        self.adapters: tuple[Adapter, ...] = ()
        self.problems += self.prompts.recover(variant.prompt for variant in self.bench.variants)
        self.recovered = (*self.prompts.edited, *((path.name,) if recovered_bench else ()))
        self.recovered_from = max(recovered_from, self.prompts.recovered_from)
        self._recovered_state = self._state

    # --- prompts -------------------------------------------------------------------------------------------------

    def prompt(self, name: str) -> Prompt:
        """The prompt as it now reads, edits included. Raises PromptError or FileError when it cannot be opened."""
        return self.prompts.prompt(name)

    def edit_prompt(self, name: str, body: str) -> bool:
        """Take a new body, keeping it as a draft until it is saved; whether that changed anything."""
        before = self.prompt(name)
        if before.body == body:
            return False
        self.prompts.edit(name, msgspec.structs.replace(before, body=body))
        return True

    def edit_examples(self, name: str, examples: tuple[Example, ...]) -> None:
        """Take a new list of few-shot examples; the first one of a chat prompt is placed as turns."""
        self.prompts.set_examples(name, examples)

    def place_examples(self, name: str, placement: Placement) -> None:
        """Choose where the examples of a prompt go."""
        self.prompts.edit(name, msgspec.structs.replace(self.prompt(name), placement=placement))

    def set_mode(self, name: str, mode: Mode) -> None:
        """Choose whether a prompt goes through the chat template or is sent as it is."""
        self.prompts.edit(name, msgspec.structs.replace(self.prompt(name), mode=mode))

    def new_example(self, name: str) -> Example:
        """A further example for a prompt: a free id, the current case's variables, its expected answer."""
        prompt = self.prompt(name)
        taken = {example.id for example in prompt.examples}
        free = next(f"e{number}" for number in range(1, len(taken) + 2) if f"e{number}" not in taken)
        asked, case = find_variables(prompt), self.case
        variables = {key: case.variables.get(key, "") for key in asked}
        return Example(free, variables, case.expected or "", tuple(key for key in case.typed if key in asked))

    def rename_prompt(self, name: str, new: str) -> None:
        """Rename a prompt of the library; every variant of the bench follows, unsaved edits too."""
        self.prompts.rename(name, new)
        renamed = (msgspec.structs.replace(v, prompt=new) if v.prompt == name else v for v in self.variants)
        self._set(variants=tuple(renamed))

    # --- cases ---------------------------------------------------------------------------------------------------

    @property
    def case(self) -> Case:
        """The current case, with what a person typed over it; an empty one when there is no dataset."""
        base = self._find_row(self.number) or Case(number=1, variables={}, expected=None, line=0)
        if not self.cases:
            base = msgspec.structs.replace(base, variables=dict.fromkeys(self._wanted_variables(), ""))
        return overlay(base, self._inputs.get(self.number, {}))

    @property
    def number(self) -> int:
        """The number of the current case: the bench's own, or the next there is among the chosen rows."""
        return self.cases.nearest(self.bench.case, True) if isinstance(self.cases, Cases) else self.bench.case

    def shown_variables(self) -> dict[str, str]:
        """Those variables of the current case that a prompt of this bench asks for; all of them when none does."""
        variables = self.case.variables
        wanted = self._wanted_variables()
        return {name: variables[name] for name in wanted if name in variables} or dict(variables)

    @property
    def case_is_typed(self) -> bool:
        """Whether the current case differs from its row in the dataset."""
        return bool(self._inputs.get(self.number))

    @property
    def position(self) -> int:
        """Where the current case stands among the chosen rows, from 1."""
        return self.cases.place(self.number) + 1 if isinstance(self.cases, Cases) else 1

    def go_to_case(self, number: int) -> bool:
        """Stand on another case, by its number, or the next there is in that direction; whether that moved."""
        number = self.cases.nearest(number, number > self.number) if isinstance(self.cases, Cases) else 1
        if number == self.bench.case:
            return False
        self._set(case=number, inputs=dict(self._inputs.get(number, {})))
        return True

    def type_input(self, variable: str, text: str, number: int | None = None) -> bool:
        """Overwrite a variable (or `expected`) of a case, the current one by default; the dataset stays as it is.

        Returns whether that changed anything.
        """
        number = self.number if number is None else number
        row = self._find_row(number)
        original = (row.expected if variable == "expected" else row.variables.get(variable)) if row else None
        typed = dict(self._inputs.get(number, {}))
        if text == (original or ""):
            typed.pop(variable, None)
        else:
            typed[variable] = text
        if typed == self._inputs.get(number, {}):
            return False
        self._inputs[number] = typed
        if number == self.number:
            self._set(case=number, inputs=typed)
        else:
            self._keep_draft()
        return True

    def typed_variables(self) -> dict[str, str]:
        """What was typed over the current case, without its expected answer."""
        return {name: text for name, text in self._inputs.get(self.number, {}).items() if name != "expected"}

    def forget_typed(self, number: int) -> None:
        """Show a case as it stands in the dataset."""
        self._inputs.pop(number, None)
        if number == self.number:
            self._set(inputs={})
        else:
            self._keep_draft()

    def current_cases(self) -> Sequence[Case]:
        """The rows as their file is now: read anew where another program has changed it."""
        try:
            if self.cases:
                self.cases[0]
        except DatasetChangedError:
            self._reopen_cases()
        return self.cases

    def take_news(self) -> tuple[str, ...]:
        """What happened to the dataset since this was last asked, in words: its file was changed, or cannot be read."""
        news, self._news = tuple(self._news), []
        return news

    def reload_cases(self) -> None:
        """Read the dataset anew, after its file changed. Raises DatasetError or FileError; the old cases stay."""
        if self.bench.dataset is not None:
            self.cases = load_cases(self.bench.dataset, self.path.parent)

    def choose_dataset(self, dataset: Dataset, cases: Cases) -> None:
        """Take the cases from elsewhere, or read them otherwise. cases: what `load_cases` made of the dataset."""
        self.cases = cases
        self._inputs.clear()
        self._set(dataset=dataset, case=1, inputs={})

    # --- variants ------------------------------------------------------------------------------------------------

    @property
    def variants(self) -> tuple[Variant, ...]:
        return self.bench.variants

    def add_variant(self, variant: Variant, at: int | None = None) -> int:
        """Put a variant in (last, or before position `at`); its position. Raises BenchError beyond eight."""
        if len(self.variants) >= MOST_VARIANTS:
            raise BenchError(
                f"A bench shows at most {MOST_VARIANTS} panes.", "Close one first, or open a second bench."
            )
        position = len(self.variants) if at is None else at
        named = msgspec.structs.replace(variant, name=self._free_name(variant.name))
        self._set(variants=(*self.variants[:position], named, *self.variants[position:]))
        return position

    def duplicate_variant(self, index: int) -> int:
        """A copy beside the original, with a prompt of its own, so that the two can be edited apart."""
        source = self.variants[index]
        name = source.prompt
        position = self.add_variant(source, at=index + 1)
        try:
            fork = self._free_prompt(name)
            self.prompts.create(fork, self.prompt(name))
        except WorkbenchError:
            return position  # the original cannot be read either; the pane says why
        self.change_variant(position, prompt=fork)
        return position

    def close_variant(self, index: int) -> None:
        """Take a variant out. Raises BenchError for the last one."""
        if len(self.variants) == 1:
            raise BenchError("This is the last pane.", "Change its prompt or model instead, or quit with ctrl+q.")
        self._take(with_variants(self.bench, self.variants[:index] + self.variants[index + 1 :]))

    def change_variant(self, index: int, **changes: object) -> Variant:
        """Replace fields of a variant; the new value. Raises BenchError for a name that is taken or empty."""
        variant = msgspec.structs.replace(self.variants[index], **changes)
        others = {other.name for position, other in enumerate(self.variants) if position != index}
        if not variant.name.strip() or variant.name in others:
            raise BenchError(f"The name {variant.name!r} is empty or taken by another pane.", "Choose another.")
        renamed = rename_thresholds(self.bench, self.variants[index].name, variant.name)
        self._set(variants=(*self.variants[:index], variant, *self.variants[index + 1 :]), thresholds=renamed)
        return variant

    def add_adapter(self, index: int, name: str) -> None:
        """Lay a further adapter over a variant's model. Raises BenchError when it is there already."""
        adapters = self.variants[index].adapters
        if any(choice.adapter == name for choice in adapters):
            raise BenchError(f"{name} is laid over this pane already.", "Change its scale with + and -.")
        self.change_variant(index, adapters=(*adapters, AdapterChoice(name)))

    def remove_adapter(self, index: int, position: int) -> None:
        adapters = self.variants[index].adapters
        self.change_variant(index, adapters=adapters[:position] + adapters[position + 1 :])

    def step_scale(self, index: int, position: int, steps: int) -> float:
        """Move an adapter's scale by tenths, between 0 and 2, and switch it on; the new scale."""
        scale = round(min(max(self.variants[index].adapters[position].scale + steps / 10, 0.0), 2.0), 2)
        self._change_adapter(index, position, scale=scale, on=True)
        return scale

    def toggle_adapter(self, index: int, position: int) -> bool:
        """Switch an adapter of a variant on or off; whether it is on now."""
        on = not self.variants[index].adapters[position].on
        self._change_adapter(index, position, on=on)
        return on

    def add_without_adapters(self, index: int) -> int:
        """A pane beside the variant that is the same without its adapters; its position."""
        source = self.variants[index]
        bare = tuple(msgspec.structs.replace(choice, on=False) for choice in source.adapters)
        name = f"{source.name} without"
        return self.add_variant(msgspec.structs.replace(source, name=name, adapters=bare), at=index + 1)

    def _change_adapter(self, index: int, position: int, **changes: object) -> None:
        adapters = list(self.variants[index].adapters)
        adapters[position] = msgspec.structs.replace(adapters[position], **changes)
        self.change_variant(index, adapters=tuple(adapters))

    def toggle_example(self, index: int, example: str) -> bool:
        """Switch an example on or off for one variant; whether it is on now."""
        off = self.variants[index].examples_off
        now_on = example in off
        off = tuple(name for name in off if name != example) if now_on else (*off, example)
        self.change_variant(index, examples_off=off)
        return now_on

    def know(self, models: tuple[Model, ...], adapters: tuple[Adapter, ...]) -> None:
        """Take note of the models and adapters that were found; variants may name them."""
        self.models, self.adapters = models, adapters

    def model(self, index: int) -> Model:
        """The model of a variant. Raises ModelError that lists near names."""
        return resolve_model(self.variants[index].model, self.bench.models, self.path.parent, self.models)

    def draft(self, index: int) -> Draft:
        """What a variant asks now. Raises WorkbenchError when its prompt, model or adapters cannot be found."""
        variant = self.variants[index]
        if self.bench.dataset and self.cases:
            columns = (*self._columns(), *self.case.variables)
            check_inputs(self.prompt(variant.prompt), tuple(dict.fromkeys(columns)), self.bench.dataset)
        adapters = resolve_adapters(variant.adapters, self.path.parent, self.adapters)
        return Draft.of(variant, self.prompt(variant.prompt), self.case, self.strategy, self.model(index), adapters)

    def remember_model(self, name: str, choice: ModelChoice) -> None:
        """Keep a person's own model in the bench, so that it opens with it again."""
        self._set(models={**self.bench.models, name: choice})

    def use_model(self, path: Path) -> None:
        """Run every variant on one model file. Raises ModelError when there is none."""
        model = model_at(path.absolute())
        self.remember_model(model.name, ModelChoice(str(model.path)))
        self._set(variants=tuple(msgspec.structs.replace(v, model=model.name) for v in self.variants))

    @property
    def live(self) -> bool:
        return self.settings.live if self.bench.live is None else self.bench.live

    def set_live(self, on: bool) -> None:
        self._set(live=None if on == self.settings.live else on)

    @property
    def strategy(self) -> Literal["refuse", "drop"]:
        return self.bench.context_strategy or self.settings.context_strategy

    def set_strategy(self, strategy: Literal["refuse", "drop"]) -> None:
        self._set(context_strategy=None if strategy == self.settings.context_strategy else strategy)

    # --- saving --------------------------------------------------------------------------------------------------

    @property
    def unsaved(self) -> tuple[str, ...]:
        """What would be lost without saving: prompt names, and the bench's file name."""
        bench = (self.path.name,) if self.bench != self.saved else ()
        return (*self.prompts.edited, *bench)

    def save(self, force: bool = False) -> tuple[str, ...]:
        """Write every edited prompt and the bench; what was written.

        Raises FileChangedError when another program changed a file since (nothing of it is overwritten, what was
        written before it stays written); `force` overwrites.
        """
        written = []
        for name in self.prompts.edited:
            self.prompts.save(name, force)
            written.append(name)
        if self.bench != self.saved or not self.path.exists():
            digest = save_bench(self.path, self.bench, None if force else self.digest)
            self._note_saved(self.bench, digest)
            written.append(self.path.name)
        self.recovered = ()
        return tuple(written)

    def save_bench_as(self, path: Path) -> None:
        """Write the bench under another name and go on with that file."""
        digest = save_bench(path, self.bench, "")
        self._autosave.drop()
        self.path, self._autosave = path, BenchAutosave(self.drafts, path)
        self._note_saved(self.bench, digest)

    def save_prompt_as(self, index: int, name: str) -> None:
        """Save the prompt of a variant under another name, and let the variant use it."""
        old = self.variants[index].prompt
        self.prompts.save_as(old, name)
        self.change_variant(index, prompt=name)
        if not any(variant.prompt == old for variant in self.variants):
            self.prompts.revert(old)

    def read_changed(self) -> Changed | None:
        """The bench as another program has left it; None where it is as it was. Raises BenchError or FileError."""
        digest = files.digest(self.path)
        return Changed(load_bench(self.path), digest) if digest != self.digest else None

    def reload_changed(self, changed: Changed | None) -> None:
        """Take the other version of every file that another program changed; edits to those are forgotten."""
        for name in self.prompts.changed_outside():
            self.prompts.revert(name)
        if changed is not None:
            self.bench = changed.bench
            self._take_inputs(self._inputs)
            self._note_saved(changed.bench, changed.digest)

    def discard(self) -> None:
        """Forget everything unsaved: the prompts and the bench are again as their files were when they were opened."""
        self.prompts.revert_all()
        other_cases = self.bench.dataset != self.saved.dataset
        self.bench = self.saved
        self._take_inputs({})
        self._note_saved(self.saved, self._saved_digest)
        if other_cases:
            self.cases = self._load_cases()
        self.recovered = ()

    @property
    def is_as_recovered(self) -> bool:
        """Whether nothing was changed since unsaved changes were taken up: `discard` discards only those."""
        return self._state == self._recovered_state

    # --- inside --------------------------------------------------------------------------------------------------

    def _set(self, **changes: object) -> None:
        self._take(msgspec.structs.replace(self.bench, **changes))

    def _take(self, bench: Bench) -> None:
        if bench != self.bench:
            self.bench = bench
            self._keep_draft()

    def _note_saved(self, bench: Bench, digest: str) -> None:
        self.saved, self.digest, self._saved_digest = bench, digest, digest
        self._keep_draft()

    @property
    def _has_unsaved_bench(self) -> bool:
        """Whether anything is in no file, as what was typed over other cases than the current one never is."""
        return self.bench != self.saved or any(self._inputs[case] for case in self._inputs if case != self.bench.case)

    @property
    def _state(self) -> object:
        """Everything unsaved, to be compared."""
        typed = {number: dict(texts) for number, texts in self._inputs.items()}
        return self.bench, typed, {name: self.prompts.prompt(name) for name in self.prompts.edited}

    def _keep_draft(self) -> None:
        if self._has_unsaved_bench:
            self._autosave.keep(self.bench, self._inputs, self.digest)
        else:
            self._autosave.drop()

    def _take_inputs(self, inputs: Inputs) -> None:
        """What was typed over the cases: that of the current one stands in the bench."""
        self._inputs = {number: dict(texts) for number, texts in inputs.items()}
        self._inputs.pop(self.bench.case, None)
        if self.bench.inputs:
            self._inputs[self.bench.case] = dict(self.bench.inputs)

    def _recover_bench(self) -> float:
        """Take up what an earlier session left unsaved of the bench; when that was kept, 0 where there is nothing."""
        try:
            found = self._autosave.find()
        except WorkbenchError as error:
            self.problems.append(error)
            return 0.0
        if found is None:
            return 0.0
        self.bench = found.bench
        self._take_inputs(found.inputs)
        if not self._has_unsaved_bench:  # it was saved, and the process ended before it could forget the draft
            self._autosave.drop()
            return 0.0
        if self.bench != self.saved:
            self.digest = found.digest  # saving asks where another program has changed the file since
        return found.written

    def _columns(self) -> tuple[str, ...]:
        """What the cases have; looked up anew when there are others."""
        if self._listed is None or self._listed[0] is not self.cases:
            self._listed = (self.cases, list_columns(self.cases))
        return self._listed[1]

    def unused(self) -> tuple[str, ...]:
        """What the prompts of this bench ask for and is not done, in words."""
        found = []
        for name in dict.fromkeys(variant.prompt for variant in self.variants):
            with contextlib.suppress(WorkbenchError):  # its pane says why it cannot be opened
                if unused := self.prompt(name).unused:
                    found.append(f"Not used of the prompt {name}: {unused}.")
        return tuple(found)

    def _find_row(self, number: int) -> Case | None:
        """The row of that number, read once; where the file has changed, its row as it is now."""
        if not isinstance(self.cases, Cases):
            return None
        if self._row is not None and self._row[0] is self.cases and self._row[1].number == number:
            return self._row[1]
        try:
            found = self.cases.find(number)
        except DatasetChangedError:
            self._reopen_cases()
            return self._find_row(self.number)
        except DatasetError as error:
            self._news.append(str(error))
            found = Case(number, {})
        self._row = (self.cases, found) if found else None
        return found

    def _reopen_cases(self) -> None:
        """Read a dataset anew that another program has changed; without one that can be read the bench has no cases."""
        path = self.bench.dataset.path if self.bench.dataset else ""
        try:
            self.reload_cases()
            self._news.append(f"{path} was changed by another program, and is read anew: {len(self.cases):,} cases.")
        except WorkbenchError as error:
            self.cases = ()
            self._news.append(f"{path} was changed by another program and cannot be read any more. {error}")

    def _load_cases(self) -> Cases | tuple[()]:
        if self.bench.dataset is None:
            return ()
        try:
            return load_cases(self.bench.dataset, self.path.parent)
        except WorkbenchError as error:
            self.problems.append(error)
            return ()

    def _wanted_variables(self) -> tuple[str, ...]:
        names: dict[str, None] = {}
        for variant in self.variants:
            try:
                names.update(dict.fromkeys(find_variables(self.prompt(variant.prompt))))
            except WorkbenchError:
                continue
        return tuple(names)

    def _free_name(self, name: str) -> str:
        return _first_free(name, {variant.name for variant in self.variants}, " ")

    def _free_prompt(self, name: str) -> str:
        taken = {entry.name for entry in self.library.entries()} | set(self.prompts.edited)
        return _first_free(name, taken, "-")


def _first_free(name: str, taken: set[str], separator: str) -> str:
    stem, _, number = name.rpartition(separator)
    stem = stem if stem and number.isdigit() else name
    candidates = (name, *(f"{stem}{separator}{count}" for count in range(2, len(taken) + 3)))
    return next(candidate for candidate in candidates if candidate not in taken)
