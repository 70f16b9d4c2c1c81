"""ScoreTracker: scores the panes' answers and probes the logprob of the expected one, also at other scales of an
adapter; posts all of it to the pane."""

from __future__ import annotations

import asyncio
from collections.abc import Hashable, Sequence
from functools import partial
from pathlib import Path

from textual.message import Message

from workbench.errors import WorkbenchError
from workbench.inference.pool import Pool
from workbench.inference.types import Completion, Likelihood
from workbench.prompting import prompt
from workbench.runs.cell_step import collect_answers
from workbench.runs.contamination import CaseCheck
from workbench.runs.conversation import collect_turns
from workbench.runs.generation import GenerationSpec
from workbench.runs.step_traces import CHAIN, collect_traces
from workbench.runs.turn_scores import score_turns
from workbench.scoring.scorer import Score
from workbench.scoring.scorer_set import ScorerSet
from workbench.scoring.trust import Spec
from workbench.tui.expected_logprob import ExpectedLogprobProbe
from workbench.tui.scale_curve import Curve, ScaleProbe
from workbench.tui.widgets.output_pane import OutputPane


class ScoreTracker:
    """The scores of one bench's panes."""

    class ScoresReady(Message):
        """An answer was scored. seen: whether its model or prompt has seen the case before, in a few words."""

        def __init__(self, pane: OutputPane, completion: Completion, scores: tuple[Score, ...], seen: str) -> None:
            super().__init__()
            self.pane, self.completion, self.scores, self.seen = pane, completion, scores, seen

    class ExpectedProbed(Message):
        """The log-likelihood of the expected answer is known."""

        def __init__(self, pane: OutputPane, spec: GenerationSpec, likelihood: Likelihood) -> None:
            super().__init__()
            self.pane, self.spec, self.likelihood = pane, spec, likelihood

    class CurveProbed(Message):
        """How likely the expected answer is at several scales of the pane's adapter, so far; or a problem."""

        def __init__(self, pane: OutputPane, spec: GenerationSpec, curve: Curve, problem: str) -> None:
            super().__init__()
            self.pane, self.spec, self.curve, self.problem = pane, spec, curve, problem

    def __init__(self, pool: Pool, probes: bool) -> None:
        """probes: whether expected answers are probed from the beginning."""
        self._scoring: ScorerSet | None = None
        self._contamination = CaseCheck()
        self._probe = ExpectedLogprobProbe(pool, self._post_probed, probes)
        self.scales = ScaleProbe(pool, self._post_curve)

    def open(self, specs: Sequence[Spec], folder: Path) -> None:
        """Score with these from now on. Raises ScorerError."""
        self.close()
        self._scoring = ScorerSet(specs, folder.absolute())

    def close(self) -> None:
        if self._scoring:
            self._scoring.close()

    # --- scores --------------------------------------------------------------------------------------------------

    def score(self, pane: OutputPane, completion: Completion, spec: GenerationSpec) -> None:
        """Score an answer on a thread: a regular expression may take its time."""
        pane.run_worker(partial(self._score, pane, completion, spec), thread=True, group="score")

    def _score(self, pane: OutputPane, completion: Completion, spec: GenerationSpec) -> None:
        if self._scoring:
            seen = self._contamination.describe(spec.examples, spec.weights, spec.case)
            if pane.steps and not spec.prompt.steps:
                self._score_turns(self._scoring, pane, completion, spec, seen)
                return
            done_steps = collect_answers(pane.steps) if spec.prompt.steps else None
            traces = collect_traces(spec.prompt, pane.steps)
            scored = self._scoring.score(
                completion.text,
                spec.case,
                completion=completion,
                steps=done_steps,
                trace=traces.get(CHAIN),
                traces=traces,
            )
            scored.add_done_callback(
                lambda done: pane.post_message(self.ScoresReady(pane, completion, done.result(), seen))
            )

    def _score_turns(
        self, scoring: ScorerSet, pane: OutputPane, completion: Completion, spec: GenerationSpec, seen: str
    ) -> None:
        try:
            turns = collect_turns(spec.prompt, spec.case, pane.steps)
        except WorkbenchError:
            return  # the pane says what is wrong with the case
        done = asyncio.run(score_turns(scoring, turns, pane.steps, completion))
        pane.post_message(self.ScoresReady(pane, completion, done.scores, seen))

    # --- the expected answer -------------------------------------------------------------------------------------

    @property
    def probing(self) -> bool:
        """Whether the expected answer is probed."""
        return self._probe.on

    def toggle_probe(self) -> None:
        """Probe it or not; what is under way or on show is the caller's."""
        self._probe.on = not self._probe.on

    def probe(self, pane: OutputPane, spec: GenerationSpec, messages: tuple[prompt.Message, ...]) -> None:
        """The log-likelihood of the expected answer after what the pane sent."""
        self._probe.start(pane, spec, messages)

    def drop(self, pane: OutputPane) -> None:
        """Cancel the probes of a pane whose answer is replaced."""
        self._probe.cancel(pane)
        self.scales.cancel(pane)

    def _post_probed(self, pane: Hashable, spec: GenerationSpec, likelihood: Likelihood) -> None:
        assert isinstance(pane, OutputPane)
        pane.post_message(self.ExpectedProbed(pane, spec, likelihood))

    def _post_curve(self, pane: Hashable, spec: GenerationSpec, curve: Curve, problem: str) -> None:
        assert isinstance(pane, OutputPane)
        pane.post_message(self.CurveProbed(pane, spec, curve, problem))
