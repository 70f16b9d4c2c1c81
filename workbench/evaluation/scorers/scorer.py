"""Score and Scorer: what a judged answer is, and what every judge of answers can do.

Knows nothing of which scorers there are (see registry.py).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, ClassVar, Literal, NamedTuple, Protocol, Self

import msgspec

from workbench.engines.engine import Completion
from workbench.evaluation.datasets import Case
from workbench.evaluation.permissions import NOTHING, Permissions
from workbench.evaluation.scorers.normalization import is_blank
from workbench.evaluation.scorers.question import Question, Reply

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from workbench.evaluation.statistics.interval import Bounds

_LONGEST_QUOTE = 120

Unscored = Literal["", "error", "lost"]
"""error: the scorer failed on this answer. lost: its process ended, which another time it may not."""

Scale = Literal["unit", "percent", "free"]
"""unit: 0 to 1. percent: 0 to 100, as sacrebleu counts. free: any number."""


class Score(msgspec.Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True):
    """One judgement of one answer.

    value: on the scorer's scale, 0 to 1 for most; `scale` says which where a score stands alone.
    extracted: the part of the answer that was judged, of a long one its beginning.
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


class Evidence(msgspec.Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True):
    """All there is to judge an answer by.

    replies: to the scorer's own questions, in their order. completion: how the answer came about.
    cost: money, None where no price is known. cached: not computed anew, so that its times say nothing.
    """

    text: str
    case: Case
    replies: tuple[Reply, ...] = ()
    completion: Completion | None = None
    cost: float | None = None
    cached: bool = False


