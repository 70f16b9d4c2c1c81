"""Score and Scorer: what a scored answer is, and what every scorer can do."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, ClassVar, Literal, NamedTuple

import msgspec

from workbench.datasets import Case
from workbench.inference.types import Completion
from workbench.scoring.grader_request import GraderReply, GraderRequest
from workbench.scoring.permissions import NOTHING, Permissions
from workbench.scoring.text.normalization import is_blank
from workbench.scoring.tool_trace import ToolTrace

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from workbench.statistics.interval import Bounds

_MAX_QUOTE_CHARS = 120

Unscored = Literal["", "error", "lost"]
"""error: the scorer failed on this answer. lost: its process ended, which another time it may not."""

Scale = Literal["unit", "percent", "free"]
"""unit: 0 to 1. percent: 0 to 100, as sacrebleu counts. free: any number."""


class Score(msgspec.Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True):
    """One scorer's score of one answer.

    value: on the scorer's scale, 0 to 1 for most; `scale` says which where a score stands alone.
    extracted: the part of the answer that was scored, of a long one its beginning.
    explanation: for a person; the first line says it all. details: what only an expert reads.
    applies: False when there was nothing to judge by; the value is then 0 and belongs in no mean.
    parts: the values this one was made of, by name: of several judges, of both orders, of combined scorers.
    unscored: why there is no value although the scorer should have given one; such a score never applies.
    """

    scorer: str
    value: float
    extracted: str
    explanation: str
    applies: bool = True
    details: str = ""
    parts: dict[str, float] = {}
    scale: Scale = "unit"
    unscored: Unscored = ""


class ScoringInput(msgspec.Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True):
    """All there is to score an answer by.

    replies: to the scorer's own grader requests, in their order. completion: how the answer came about.
    cost: money, None where no price is known. cached: not computed anew, so that its times say nothing.
    trace: of tool calls; None where the prompt has no tools.
    """

    text: str
    case: Case
    replies: tuple[GraderReply, ...] = ()
    completion: Completion | None = None
    cost: float | None = None
    cached: bool = False
    trace: ToolTrace | None = None


class ScoredSample(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """An answer with what was expected and what it got, for values of a whole dataset. case: its number; repeats
    share it."""

    text: str
    expected: str | None
    score: Score
    also: tuple[str, ...] = ()
    case: int = 0


class CorpusSums(NamedTuple):
    """How a value of the whole dataset comes from sums over its answers.

    rows: what each answer adds, shape (answers, sums). value: from the sums. ends: the least and the most it can be.
    """

    rows: NDArray[np.float64]
    value: Callable[[NDArray[np.float64]], float]
    ends: tuple[float, float]


class ScorerSpec(NamedTuple):
    """What a kind of scorer says of itself.

    heavy: its library takes long to import, or it runs a person's code: only the scoring process calls it.
    binary: each value is 0 or 1. needs_answer: False for one that never looks at the text. whole: of a conversation it
    says one thing, such as the time it took, instead of one for each turn.
    """

    heavy: bool = False
    binary: bool = False
    lower_is_better: bool = False
    scale: Scale = "unit"
    needs_answer: bool = True
    whole: bool = False


class Scorer(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """Scores answers; never raises for any text.

    A scorer has a `name`, says in `spec` where it differs from the usual (0 to 1, more is better), and gives `score`,
    or `score_input` where the text and the case alone do not do. Its fields are the options of a bench.
    """

    spec: ClassVar[ScorerSpec] = ScorerSpec()
    name: str

    @property
    def step(self) -> str:
        """The step of a chain whose answer it scores; "" for the chain's own."""
        return ""

    @property
    def heavy(self) -> bool:
        return self.spec.heavy

    @property
    def binary(self) -> bool:
        return self.spec.binary

    @property
    def lower_is_better(self) -> bool:
        return self.spec.lower_is_better

    @property
    def scale(self) -> Scale:
        return self.spec.scale

    @property
    def needs_answer(self) -> bool:
        return self.spec.needs_answer

    @property
    def whole(self) -> bool:
        return self.spec.whole

    @property
    def time_limit_seconds(self) -> float:
        """How long one answer may take in the scoring process."""
        return 60.0

    @property
    def permissions(self) -> Permissions:
        """What the scoring process may use."""
        return NOTHING

    @property
    def signature(self) -> str:
        """The settings that make a value comparable with others', as the field writes them; mostly nothing."""
        return ""

    def build(self, folder: Path) -> Scorer:
        """The scorer of these options, with the files they name found, from the bench's folder first.

        Raises ScorerError.
        """
        return self

    def score(self, text: str, case: Case) -> Score:
        """Score by text and case alone; a scorer that needs more says so in a score that does not apply."""
        return self.score_input(ScoringInput(text, case))

    def grader_requests(self, text: str, case: Case) -> tuple[GraderRequest, ...]:
        """What models have to be asked before `score_input`; mostly nothing."""
        return ()

    def score_input(self, scoring_input: ScoringInput) -> Score:
        """Score by all there is."""
        return self.score(scoring_input.text, scoring_input.case)

    def label_key(self, text: str) -> str | None:
        """The form in which an answer, or what was extracted of it, is compared with the expected label: equal for what
        counts as the same label. None for a scorer that compares no labels: its answers have no confusion matrix."""
        return None

    def summarize(self, samples: Sequence[ScoredSample]) -> dict[str, float]:
        """What can be said of a variant's answers as a whole and is no mean of their scores; mostly nothing.

        Names are relative to the scorer's. samples: only answers to which the score applies.
        """
        return {}

    def corpus_sums(self, samples: Sequence[ScoredSample]) -> dict[str, CorpusSums]:
        """Of what `summarize` says, the values that come from sums over the answers: those that can have intervals."""
        return {}

    def corpus_signature(self, samples: Sequence[ScoredSample]) -> str:
        """The signature that these answers and references give; mostly nothing."""
        return ""

    def bound(self, samples: Sequence[ScoredSample]) -> dict[str, tuple[float, float]]:
        """95% intervals of what `summarize` says, as far as these answers have any."""
        found = {key: bound_corpus_sums(sums, samples) for key, sums in self.corpus_sums(samples).items()}
        return {key: (bounds.interval.low, bounds.interval.high) for key, bounds in found.items() if not bounds.unknown}


