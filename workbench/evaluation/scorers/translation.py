"""BLEU and chrF: how much of the expected text's wording the answer has, as sacrebleu counts.

Knows nothing of meaning. A case has its sentence value; the dataset has the corpus value, which is no mean of
them, with sacrebleu's signature.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache
from typing import TYPE_CHECKING, Annotated, Any, ClassVar, Literal

import msgspec

from workbench.evaluation.datasets import Case
from workbench.evaluation.scorers.normalization import clean, is_blank
from workbench.evaluation.scorers.scorer import Judged, Judging, Score, Sums, Traits, begin, list_references, no_answer
from workbench.evaluation.scorers.tokens import is_chinese, is_unspaced

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

Tokenizer = Literal["auto", "13a", "intl", "char", "none", "zh"]

_BETWEEN_SPACES = ("13a", "intl", "none")


class Bleu(Judging, frozen=True, kw_only=True):
    """BLEU of the answer against the expected one, 0 to 100 (sacrebleu); the dataset gets the corpus BLEU

    tokenize: sacrebleu's tokenizer; `auto` is 13a, but zh for Chinese and char for other texts without spaces between
        words. lowercase: case aside.
    """

    traits: ClassVar[Traits] = Traits(heavy=True, scale="percent")
    name: str = "bleu"
    tokenize: Tokenizer = "auto"
    lowercase: bool = False

    @property
    def signature(self) -> str:
        return _sign(self._metric(()))

    def score(self, text: str, case: Case) -> Score:
        references = list_references(case)
        if not references:
            return no_answer(self.name, text, case)
        metric = self._metric(references, effective_order=True)
        found = metric.sentence_score(_see(text), [_see(each) for each in references])
        precisions = "/".join(f"{each:.0f}" for each in found.precisions)
        explanation = f"Precisions of 1 to 4 words {precisions}, brevity penalty {found.bp:.2f}."
        if self.tokenize in _BETWEEN_SPACES and any(map(is_unspaced, references)):
            explanation += f" The tokenizer {self.tokenize} takes text without spaces as one word; char and zh do not."
        return Score(self.name, _limit(found.score), begin(text.strip()), explanation)

    def summarize(self, judged: Sequence[Judged]) -> dict[str, float]:
        return _compute_corpus(self._fit(judged), judged)

    def sums(self, judged: Sequence[Judged]) -> dict[str, Sums]:
        return _sum_corpus(self._fit(judged), judged)

    def sign(self, judged: Sequence[Judged]) -> str:
        return _sign(self._fit(judged), judged)

    def _fit(self, judged: Sequence[Judged]) -> Any:
        return self._metric([reference for one in judged for reference in _see_references(one)])

    def _metric(self, references: Sequence[str], effective_order: bool = False) -> Any:
        tokenizer = _choose_tokenizer(references) if self.tokenize == "auto" else self.tokenize
        return _make_bleu(tokenizer, self.lowercase, effective_order)


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

    def sums(self, judged: Sequence[Judged]) -> dict[str, Sums]:
        return _sum_corpus(self._metric(), judged)

    def sign(self, judged: Sequence[Judged]) -> str:
        return _sign(self._metric(), judged)

    def _metric(self) -> Any:
        return _make_chrf(self.word_order, self.lowercase)


def _choose_tokenizer(references: Sequence[str]) -> Tokenizer:
    """The one that finds words in these texts; 13a, sacrebleu's usual one, wherever there are spaces between them."""
    if not any(map(is_unspaced, references)):
        return "13a"
    return "zh" if all(map(is_chinese, references)) else "char"


@cache
def _make_bleu(tokenize: str, lowercase: bool, effective_order: bool) -> Any:
    from sacrebleu.metrics import BLEU

    return BLEU(tokenize=tokenize, lowercase=lowercase, effective_order=effective_order)


@cache
def _make_chrf(word_order: int, lowercase: bool) -> Any:
    from sacrebleu.metrics import CHRF

    return CHRF(word_order=word_order, lowercase=lowercase)


def _compute_corpus(metric: Any, judged: Sequence[Judged]) -> dict[str, float]:
    texts, references = _lay_out(judged)
    return {"corpus": _limit(metric.corpus_score(texts, references).score)} if texts else {}


def _sum_corpus(metric: Any, judged: Sequence[Judged]) -> dict[str, Sums]:
    """Matches and lengths of each answer against all its references, as sacrebleu adds them up for the corpus."""
    import numpy as np

    texts, references = _lay_out(judged)
    if len(texts) < len(judged) or not texts:
        return {}
    rows = np.array(metric._extract_corpus_statistics(texts, references), dtype=np.float64)

    def value(sums: NDArray[np.float64]) -> float:
        return _limit(metric._compute_score_from_stats([int(count) for count in sums]).score)

    return {"corpus": Sums(rows, value, (0.0, 100.0))}


def _lay_out(judged: Sequence[Judged]) -> tuple[list[str], list[list[str | None]]]:
    """The answers, and the references as sacrebleu takes them: the first of each answer, the second, and so on."""
    rows = [(_see(one.text), references) for one in judged if (references := _see_references(one))]
    most = max((len(references) for _, references in rows), default=0)
    streams = [[references[at] if at < len(references) else None for _, references in rows] for at in range(most)]
    return [text for text, _ in rows], streams


def _see(text: str) -> str:
    """A text as the metric sees it: sacrebleu's tokenizers tell full-width punctuation from ASCII."""
    return clean(text, signs=False)


def _see_references(one: Judged) -> list[str]:
    answers = () if one.expected is None else (one.expected, *one.also)
    return [_see(answer) for answer in answers if not is_blank(answer)]


def _sign(metric: Any, judged: Sequence[Judged] = ()) -> str:
    """Sacrebleu's signature, which names the number of references once a corpus has shown it."""
    texts, references = _lay_out(judged)
    metric.corpus_score(texts or ["a"], references or [["a"]])
    return str(metric.get_signature())


def _limit(value: float) -> float:
    return min(float(value), 100.0)  # logarithms make a perfect one 100.00000000000004
