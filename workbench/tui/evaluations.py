"""Evaluations: how the screen begins a run of the open bench, and where it finds the ones that were.

Opens the store when it is first needed. Knows nothing of widgets.
"""

from __future__ import annotations

from functools import cached_property
from io import StringIO
from pathlib import Path

from workbench import files, paths
from workbench.evaluation.calculator import Calculator
from workbench.evaluation.plan import Plan
from workbench.evaluation.reports.csv import write_csv
from workbench.evaluation.reports.html import write_html
from workbench.evaluation.reports.json import render_json
from workbench.evaluation.reports.markdown import render_markdown
from workbench.evaluation.reports.parquet import write_parquet
from workbench.evaluation.run import Evaluation, Options
from workbench.evaluation.session import Session
from workbench.evaluation.sources import Sources
from workbench.evaluation.summary import Summary
from workbench.evaluation.view import RunView
from workbench.hosting.pool import Pool
from workbench.models.reference import Model, resolve_adapters, resolve_model
from workbench.store.store import Store
from workbench.tui.evaluating import Evaluating

LEAVE_SECONDS = 2.0


class Evaluations:
    """The runs of one open bench."""

    def __init__(self, session: Session, pool: Pool) -> None:
        self._session, self._pool = session, pool
        self.current: Evaluating | None = None
        self.path = paths.data_folder() / "workbench.sqlite"

    @cached_property
    def store(self) -> Store:
        """Raises StoreError when it cannot be opened."""
        return Store(self.path)

    def take_notice(self) -> str:
        """What a person has to know of the store's file, once; "" where there is nothing."""
        store: Store | None = self.__dict__.get("store")
        if store is None:
            return ""
        notice, store.notice = store.notice, ""
        return notice

    @cached_property
    def figures(self) -> Calculator:
        return Calculator(self.path)

    @property
    def bench_name(self) -> str:
        return self._session.path.name

    @cached_property
    def asked(self) -> str:
        """The first variable that the prompts ask for; "" where they ask for none."""
        return next(iter(self._session.shown_variables()), "")

    @property
    def session(self) -> Session:
        return self._session

    @property
    def pool(self) -> Pool:
        return self._pool

    def prepare(self) -> tuple[Evaluation, Plan]:
        """A run of the bench as it now reads, and what it is about to do. Slow: not for the screen's thread.

        Raises WorkbenchError when there is nothing to run.
        """
        session = self._session
        cases = session.current_cases()
        evaluation = Evaluation(
            session.bench, session.path, cases, self._pool, self._sources(), self.store, self._options()
        )
        return evaluation, evaluation.plan()

    def prepare_again(self, run: str) -> tuple[Evaluation, Plan]:
        """The same for an earlier run that did not come to its end."""
        evaluation = Evaluation.resume(run, self._pool, self._sources(), self.store, self._options())
        return evaluation, evaluation.plan()

    def begin(self, evaluation: Evaluation, plan: Plan) -> Evaluating:
        self.current = Evaluating(evaluation, plan)
        self.current.start()
        return self.current

    def write_report(self, run: str, summary: Summary, path: Path) -> None:
        """Write a run's results; the path's ending says in which form. Slow: not for the screen's thread.

        Raises FileError.
        """
        view = RunView(self.store, run)
        if path.suffix == ".html":
            write_html(view, summary, path)
        elif path.suffix == ".parquet":
            write_parquet(view, path)
        elif path.suffix == ".csv":
            text = StringIO(newline="")
            write_csv(view, text)
            files.write_text(path, text.getvalue())
        else:
            render = render_json if path.suffix == ".json" else render_markdown
            files.write_text(path, render(summary))

    def close(self) -> None:
        """Stop what runs; what is finished is in the store."""
        if self.current is not None and self.current.running:
            self.current.stop()
            self.current.join(LEAVE_SECONDS)
        if "figures" in self.__dict__:
            self.figures.close()
        if "store" in self.__dict__:
            self.store.close()

    def _options(self) -> Options:
        return Options(strategy=self._session.strategy)

    def _sources(self) -> Sources:
        session = self._session
        return Sources(
            session.prompt,
            self._find_model,
            lambda choices: resolve_adapters(choices, session.path.parent, session.adapters),
        )

    def _find_model(self, name: str) -> Model:
        return resolve_model(name, self._session.bench.models, self._session.path.parent, self._session.models)
