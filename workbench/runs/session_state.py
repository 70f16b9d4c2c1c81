"""SessionState: the values of an open bench, and the draft that is kept of whatever is in no file."""

from __future__ import annotations

from pathlib import Path
from typing import Literal

import msgspec

from workbench import paths
from workbench.errors import WorkbenchError
from workbench.library.autosave import AutosaveStore
from workbench.library.workspace import Workspace
from workbench.models.discovery import refresh_adapters
from workbench.models.reference import Adapter, Model
from workbench.prompting.prompt import Prompt
from workbench.prompting.render import find_variables
from workbench.runs.bench import Bench, ModelChoice, Variant
from workbench.runs.bench_autosave import Inputs
from workbench.runs.bench_file import BenchFile
from workbench.runs.chain import resolve_chain
from workbench.runs.opening import open_library
from workbench.runs.passage_source import PASSAGES
from workbench.runs.typed_inputs import TypedInputs
from workbench.scoring.trust import Spec
from workbench.settings import Settings


class SessionState:
    """What the parts of a session share.

    bench: with everything unsaved. problems: what could not be opened; the rest still works. models, adapters: those
    that were found; variants may name them.
    """

    def __init__(self, path: Path, settings: Settings) -> None:
        """Raises BenchError or FileError when there is no bench to open at all."""
        self.settings = settings
        self.autosaves = AutosaveStore(paths.data_folder() / "drafts")
        self.file = BenchFile(path, self.autosaves)
        self.bench = self.file.saved
        self._inputs = TypedInputs()
        self._take_inputs({})
        self.problems: list[WorkbenchError] = []
        self.recovered_from = self._recover_bench()
        self.library = open_library(settings, self.bench, path.parent)
        self.prompts = Workspace(self.library, self.autosaves)
        self.models: tuple[Model, ...] = ()
        self.adapters: tuple[Adapter, ...] = ()

    @property
    def path(self) -> Path:
        """The bench's file."""
        return self.file.path

    @property
    def saved(self) -> Bench:
        """The bench as its file has it."""
        return self.file.saved

    @property
    def variants(self) -> tuple[Variant, ...]:
        return self.bench.variants

    def prompt(self, name: str) -> Prompt:
        """The prompt as it now reads, edits included. Raises PromptError or FileError when it cannot be opened."""
        return self.prompts.prompt(name)

    def know(self, models: tuple[Model, ...], adapters: tuple[Adapter, ...]) -> None:
        """Take note of the models and adapters that were found; variants may name them."""
        self.models, self.adapters = models, adapters

    def refresh_adapters(self) -> None:
        """Take note of adapters that were trained, restored or deleted meanwhile. Reads a folder."""
        found = refresh_adapters(self.adapters)
        if found != self.adapters:
            self.adapters = found

    def remember_model(self, name: str, choice: ModelChoice) -> None:
        """Keep a person's own model in the bench, so that it opens with it again."""
        named = msgspec.structs.replace(choice, path=paths.write_relative(choice.path, self.path.parent))
        self._set(models={**self.bench.models, name: named})

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

    def set_repeats(self, repeats: int) -> None:
        self._set(repeats=repeats)

    def set_scorers(self, scorers: tuple[Spec, ...]) -> None:
        """Score answers with these; the first is what runs are sorted and summed up by."""
        self._set(scorers=scorers)

    def _set(self, **changes: object) -> None:
        self._apply(msgspec.structs.replace(self.bench, **changes))

    def _apply(self, bench: Bench) -> None:
        if bench != self.bench:
            self.bench = bench
            self._keep_draft()

    @property
    def _has_unsaved_bench(self) -> bool:
        """Whether anything is in no file, as what was typed over other cases than the current one never is."""
        return self.bench != self.saved or self._inputs.has_others(self.bench.case)

    def _keep_draft(self) -> None:
        if self._has_unsaved_bench:
            self.file.keep_draft(self.bench, self._inputs.all)
        else:
            self.file.drop_draft()

    def _take_inputs(self, inputs: Inputs) -> None:
        """What was typed over the cases: that of the current one stands in the bench."""
        self._inputs.restore_with(inputs, self.bench.case, self.bench.inputs)

    def _recover_bench(self) -> float:
        """Take up what an earlier session left unsaved of the bench; when that was kept, 0 where there is nothing."""
        try:
            found = self.file.find_draft()
        except WorkbenchError as error:
            self.problems.append(error)
            return 0.0
        if found is None:
            return 0.0
        self.bench = found.bench
        self._take_inputs(found.inputs)
        if not self._has_unsaved_bench:  # it was saved, and the process ended before it could forget the draft
            self.file.drop_draft()
            return 0.0
        if self.bench != self.saved:
            self.file.digest = found.digest  # saving asks where another program has changed the file since
        return found.written

    def _wanted_variables(self) -> tuple[str, ...]:
        names: dict[str, None] = {}
        for variant in self.variants:
            try:
                asked = find_variables(resolve_chain(self.prompt(variant.prompt), self.prompt))
            except WorkbenchError:
                continue
            names.update(dict.fromkeys(name for name in asked if variant.retrieve is None or name != PASSAGES))
        return tuple(names)
