"""BLEU and chrF: how much of the expected text's wording the answer has, as sacrebleu counts.

Knows nothing of meaning. A case has its sentence value; the dataset has the corpus value, which is no mean of
them, with sacrebleu's signature.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from functools import cache
from typing import Annotated, Any, ClassVar, Literal

import msgspec

from workbench.evaluation.datasets import Case
from workbench.evaluation.scorers.normalization import clean, is_blank
from workbench.evaluation.scorers.scorer import Judged, Judging, Score, Traits, begin, list_references, no_answer
from workbench.evaluation.scorers.tokens import is_unspaced

Tokenizer = Literal["13a", "intl", "char", "none", "zh"]

_BETWEEN_SPACES = ("13a", "intl", "none")
_RESAMPLES = 300
_MOST_DRAWN = 1_000  # cases: what is drawn from them is held at once


class Bleu(Judging, frozen=True, kw_only=True):
    """BLEU of the answer against the expected one, 0 to 100 (sacrebleu); the dataset gets the corpus BLEU

    tokenize: sacrebleu's tokenizer; `zh` or `char` for text without spaces between words. lowercase: case aside.
    """

    traits: ClassVar[Traits] = Traits(heavy=True, scale="percent")
    name: str = "bleu"
    tokenize: Tokenizer = "13a"
    lowercase: bool = False

    @property
    def signature(self) -> str:
        return _sign(self._metric())

    def score(self, text: str, case: Case) -> Score:
        references = list_references(case)
        if not references:
            return no_answer(self.name, text, case)
        found = self._metric(effective_order=True).sentence_score(_see(text), [_see(each) for each in references])
        precisions = "/".join(f"{each:.0f}" for each in found.precisions)
        explanation = f"Precisions of 1 to 4 words {precisions}, brevity penalty {found.bp:.2f}."
        if self.tokenize in _BETWEEN_SPACES and any(map(is_unspaced, references)):
            explanation += f" The tokenizer {self.tokenize} takes text without spaces as one word; char and zh do not."
        return Score(self.name, _limit(found.score), begin(text.strip()), explanation)

    def summarize(self, judged: Sequence[Judged]) -> dict[str, float]:
        return _compute_corpus(self._metric(), judged)

    def bound(self, judged: Sequence[Judged]) -> dict[str, tuple[float, float]]:
        return _bound_corpus(self._metric(), judged)

    def _metric(self, effective_order: bool = False) -> Any:
        return _make_bleu(self.tokenize, self.lowercase, effective_order)


class ChrF(Judging, frozen=True, kw_only=True):
    """chrF of the answer against the expected one, 0 to 100 (sacrebleu); the dataset gets the corpus chrF

    word_order: 2 is chrF++. lowercase: case aside.
    """

    traits: ClassVar[Traits] = Traits(heavy=True, scale="percent")
    name: str = "chrf"
    word_order: Annotated[int, msgspec.Meta(ge=0, le=9)] = 0
    lowercase: bool = False

    @property
    def signature(self) -> str:
        return _sign(self._metric())

    def score(self, text: str, case: Case) -> Score:
        references = list_references(case)
        if not references:
            return no_answer(self.name, text, case)
        found = self._metric().sentence_score(_see(text), [_see(each) for each in references])
        words = f", {found.word_order} words" if found.word_order else ""
        explanation = f"chrF{found.beta} over {found.char_order} characters{words}."
        return Score(self.name, _limit(found.score), begin(text.strip()), explanation)

    def summarize(self, judged: Sequence[Judged]) -> dict[str, float]:
        return _compute_corpus(self._metric(), judged)

    def bound(self, judged: Sequence[Judged]) -> dict[str, tuple[float, float]]:
        return _bound_corpus(self._metric(), judged)

    def _metric(self) -> Any:
        return _make_chrf(self.word_order, self.lowercase)


@cache
def _make_bleu(tokenize: str, lowercase: bool, effective_order: bool) -> Any:
    from sacrebleu.metrics import BLEU

    return BLEU(tokenize=tokenize, lowercase=lowercase, effective_order=effective_order)


@cache
def _make_chrf(word_order: int, lowercase: bool) -> Any:
    from sacrebleu.metrics import CHRF

    return CHRF(word_order=word_order, lowercase=lowercase)


def _compute_corpus(metric: Any, judged: Sequence[Judged]) -> dict[str, float]:
    rows = [(_see(one.text), references) for one in judged if (references := _see_references(one))]
    if not rows:
        return {}
    most = max(len(references) for _, references in rows)
    streams = [[references[at] if at < len(references) else None for _, references in rows] for at in range(most)]
    return {"corpus": _limit(metric.corpus_score([text for text, _ in rows], streams).score)}


def _bound_corpus(metric: Any, judged: Sequence[Judged]) -> dict[str, tuple[float, float]]:
    """Sacrebleu's own bootstrap; nothing where it would take seconds."""
    pairs = [(one.text, one.expected) for one in judged if one.expected is not None]
    if not 2 <= len(pairs) <= _MOST_DRAWN:
        return {}
    references = [[expected for _, expected in pairs]]
    found = metric.corpus_score([text for text, _ in pairs], references, n_bootstrap=_RESAMPLES)
    told = json.loads(found.format(width=4, signature=str(metric.get_signature()), is_json=True))
    if "confidence_mean" not in told:
        return {}
    middle, half = told["confidence_mean"], told["confidence_var"]
    return {"corpus": (max(0.0, middle - half), _limit(middle + half))}


def _see(text: str) -> str:
    """A text as the metric sees it: sacrebleu's tokenizers tell full-width punctuation from ASCII."""
    return clean(text, signs=False)


def _see_references(one: Judged) -> list[str]:
    answers = () if one.expected is None else (one.expected, *one.also)
    return [_see(answer) for answer in answers if not is_blank(answer)]


def _sign(metric: Any) -> str:
    metric.corpus_score(["a"], [["a"]])  # the signature names what a computation has shown, such as its references
    return str(metric.get_signature())


def _limit(value: float) -> float:
    return min(float(value), 100.0)  # logarithms make a perfect one 100.00000000000004
