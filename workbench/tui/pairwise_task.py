"""PairwiseTask: a model compares the answers of a run, two by two; its result is a text."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Sequence

from workbench.analysis.pairwise import Match, rate_matches, run_matches
from workbench.analysis.pairwise_words import lay_out_pairwise
from workbench.errors import WorkbenchError
from workbench.runs.view import RunView
from workbench.scoring.scorers.pairwise import PairwiseJudge
from workbench.tui.background_task import BackgroundTask
from workbench.tui.bench_runs import BenchRuns
from workbench.units import format_plural


class PairwiseTask(BackgroundTask[str]):
    """The judge's replies are kept as they come: a comparison that was cancelled goes on from them."""

    def __init__(self, view: RunView, judge: PairwiseJudge, pairs: Sequence[tuple[str, str]], runs: BenchRuns) -> None:
        super().__init__("pairwise")
        self.stage = "loading the judge"
        self._view, self._judge, self._pairs, self._runs = view, judge, pairs, runs

    def work(self) -> str:
        try:
            matches = asyncio.run(self._compare())
        except asyncio.CancelledError:
            raise WorkbenchError("The comparison was cancelled.", "Replies so far are kept and reused.") from None
        return lay_out_pairwise(matches, rate_matches(self._view, self._judge, matches))

    async def _compare(self) -> list[Match]:
        loop, own = asyncio.get_running_loop(), asyncio.current_task()
        assert own is not None

        def abort() -> None:
            with contextlib.suppress(RuntimeError):  # the loop has ended
                loop.call_soon_threadsafe(own.cancel)

        self.on_cancel(abort)
        matches = []
        async for match in run_matches(self._view, self._judge, self._pairs, self._runs.pool, self._runs.sources()):
            matches.append(match)
            self.report(stage=f"{format_plural(len(matches), 'pair')} of answers compared")
        return matches
