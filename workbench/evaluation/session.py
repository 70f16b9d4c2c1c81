"""Session: an open bench, with what a person changed and has not saved yet.

Every change is a method here, so that the screen only gathers values and shows the outcome. Knows nothing of
engines (see launch.py) or of widgets. Unsaved prompt texts are kept as drafts: a crash loses none of them.
"""

from __future__ import annotations

from pathlib import Path
from typing import Literal

import msgspec

from workbench import files, paths
from workbench.errors import BenchError, PromptError, WorkbenchError
from workbench.evaluation.bench import ModelChoice, Variant, load_bench, save_bench
from workbench.evaluation.dataset import Case, load_cases
from workbench.evaluation.opening import open_library
from workbench.library.drafts import Drafts
from workbench.library.library import OpenPrompt
from workbench.models.reference import model_at
from workbench.prompting.prompt import Example, Prompt
from workbench.prompting.render import find_variables
from workbench.settings import Settings

MOST_VARIANTS = 8


class Unsaved(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """An edit that was not saved, and the fingerprint of the prompt file that it was made on."""

    digest: str
    prompt: Prompt


class Session:
    """The state of one open bench.

    problems: what could not be opened; the rest still works. recovered: prompts whose unsaved changes of an earlier
    session were taken up again.
    """

    def __init__(self, path: Path, settings: Settings) -> None:
        """Open the bench at `path`. Raises BenchError or FileError when there is no bench to open at all."""
        self.path = path
        self.settings = settings
        self.digest = files.digest(path)
        self.bench = load_bench(path)
        self.saved = self.bench
        self.library = open_library(settings, self.bench, path.parent)
        self.drafts = Drafts(paths.data_folder() / "drafts")
        self.problems: list[WorkbenchError] = []
        self.cases = self._load_cases()
        self._opened: dict[str, OpenPrompt] = {}
        self._edited: dict[str, Prompt] = {}
        self._new: set[str] = set()
        self._inputs: dict[int, dict[str, str]] = {}
        if self.bench.inputs:
            self._inputs[self.bench.case] = dict(self.bench.inputs)
        self.recovered = self._recover_drafts()

    # --- prompts -------------------------------------------------------------------------------------------------

    def prompt(self, name: str) -> Prompt:
        """The prompt as it now reads, edits included. Raises PromptError or FileError when it cannot be opened."""
        if name in self._edited:
            return self._edited[name]
        return self._open(name).prompt

    def edit_prompt(self, name: str, body: str) -> bool:
        """Take a new body, keeping it as a draft until it is saved; whether that changed anything."""
        before = self.prompt(name)
        if before.body == body:
            return False
        self._put(name, msgspec.structs.replace(before, body=body))
        return True

    def edit_examples(self, name: str, examples: tuple[Example, ...]) -> None:
        """Take a new list of few-shot examples for a prompt; the first ones of a chat prompt become turns."""
        before = self.prompt(name)
        first = before.placement == "none" and before.mode == "chat" and not before.examples
        placement = "turns" if first else before.placement
        self._put(name, msgspec.structs.replace(before, examples=examples, placement=placement))

    def revert_prompt(self, name: str) -> None:
        """Forget what was typed and read the file anew."""
        self._edited.pop(name, None)
        self._opened.pop(name, None)
        self.drafts.drop(self._draft_key(name))

    def is_edited(self, name: str) -> bool:
        return name in self._edited

    def prompts_changed_outside(self) -> tuple[str, ...]:
        """Open prompts whose file another program changed."""
        return tuple(name for name, opened in self._opened.items() if self.library.changed(opened))

    # --- cases ---------------------------------------------------------------------------------------------------

    @property
    def case(self) -> Case:
        """The current case, with what a person typed over it; an empty one when there is no dataset."""
        number = self.bench.case
        base = (
            self.cases[number - 1] if number <= len(self.cases) else Case(number=1, variables={}, expected=None, line=0)
        )
        typed = self._inputs.get(number, {})
        variables = (
            {**dict.fromkeys(self._wanted_variables(), ""), **base.variables}
            if not self.cases
            else dict(base.variables)
        )
        variables.update({name: text for name, text in typed.items() if name != "expected"})
        return Case(
            number=base.number,
            variables=variables,
            expected=typed.get("expected", base.expected),
            line=base.line,
        )

    def shown_variables(self) -> dict[str, str]:
        """Those variables of the current case that a prompt of this bench asks for; all of them when none does."""
        variables = self.case.variables
        wanted = self._wanted_variables()
        return {name: variables[name] for name in wanted if name in variables} or dict(variables)

    @property
    def case_is_typed(self) -> bool:
        """Whether the current case differs from its row in the dataset."""
        return bool(self._inputs.get(self.bench.case))

    def go_to_case(self, number: int) -> bool:
        """Stand on another case (clamped to the dataset); whether that moved."""
        number = max(1, min(number, len(self.cases) or 1))
        if number == self.bench.case:
            return False
        self._set(case=number, inputs=dict(self._inputs.get(number, {})))
        return True

    def type_input(self, variable: str, text: str) -> bool:
        """Overwrite a variable (or `expected`) of the current case; the dataset stays as it is."""
        number = self.bench.case
        row = self.cases[number - 1] if number <= len(self.cases) else None
        original = (row.expected if variable == "expected" else row.variables.get(variable)) if row else None
        typed = dict(self._inputs.get(number, {}))
        if text == (original or ""):
            typed.pop(variable, None)
        else:
            typed[variable] = text
        if typed == self._inputs.get(number, {}):
            return False
        self._inputs[number] = typed
        self._set(inputs=typed)
        return True

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
            self._new.add(fork)
            self._put(fork, msgspec.structs.replace(self.prompt(name), name=fork))
        except WorkbenchError:
            return position  # the original cannot be read either; the pane says why
        self.change_variant(position, prompt=fork)
        return position

    def close_variant(self, index: int) -> None:
        """Take a variant out. Raises BenchError for the last one."""
        if len(self.variants) == 1:
            raise BenchError("This is the last pane.", "Change its prompt or model instead, or quit with ctrl+q.")
        self._set(variants=self.variants[:index] + self.variants[index + 1 :])

    def change_variant(self, index: int, **changes: object) -> Variant:
        """Replace fields of a variant; the new value. Raises BenchError for a name that is taken or empty."""
        variant = msgspec.structs.replace(self.variants[index], **changes)
        others = {other.name for position, other in enumerate(self.variants) if position != index}
        if not variant.name.strip() or variant.name in others:
            raise BenchError(f"The name {variant.name!r} is empty or taken by another pane.", "Choose another.")
        self._set(variants=(*self.variants[:index], variant, *self.variants[index + 1 :]))
        return variant

    def toggle_example(self, index: int, example: str) -> bool:
        """Switch an example on or off for one variant; whether it is on now."""
        off = self.variants[index].examples_off
        now_on = example in off
        off = tuple(name for name in off if name != example) if now_on else (*off, example)
        self.change_variant(index, examples_off=off)
        return now_on

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
        return (*self._edited, *bench)

    def save(self, force: bool = False) -> tuple[str, ...]:
        """Write every edited prompt and the bench; what was written.

        Raises FileChangedError when another program changed a file since (nothing of it is overwritten, what was
        written before it stays written); `force` overwrites.
        """
        written = []
        for name in tuple(self._edited):
            self._save_prompt(name, force)
            written.append(name)
        if self.bench != self.saved or not self.path.exists():
            self.digest = save_bench(self.path, self.bench, None if force else self.digest)
            self.saved = self.bench
            written.append(self.path.name)
        return tuple(written)

    def save_bench_as(self, path: Path) -> None:
        """Write the bench under another name and go on with that file."""
        self.digest = save_bench(path, self.bench, "")
        self.path, self.saved = path, self.bench

    def save_prompt_as(self, index: int, name: str) -> None:
        """Save the prompt of a variant under another name, and let the variant use it."""
        old = self.variants[index].prompt
        self._opened[name] = self.library.save_as(self.prompt(old), name, self._opened.get(old))
        self.change_variant(index, prompt=name)
        if not any(variant.prompt == old for variant in self.variants):
            self.revert_prompt(old)
            self._new.discard(old)

    def drop_drafts(self) -> None:
        """Forget every unsaved edit: a person chose to leave without saving."""
        for name in tuple(self._edited):
            self.drafts.drop(self._draft_key(name))
        self._edited.clear()

    # --- inside --------------------------------------------------------------------------------------------------

    def _set(self, **changes: object) -> None:
        self.bench = msgspec.structs.replace(self.bench, **changes)

    def _open(self, name: str) -> OpenPrompt:
        if name not in self._opened:
            self._opened[name] = self.library.open(name)
        return self._opened[name]

    def _put(self, name: str, prompt: Prompt) -> None:
        opened = self._opened.get(name)
        if opened and opened.prompt == prompt:
            self._edited.pop(name, None)
            self.drafts.drop(self._draft_key(name))
            return
        self._edited[name] = prompt
        draft = Unsaved(opened.digest if opened else "", prompt)
        self.drafts.keep(self._draft_key(name), msgspec.json.encode(draft).decode())

    def save_prompt(self, name: str, force: bool = False) -> None:
        """Write one edited prompt. Raises FileChangedError as `save` does."""
        if name in self._edited:
            self._save_prompt(name, force)

    def rename_prompt(self, name: str, new: str) -> None:
        """Rename a prompt of the library; every variant of the bench follows, unsaved edits too."""
        self.library.rename(name, new)
        self._opened.pop(name, None)
        edited = self._edited.pop(name, None)
        if edited is not None:
            self.drafts.drop(self._draft_key(name))
            self._open(new)
            self._put(new, msgspec.structs.replace(edited, name=new))
        renamed = (msgspec.structs.replace(v, prompt=new) if v.prompt == name else v for v in self.variants)
        self._set(variants=tuple(renamed))

    def reload_changed(self) -> None:
        """Take the other version of every file that another program changed; edits to those are forgotten."""
        for name in self.prompts_changed_outside():
            self.revert_prompt(name)
        if files.digest(self.path) != self.digest:
            self.bench = self.saved = load_bench(self.path)
            self.digest = files.digest(self.path)

    def new_example(self, name: str) -> Example:
        """A further example for a prompt: a free id, the current case's variables, its expected answer."""
        prompt = self.prompt(name)
        taken = {example.id for example in prompt.examples}
        free = next(f"e{number}" for number in range(1, len(taken) + 2) if f"e{number}" not in taken)
        wanted = find_variables(prompt)
        variables = {key: self.case.variables.get(key, "") for key in wanted}
        return Example(free, variables, self.case.expected or "")

    def _save_prompt(self, name: str, force: bool) -> None:
        prompt = self._edited[name]
        if name in self._new:
            self._opened[name] = self.library.save_as(prompt, name)
            self._new.discard(name)
        else:
            self._opened[name] = self.library.save(self._open(name), prompt, force=force)
        del self._edited[name]
        self.drafts.drop(self._draft_key(name))

    def _recover_drafts(self) -> tuple[str, ...]:
        """Take up what an earlier session left unsaved for the prompts of this bench; their names."""
        for name in dict.fromkeys(variant.prompt for variant in self.variants):
            draft = self._find_draft(name)
            if draft is None:
                continue
            try:
                opened = self._open(name)
            except WorkbenchError:
                self._new.add(name)
            else:
                if opened.prompt == draft.prompt:
                    continue
                self._opened[name] = msgspec.structs.replace(opened, digest=draft.digest)
            self._edited[name] = draft.prompt
        return tuple(self._edited)

    def _find_draft(self, name: str) -> Unsaved | None:
        try:
            text = self.drafts.find(self._draft_key(name))
            return msgspec.json.decode(text, type=Unsaved) if text else None
        except WorkbenchError as error:
            self.problems.append(error)
        except msgspec.DecodeError as error:
            self.problems.append(PromptError(f"The unsaved edit of `{name}` cannot be read: {error}."))
        return None

    def _draft_key(self, name: str) -> str:
        return f"{self.library.folder}:{name}"

    def _load_cases(self) -> tuple[Case, ...]:
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
        taken = {entry.name for entry in self.library.entries()} | set(self._edited)
        return _first_free(name, taken, "-")


def _first_free(name: str, taken: set[str], separator: str) -> str:
    stem, _, number = name.rpartition(separator)
    stem = stem if stem and number.isdigit() else name
    candidates = (name, *(f"{stem}{separator}{count}" for count in range(2, len(taken) + 3)))
    return next(candidate for candidate in candidates if candidate not in taken)
