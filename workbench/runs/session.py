"""Session: an open bench, with what a person changed and has not saved yet.

Every change is a method here, so that the screen only gathers values and shows the outcome. Unsaved prompt texts are
autosaved: a crash loses none of them.
"""

from __future__ import annotations

import contextlib
from dataclasses import replace
from pathlib import Path

import msgspec

from workbench.datasets.turns import list_turn_variables
from workbench.errors import WorkbenchError
from workbench.models.reference import Model, find_applied, model_at, resolve_adapters, resolve_model
from workbench.prompting.prompt import Example, Mode, Placement, Prompt
from workbench.prompting.render import find_variables
from workbench.prompting.steps import offers_tools
from workbench.runs.bench import ModelChoice
from workbench.runs.bench_file import Changed as Changed
from workbench.runs.chain import check_sampling, list_step_models, resolve_chain
from workbench.runs.generation import GenerationSpec, shows_pictures
from workbench.runs.inputs import check_inputs
from workbench.runs.passage_source import PASSAGES, find_passage_source
from workbench.runs.prompt_rename import PromptRename, apply_rename, change_chains, plan_rename, rename_in_bench
from workbench.runs.session_cases import SessionCases
from workbench.runs.session_history import SessionHistory, Snapshot
from workbench.runs.session_variants import SessionVariants
from workbench.runs.step_edits import EditTarget, list_targets, replace_text, split_target
from workbench.runs.variant_edits import MOST_VARIANTS as MOST_VARIANTS
from workbench.settings import Settings


