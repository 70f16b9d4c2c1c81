"""Verdicts: how the screen begins a verdict on the open bench, and what it came to.

Knows nothing of widgets.
"""

from __future__ import annotations

from pathlib import Path

from workbench import files
from workbench.evaluation.session import Session
from workbench.training.contest import Contest, Tell, Wanted
from workbench.training.verdict import Verdict
from workbench.training.verdict_report import render_json, render_markdown, write_html
from workbench.tui.evaluations import Evaluations
from workbench.tui.judging import Judging

LEAVE_SECONDS = 2.0


class Verdicts:
    """The verdicts of one open bench; the last one is kept."""

    def __init__(self, session: Session, evaluations: Evaluations) -> None:
        self.session = session
        self.current: Judging | None = None
        self._evaluations = evaluations

    @property
    def running(self) -> bool:
        return self.current is not None and self.current.running

    def begin(self, wanted: Wanted, counts: tuple[int, ...]) -> Judging:
        """Carry one out beside the screen."""
        self.current = Judging(self._make, wanted, counts)
        self.current.start()
        return self.current

    def write_report(self, verdict: Verdict, path: Path) -> None:
        """Write a verdict; the path's ending says in which form. Raises FileError."""
        if path.suffix == ".html":
            write_html(verdict, path)
        else:
            files.write_text(path, (render_json if path.suffix == ".json" else render_markdown)(verdict))

    def close(self) -> None:
        """End what runs."""
        if self.current is not None and self.current.running:
            self.current.cancel()
            self.current.join(LEAVE_SECONDS)

    def _make(self, wanted: Wanted, tell: Tell) -> Contest:
        own = self._evaluations
        return Contest(
            wanted, self.session.settings, own.pool, own.store, tell, lambda run: own.figures.summarize(run).result()
        )