class Judged(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """An answer with what was expected and what it got, for values of a whole dataset. case: its number; repeats
    share it."""

    text: str
    expected: str | None
    score: Score
    also: tuple[str, ...] = ()
    case: int = 0


class Sums(NamedTuple):
    """How a value of the whole dataset comes from sums over its answers.

    rows: what each answer adds, shape (answers, sums). value: from the sums. ends: the least and the most it can be.
    """

    rows: NDArray[np.float64]
    value: Callable[[NDArray[np.float64]], float]
    ends: tuple[float, float]


class Scorer(Protocol):
    """Judges answers; never raises for any text. `Judging` gives all but `name` and `score`.

    heavy: its library takes long to import, or it runs a person's code: only the scoring process calls it.
    binary: each value is 0 or 1. needs_answer: False for one that never looks at the text.
    time_limit_seconds: how long one answer may take in the scoring process. permissions: what that process may use.
    """

    @property
    def name(self) -> str: ...
    @property
    def heavy(self) -> bool: ...
    @property
    def binary(self) -> bool: ...
    @property
    def lower_is_better(self) -> bool: ...
    @property
    def scale(self) -> Scale: ...
    @property
    def needs_answer(self) -> bool: ...
    @property
    def time_limit_seconds(self) -> float: ...
    @property
    def permissions(self) -> Permissions: ...

    def score(self, text: str, case: Case) -> Score:
        """Judge by text and case alone; a scorer that needs more says so in a score that does not apply."""
        ...

    def questions(self, text: str, case: Case) -> tuple[Question, ...]:
        """What models have to be asked before `judge`; mostly nothing."""
        ...

    def judge(self, evidence: Evidence) -> Score:
        """Judge by all there is."""
        ...

    def summarize(self, judged: Sequence[Judged]) -> dict[str, float]:
        """What can be said of a variant's answers as a whole and is no mean of their scores; mostly nothing.

        Names are relative to the scorer's. judged: only answers to which the score applies.
        """
        ...

    def label_key(self, text: str) -> str | None:
        """The form in which an answer, or what was extracted of it, is held against the expected label: equal for what
        counts as the same label. None for a scorer that compares no labels: its answers have no confusion matrix."""
        ...

    def sums(self, judged: Sequence[Judged]) -> dict[str, Sums]:
        """Of what `summarize` says, the values that come from sums over the answers: those that can have intervals."""
        ...

    def sign(self, judged: Sequence[Judged]) -> str:
        """The signature that these answers and references give; mostly nothing."""
        ...

    def locate(self, folder: Path) -> Self:
        """The scorer with the files it names found, from the bench's folder first. Raises ScorerError."""
        ...

    @property
    def signature(self) -> str:
        """The settings that make a value comparable with others', as the field writes them; mostly nothing."""
        ...


class Traits(NamedTuple):
    """What a kind of scorer says of itself; see Scorer."""

    heavy: bool = False
    binary: bool = False
    lower_is_better: bool = False
    scale: Scale = "unit"
    needs_answer: bool = True


class Judging(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """A scorer that judges in the usual way: 0 to 1, more is better, by the text alone, at once.

    A kind of scorer says in `traits` what is different about it, and gives `score`, or `judge` where the text
    alone does not do.
    """

    traits: ClassVar[Traits] = Traits()

    @property
    def heavy(self) -> bool:
        return self.traits.heavy

    @property
    def binary(self) -> bool:
        return self.traits.binary

    @property
    def lower_is_better(self) -> bool:
        return self.traits.lower_is_better

    @property
    def scale(self) -> Scale:
        return self.traits.scale

    @property
    def needs_answer(self) -> bool:
        return self.traits.needs_answer

    @property
    def time_limit_seconds(self) -> float:
        return 60.0

    @property
    def permissions(self) -> Permissions:
        return NOTHING

    @property
    def signature(self) -> str:
        return ""

    def locate(self, folder: Path) -> Self:
        return self

    def score(self, text: str, case: Case) -> Score:
        return self.judge(Evidence(text, case))

    def questions(self, text: str, case: Case) -> tuple[Question, ...]:
        return ()

    def judge(self, evidence: Evidence) -> Score:
        return self.score(evidence.text, evidence.case)

    def label_key(self, text: str) -> str | None:
        return None

    def summarize(self, judged: Sequence[Judged]) -> dict[str, float]:
        return {}

    def sums(self, judged: Sequence[Judged]) -> dict[str, Sums]:
        return {}

    def sign(self, judged: Sequence[Judged]) -> str:
        return ""

    def bound(self, judged: Sequence[Judged]) -> dict[str, tuple[float, float]]:
        """95% intervals of what `summarize` says, as far as these answers have any."""
        found = {key: bound_sums(sums, judged) for key, sums in self.sums(judged).items()}
        return {key: (bounds.interval.low, bounds.interval.high) for key, bounds in found.items() if not bounds.unknown}


class Comparing(Judging, frozen=True, kw_only=True):
    """A scorer that compares the answer with the expected one; where several are right, the best comparison counts."""

    name: str

    def compare(self, text: str, expected: str) -> Score:
        raise NotImplementedError

    def score(self, text: str, case: Case) -> Score:
        references = list_references(case)
        if not references:
            return no_answer(self.name, text, case)
        best = self.compare(text, references[0])
        for other in references[1:]:
            score = self.compare(text, other)
            gain = score.value - best.value
            if score.applies and (not best.applies or (gain < 0 if self.lower_is_better else gain > 0)):
                best = score
        return best


def list_references(case: Case) -> tuple[str, ...]:
    """The right answers of a case that say something."""
    answers = () if case.expected is None else (case.expected, *case.also)
    return tuple(answer for answer in answers if not is_blank(answer))


def bound_sums(sums: Sums, judged: Sequence[Judged]) -> Bounds:
    """The interval of a value of the whole dataset; the repeats of a case are one draw."""
    from workbench.evaluation.statistics.corpus import corpus_interval

    return corpus_interval(sums.rows, [one.case for one in judged], sums.value, sums.ends)


def quote(text: str) -> str:
    """A text as an explanation shows it: in quotes, long ones by their beginning."""
    return repr(begin(text, _LONGEST_QUOTE))


def begin(text: str, longest: int = 300) -> str:
    """The beginning of a text: a score need not keep a long answer once more."""
    return text if len(text) <= longest else text[: longest - 1] + "…"


def no_answer(scorer: str, text: str, case: Case) -> Score:
    """The score of a case without an expected answer, or with an empty one: nothing to compare with."""
    lacking = "This case has no expected answer." if case.expected is None else "This case's expected answer is empty."
    return Score(scorer, 0.0, begin(text.strip()), lacking, applies=False)
