"""BenchRuns: starts runs of the open bench and writes reports of any run. Opens the store on first use."""

from __future__ import annotations

from concurrent.futures import Future
from functools import cached_property
from pathlib import Path

import msgspec

from workbench import paths
from workbench.analysis.prompt_history import PromptHistory
from workbench.analysis.prompt_scores import PromptScore
from workbench.analysis.summary import Summary
from workbench.analysis.worker import HistoryQuery, StatisticsWorker
from workbench.inference.pool import Pool
from workbench.models.reference import Model, resolve_adapters
from workbench.prompting.prompt import Prompt
from workbench.reports.registry import write_report
from workbench.runs.bench import Bench
from workbench.runs.cell import CellFinished
from workbench.runs.passage_finder import PassageFinder
from workbench.runs.passage_source import find_passage_source
from workbench.runs.plan import Plan
from workbench.runs.progress import RunProgress, RunStarted
from workbench.runs.run import Evaluation, RunOptions
from workbench.runs.session import Session
from workbench.runs.sources import Sources
from workbench.runs.view import RunView
from workbench.store.store import Store
from workbench.tui.background_task import BackgroundTask


class RunTask(BackgroundTask[None]):
    """One run. version: counts finished cells. run: its id, once it is in the store."""

    def __init__(self, evaluation: Evaluation, plan: Plan) -> None:
        super().__init__("run")
        self.plan = plan
        self.run = ""
        self._evaluation = evaluation
        self.on_cancel(evaluation.cancel)

    @property
    def paused(self) -> bool:
        return self.progress is not None and self.progress.state == "paused"

    def toggle_pause(self) -> None:
        if self.paused:
            self._evaluation.unpause()
        else:
            self._evaluation.pause()

    def toggle_model_pause(self, variant: str) -> str:
        """Pause or resume the model that a variant runs on; what was done, in words."""
        model = next((one.model for one in self.plan.models if variant in one.variants), "")
        if self.progress is not None and model in self.progress.paused:
            self._evaluation.unpause(model)
            return f"Resumed {model}."
        self._evaluation.pause(model)
        return f"Paused {model}; the others continue."

    def work(self) -> None:
        for event in self._evaluation.events():
            if isinstance(event, RunStarted):
                self.run = event.run
            elif isinstance(event, RunProgress):
                self.progress = event
            elif isinstance(event, CellFinished):
                self.version += 1


class BenchRuns:
    """The runs of one open bench. current: the last one that was started here."""

    def __init__(self, session: Session, pool: Pool, finder: PassageFinder | None = None) -> None:
        self.session, self.pool, self.finder = session, pool, finder or PassageFinder()
        self.current: RunTask | None = None
        self.path = paths.data_folder() / "workbench.sqlite"

    @property
    def running(self) -> bool:
        return self.current is not None and self.current.running

    @cached_property
    def store(self) -> Store:
        """Raises StoreError when it cannot be opened."""
        return Store(self.path)

    def take_notice(self) -> str:
        """What there is to know about the store's file, once; "" for nothing."""
        store: Store | None = self.__dict__.get("store")
        if store is None:
            return ""
        notice, store.notice = store.notice, ""
        return notice

    @cached_property
    def figures(self) -> StatisticsWorker:
        return StatisticsWorker(self.path)

    @cached_property
    def asked(self) -> str:
        """The first variable of the prompts; "" where they have none."""
        return next(iter(self.session.shown_variables()), "")

    def prepare(self) -> tuple[Evaluation, Plan]:
        """A run of the bench as it now reads, and its plan. Slow.

        Raises WorkbenchError when there is nothing to run.
        """
        session = self.session
        cases = session.current_cases()
        evaluation = Evaluation(
            session.bench,
            session.path,
            cases,
            self.pool,
            self.sources(),
            self.store,
            self._options(),
            finder=self.finder,
        )
        return evaluation, evaluation.plan()

    def prepare_bench(self, bench: Bench, what: str) -> Evaluation:
        """A run of a bench that was made of the open one, with versions of a variant. Slow.

        what: the measurement and the variant, in words; the run is called by it, so that it stands apart from others.
        """
        session = self.session
        stem = session.path.name.removesuffix(".yaml").removesuffix(".bench")
        options = msgspec.structs.replace(self._options(), name=f"{stem} {what.split()[0]}", note=what)
        cases = session.current_cases()
        return Evaluation(
            bench, session.path, cases, self.pool, self.sources(), self.store, options, finder=self.finder
        )

    def prepare_resume(self, run: str) -> tuple[Evaluation, Plan]:
        """The same for an earlier run that was stopped or interrupted."""
        evaluation = Evaluation.resume(run, self.pool, self.sources(), self.store, self._options(), self.finder)
        return evaluation, evaluation.plan()

    def make_task(self, evaluation: Evaluation, plan: Plan) -> RunTask:
        """The current run from now on; the caller starts it."""
        self.current = RunTask(evaluation, plan)
        return self.current

    def write_report(self, run: str, summary: Summary, path: Path) -> None:
        """Write a run's results; the suffix of the path decides the format. Slow. Raises FileError."""
        write_report(RunView(self.store, run), summary, path)

    def read_history(self, name: str, current: Prompt, reference: str = "") -> Future[PromptHistory]:
        """The versions of a prompt of the library. Fails with a WorkbenchError."""
        query = msgspec.structs.replace(self._library_query, name=name, current=current, reference=reference)
        return self.figures.read_history(query)

    def read_scores(self) -> Future[dict[str, PromptScore]]:
        """What the prompts of the library scored last. Fails likewise."""
        if not self.path.exists():
            none: Future[dict[str, PromptScore]] = Future()
            none.set_result({})
            return none
        return self.figures.read_scores(self._library_query)

    @property
    def _library_query(self) -> HistoryQuery:
        settings = self.session.settings
        return HistoryQuery(str(self.session.library.folder.absolute()), settings.prompt_folders, settings.library)

    def close(self) -> None:
        """Close the store and the statistics worker."""
        if "figures" in self.__dict__:
            self.figures.close()
        if "store" in self.__dict__:
            self.store.close()

    def _options(self) -> RunOptions:
        return RunOptions(strategy=self.session.strategy)

    def sources(self) -> Sources:
        """Where the parts of the bench come from."""
        session = self.session
        return Sources(
            session.chain,
            self._find_model,
            lambda choices: resolve_adapters(choices, session.path.parent, session.adapters),
            lambda variant, prompt: find_passage_source(
                variant, prompt, session.bench.documents, session.path.parent, self._find_model
            ),
        )

    def _find_model(self, name: str) -> Model:
        return self.session.find_model(name)