class Session(SessionVariants, SessionCases):
    """The state of one open bench.

    problems: what could not be opened; the rest still works. recovered: prompts, and the bench's file, whose unsaved
    changes of an earlier session were taken up again, until they are saved or discarded; recovered_from: when the last
    of them was kept, in seconds since the epoch.
    """

    def __init__(self, path: Path, settings: Settings) -> None:
        """Open the bench at `path`. Raises BenchError or FileError when there is no bench to open at all."""
        super().__init__(path, settings)
        recovered_bench = self._has_unsaved_bench
        self.problems += self.prompts.recover(variant.prompt for variant in self.bench.variants)
        self.recovered = (*self.prompts.edited, *((path.name,) if recovered_bench else ()))
        self.recovered_from = max(self.recovered_from, self.prompts.recovered_from)
        self._recovered_state = self._state
        self._restart_history()

    # --- prompts -------------------------------------------------------------------------------------------------

    def edit_prompt(self, name: str, body: str) -> bool:
        """Take a new body, keeping it as a draft until it is saved; whether that changed anything.

        name: of a prompt, or of an EditTarget: then it is the text of a step.
        """
        owner, step = split_target(name)
        before = self.prompt(owner)
        after = replace_text(before, step, body)
        if after == before:
            return False
        self.prompts.edit(owner, after)
        return True

    def edit_targets(self, index: int) -> tuple[EditTarget, ...]:
        """The texts of a variant's prompt that can be edited: those of a chain's steps. Raises WorkbenchError."""
        return list_targets(self.prompt(self.variants[index].prompt), self.prompt)

    def edit_examples(self, name: str, examples: tuple[Example, ...]) -> None:
        """Take a new list of few-shot examples; the first one of a chat prompt is placed as turns."""
        self.prompts.set_examples(name, examples)

    def set_placement(self, name: str, placement: Placement, nearest: int = 0) -> None:
        """Choose where the examples of a prompt go, and how many of those nearest to a case are sent; 0: all."""
        self.prompts.edit(name, msgspec.structs.replace(self.prompt(name), placement=placement, nearest=nearest))

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

    def plan_rename(self, name: str, new: str) -> PromptRename:
        """What it would change to rename a prompt. Raises PromptError."""
        return plan_rename(self.library, name, new, self.settings, also=(self.path,))

    def rename_prompt(self, plan: PromptRename) -> None:
        """Rename a prompt in every bench of the project, this one included; unsaved edits follow.

        Raises FileChangedError, PromptError and FileError; then nothing is changed.
        """
        chains = change_chains(plan, self.prompts, self.settings)
        apply_rename(plan, self.library, self.autosaves, self.settings)
        self.prompts.note_renamed(plan.old, plan.new)
        for name, header in chains.items():
            self.prompts.note_rewritten(name, header)
        for edit in plan.edits:
            self.file.note_edited(edit.path, edit.before, edit.after)
        self._apply(rename_in_bench(plan, self.bench, self.path, self.settings))
        self._keep_draft()
        self._restart_history()  # what was before names a file that is gone

    # --- undo ----------------------------------------------------------------------------------------------------

    def note_step(self) -> None:
        """Make what was changed since the last call a step that can be undone. Call it when an action is through."""
        self.history.note(self._snapshot())

    def move_in_history(self, back: bool) -> None:
        """Undo the last step, or redo it: what was unsaved then is unsaved again. There has to be one."""
        step = self.history.peek(back)
        snapshot = self.history.move(back)
        assert step is not None
        other_cases = snapshot.bench.dataset != self.bench.dataset
        number = step.change.case or (1 if other_cases else self.bench.case)
        self.prompts.restore(snapshot.prompts)
        self._inputs.restore(snapshot.inputs)
        self.bench = msgspec.structs.replace(snapshot.bench, case=number, inputs=self._inputs.of(number))
        self._keep_draft()
        if other_cases:
            self._open_cases()

    def _restart_history(self) -> None:
        self.history = SessionHistory(self._snapshot())

    def _snapshot(self) -> Snapshot:
        bench = msgspec.structs.replace(self.bench, case=1, inputs={})
        return Snapshot(bench, self._inputs.all, self.prompts.contents)

    # --- what a variant asks -----------------------------------------------------------------------------------

    def model(self, index: int) -> Model:
        """The model of a variant. Raises ModelError that lists near names."""
        return self.find_model(self.variants[index].model)

    def find_model(self, name: str) -> Model:
        """The model of that name. Raises ModelError that lists near names."""
        return resolve_model(name, self.bench.models, self.path.parent, self.models, self.settings.offload)

    def find_model_as(self, name: str, choice: ModelChoice) -> Model:
        """The model of that name as it would be with another entry in the bench. Raises ModelError."""
        models = {**self.bench.models, name: choice}
        return resolve_model(name, models, self.path.parent, self.models, self.settings.offload)

    def spec(self, index: int) -> GenerationSpec:
        """What a variant asks now. Raises WorkbenchError when its prompt, model or adapters cannot be found."""
        variant = self.variants[index]
        prompt = self.chain(variant.prompt)
        passages = find_passage_source(variant, prompt, self.bench.documents, self.path.parent, self.find_model)
        if self.bench.dataset and self.cases:
            columns = (*self._cases.columns(), *self.case.variables, *([PASSAGES] if passages else []))
            columns = (*columns, *list_turn_variables((self.case,)))
            check_inputs(prompt, tuple(dict.fromkeys(columns)), self.bench.dataset)
        model = self.model(index)
        adapters = find_applied(
            model, variant.adapters, lambda choices: resolve_adapters(choices, self.path.parent, self.adapters)
        )
        check_sampling(prompt, variant.sampling, variant.default_sampling)
        models = tuple((name, self.find_model(name)) for name in list_step_models(prompt))
        spec = GenerationSpec.of(variant, prompt, self.case, self.strategy, model, adapters, passages, models)
        spec = replace(spec, tool_setup=self.bench.tools) if offers_tools(prompt) else spec
        looked_up = shows_pictures(prompt) or spec.tool_setup.python
        return replace(spec, folder=str(self.path.parent)) if looked_up else spec

    def chain(self, name: str) -> Prompt:
        """A prompt as it now reads, with the steps of a chain looked up. Raises WorkbenchError."""
        return resolve_chain(self.prompt(name), self.prompt)

    def use_model(self, path: Path) -> None:
        """Run every variant on one model file; cannot be undone. Raises ModelError when there is none."""
        model = model_at(path.absolute())
        self.remember_model(model.name, ModelChoice(str(model.path)))
        self._set(variants=tuple(msgspec.structs.replace(v, model=model.name) for v in self.variants))
        self._restart_history()

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
            self.file.save(self.bench, force)
            self._keep_draft()
            written.append(self.path.name)
        self.recovered = ()
        return tuple(written)

    def save_bench_as(self, path: Path) -> None:
        """Write the bench under another name and go on with that file."""
        self.file.save_as(path, self.bench)
        self._keep_draft()

    def save_prompt_as(self, index: int, name: str) -> None:
        """Save the prompt of a variant under another name, and let the variant use it."""
        old = self.variants[index].prompt
        self.prompts.save_as(old, name)
        self.change_variant(index, prompt=name)
        if not any(variant.prompt == old for variant in self.variants):
            self.prompts.revert(old)

    def read_changed(self) -> Changed | None:
        """The bench as another program has left it; None where it is as it was. Raises BenchError or FileError."""
        return self.file.read_changed()

    def reload_changed(self, changed: Changed | None) -> None:
        """Take the other version of every file that another program changed; edits to those are forgotten."""
        for name in self.prompts.changed_outside():
            self.prompts.revert(name)
        if changed is not None:
            other_cases = self.bench.dataset != changed.bench.dataset
            self.bench = changed.bench
            self._take_inputs(self._inputs.all)
            self.file.note_saved(changed.bench, changed.digest)
            self._keep_draft()
            if other_cases:
                self._open_cases()

    def discard(self) -> None:
        """Forget everything unsaved: the prompts and the bench are again as their files were when they were opened."""
        self.prompts.revert_all()
        other_cases = self.bench.dataset != self.saved.dataset
        self.bench = self.saved
        self._take_inputs({})
        self.file.discard_draft()
        self._keep_draft()
        if other_cases:
            self._open_cases()
        self.recovered = ()

    @property
    def is_as_recovered(self) -> bool:
        """Whether nothing was changed since unsaved changes were taken up: `discard` discards only those."""
        return self._state == self._recovered_state

    # --- inside --------------------------------------------------------------------------------------------------

    @property
    def _state(self) -> object:
        """Everything unsaved, to be compared."""
        return self.bench, self._inputs.all, {name: self.prompts.prompt(name) for name in self.prompts.edited}

    def unsupported(self) -> tuple[str, ...]:
        """What the prompts of this bench ask for and is not done, in words."""
        found = []
        for name in dict.fromkeys(variant.prompt for variant in self.variants):
            with contextlib.suppress(WorkbenchError):  # its pane says why it cannot be opened
                if unsupported := self.prompt(name).unsupported:
                    found.append(f"Not used of the prompt {name}: {unsupported}.")
        return tuple(found)