class ReferenceScorer(Scorer, frozen=True, kw_only=True):
    """A scorer that compares the answer with the expected one; where several are right, the best comparison counts."""

    def compare(self, text: str, expected: str) -> Score:
        raise NotImplementedError

    def score(self, text: str, case: Case) -> Score:
        references = list_references(case)
        if not references:
            return no_reference(self.name, text, case)
        best = self.compare(text, references[0])
        for other in references[1:]:
            score = self.compare(text, other)
            gain = score.value - best.value
            if score.applies and (not best.applies or (gain < 0 if self.lower_is_better else gain > 0)):
                best = score
        return best


def list_references(case: Case) -> tuple[str, ...]:
    """The right answers of a case that are not blank."""
    answers = () if case.expected is None else (case.expected, *case.also)
    return tuple(answer for answer in answers if not is_blank(answer))


def bound_corpus_sums(sums: CorpusSums, samples: Sequence[ScoredSample]) -> Bounds:
    """The interval of a value of the whole dataset; the repeats of a case are one draw."""
    from workbench.statistics.jackknife import jackknife_interval

    return jackknife_interval(sums.rows, [one.case for one in samples], sums.value, sums.ends)


def quote(text: str) -> str:
    """A text as an explanation shows it: in quotes, long ones by their beginning."""
    return repr(truncate(text, _MAX_QUOTE_CHARS))


def truncate(text: str, longest: int = 300) -> str:
    """The beginning of a text: a score does not store a long answer again."""
    return text if len(text) <= longest else text[: longest - 1] + "…"


def no_reference(scorer: str, text: str, case: Case) -> Score:
    """The score of a case without an expected answer, or with an empty one: nothing to compare with."""
    lacking = "This case has no expected answer." if case.expected is None else "This case's expected answer is empty."
    return Score(scorer, 0.0, truncate(text.strip()), lacking, applies=False)
