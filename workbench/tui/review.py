"""Review: what is found out about an answer once it is there: its scores, and how probable the expected one was.

Knows neither how answers come about nor how the findings look: they are posted to the pane that they are about.
"""

from __future__ import annotations

from collections.abc import Hashable, Sequence
from functools import partial
from pathlib import Path

from textual.message import Message

from workbench.engines.engine import Completion, Likelihood
from workbench.evaluation.contamination import CaseCheck
from workbench.evaluation.launch import Draft
from workbench.evaluation.scorers import Score
from workbench.evaluation.scoring import Scoring
from workbench.evaluation.trust import Spec
from workbench.hosting.pool import Pool
from workbench.prompting import prompt
from workbench.tui.expecting import Expecting
from workbench.tui.widgets.output_pane import OutputPane


class Review:
    """Of the answers of one bench's panes."""

    class Scored(Message):
        """An answer was judged. seen: whether what answered has seen the case before, in a few words."""

        def __init__(self, pane: OutputPane, completion: Completion, scores: tuple[Score, ...], seen: str) -> None:
            super().__init__()
            self.pane, self.completion, self.scores, self.seen = pane, completion, scores, seen

    class Weighed(Message):
        """How probable a pane's model finds the expected answer became known."""

        def __init__(self, pane: OutputPane, draft: Draft, likelihood: Likelihood) -> None:
            super().__init__()
            self.pane, self.draft, self.likelihood = pane, draft, likelihood

    def __init__(self, pool: Pool, weighs: bool) -> None:
        """weighs: whether the likelihood of the expected answer is told from the beginning."""
        self._scoring: Scoring | None = None
        self._contamination = CaseCheck()
        self._expecting = Expecting(pool, self._tell_weighed, weighs)

    def open(self, specs: Sequence[Spec], folder: Path) -> None:
        """Judge by these scorers from now on. Raises ScorerError."""
        self.close()
        self._scoring = Scoring(specs, folder.absolute())

    def close(self) -> None:
        if self._scoring:
            self._scoring.close()

    # --- scores --------------------------------------------------------------------------------------------------

    def judge(self, pane: OutputPane, completion: Completion, draft: Draft) -> None:
        """Score an answer on a thread of its own: a pattern may take its time, and the screen is not to wait."""
        pane.run_worker(partial(self._score, pane, completion, draft), thread=True, group="judge")

    def _score(self, pane: OutputPane, completion: Completion, draft: Draft) -> None:
        if self._scoring:
            seen = self._contamination.tell(draft.examples, draft.weights, draft.case)
            judged = self._scoring.score(completion.text, draft.case, completion=completion)
            judged.add_done_callback(lambda done: pane.post_message(self.Scored(pane, completion, done.result(), seen)))

    # --- the expected answer -------------------------------------------------------------------------------------

    @property
    def weighs(self) -> bool:
        """Whether the likelihood of the expected answer is told."""
        return self._expecting.on

    def turn_weighing(self) -> None:
        """Tell it, or stop telling; what is under way or on show is the caller's."""
        self._expecting.on = not self._expecting.on

    def weigh(self, pane: OutputPane, draft: Draft, messages: tuple[prompt.Message, ...]) -> None:
        """Behind the live answers, find out how probable the expected one is after what the pane sent."""
        self._expecting.weigh(pane, draft, messages)

    def drop(self, pane: OutputPane) -> None:
        """Find out no more about the expected answer of a pane whose answer is given up."""
        self._expecting.drop(pane)

    def _tell_weighed(self, pane: Hashable, draft: Draft, likelihood: Likelihood) -> None:
        assert isinstance(pane, OutputPane)
        pane.post_message(self.Weighed(pane, draft, likelihood))
