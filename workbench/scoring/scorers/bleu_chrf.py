"""BLEU and chrF, by sacrebleu.

A case has its sentence value; the dataset has the corpus value, which is no mean of them, with sacrebleu's signature.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache
from typing import TYPE_CHECKING, Annotated, Any, ClassVar, Literal

from workbench.datasets import Case
from workbench.scoring.registry import option, register
from workbench.scoring.scorer import (
    CorpusSums,
    Score,
    ScoredSample,
    Scorer,
    ScorerSpec,
    list_references,
    no_reference,
    truncate,
)
from workbench.scoring.text.normalization import clean, is_blank
from workbench.scoring.text.words import is_chinese, is_unspaced

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

Tokenizer = Literal["auto", "13a", "intl", "char", "none", "zh"]

_BETWEEN_SPACES = ("13a", "intl", "none")


@register(
    "bleu",
    group="overlap",
    help="BLEU against the expected answer, 0 to 100 (sacrebleu); the dataset gets corpus BLEU",
    example="bleu: {lowercase: true}",
)
class Bleu(Scorer, frozen=True, kw_only=True):
    spec: ClassVar[ScorerSpec] = ScorerSpec(heavy=True, scale="percent")
    name: str = "bleu"
    tokenize: Annotated[
        Tokenizer,
        option("sacrebleu's tokenizer; `auto` is 13a, but zh for Chinese and char for other scripts without spaces"),
    ] = "auto"
    lowercase: Annotated[bool, option("Ignore case")] = False

    @property
    def signature(self) -> str:
        return _signature(self._metric(()))

    def score(self, text: str, case: Case) -> Score:
        references = list_references(case)
        if not references:
            return no_reference(self.name, text, case)
        metric = self._metric(references, effective_order=True)
        found = metric.sentence_score(_prepare(text), [_prepare(each) for each in references])
        precisions = "/".join(f"{each:.0f}" for each in found.precisions)
        explanation = f"Precisions of 1 to 4 words {precisions}, brevity penalty {found.bp:.2f}."
        if self.tokenize in _BETWEEN_SPACES and any(map(is_unspaced, references)):
            explanation += f" The tokenizer {self.tokenize} takes text without spaces as one word; char and zh do not."
        return Score(self.name, _cap(found.score), truncate(text.strip()), explanation)

    def summarize(self, samples: Sequence[ScoredSample]) -> dict[str, float]:
        return _compute_corpus(self._fit(samples), samples)

    def corpus_sums(self, samples: Sequence[ScoredSample]) -> dict[str, CorpusSums]:
        return _sum_corpus(self._fit(samples), samples)

    def corpus_signature(self, samples: Sequence[ScoredSample]) -> str:
        return _signature(self._fit(samples), samples)

    def _fit(self, samples: Sequence[ScoredSample]) -> Any:
        return self._metric([reference for one in samples for reference in _prepare_references(one)])

    def _metric(self, references: Sequence[str], effective_order: bool = False) -> Any:
        tokenizer = _choose_tokenizer(references) if self.tokenize == "auto" else self.tokenize
        return _make_bleu(tokenizer, self.lowercase, effective_order)


@register(
    "chrf",
    group="overlap",
    help="chrF against the expected answer, 0 to 100 (sacrebleu); the dataset gets corpus chrF",
    example="chrf: {word_order: 2}",
)
class ChrF(Scorer, frozen=True, kw_only=True):
    spec: ClassVar[ScorerSpec] = ScorerSpec(heavy=True, scale="percent")
    name: str = "chrf"
    word_order: Annotated[int, option("Word n-gram order; 2 is chrF++", ge=0, le=9)] = 0
    lowercase: Annotated[bool, option("Ignore case")] = False

    @property
    def signature(self) -> str:
        return _signature(self._metric())

    def score(self, text: str, case: Case) -> Score:
        references = list_references(case)
        if not references:
            return no_reference(self.name, text, case)
        found = self._metric().sentence_score(_prepare(text), [_prepare(each) for each in references])
        words = f", {found.word_order} words" if found.word_order else ""
        explanation = f"chrF{found.beta} over {found.char_order} characters{words}."
        return Score(self.name, _cap(found.score), truncate(text.strip()), explanation)

    def summarize(self, samples: Sequence[ScoredSample]) -> dict[str, float]:
        return _compute_corpus(self._metric(), samples)

    def corpus_sums(self, samples: Sequence[ScoredSample]) -> dict[str, CorpusSums]:
        return _sum_corpus(self._metric(), samples)

    def corpus_signature(self, samples: Sequence[ScoredSample]) -> str:
        return _signature(self._metric(), samples)

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


def _compute_corpus(metric: Any, samples: Sequence[ScoredSample]) -> dict[str, float]:
    texts, references = _to_streams(samples)
    return {"corpus": _cap(metric.corpus_score(texts, references).score)} if texts else {}


def _sum_corpus(metric: Any, samples: Sequence[ScoredSample]) -> dict[str, CorpusSums]:
    """Matches and lengths of each answer against all its references, as sacrebleu adds them up for the corpus."""
    import numpy as np

    texts, references = _to_streams(samples)
    if len(texts) < len(samples) or not texts:
        return {}
    # sacrebleu has no public way to its sums: two private methods, against which test_reference_values would fail
    rows = np.array(metric._extract_corpus_statistics(texts, references), dtype=np.float64)

    def value(sums: NDArray[np.float64]) -> float:
        return _cap(metric._compute_score_from_stats([int(count) for count in sums]).score)

    return {"corpus": CorpusSums(rows, value, (0.0, 100.0))}


def _to_streams(samples: Sequence[ScoredSample]) -> tuple[list[str], list[list[str | None]]]:
    """The answers, and the references as sacrebleu takes them: the first of each answer, the second, and so on."""
    rows = [(_prepare(one.text), references) for one in samples if (references := _prepare_references(one))]
    most = max((len(references) for _, references in rows), default=0)
    streams = [[references[at] if at < len(references) else None for _, references in rows] for at in range(most)]
    return [text for text, _ in rows], streams


def _prepare(text: str) -> str:
    """A text as the metric sees it: sacrebleu's tokenizers tell full-width punctuation from ASCII."""
    return clean(text, signs=False)


def _prepare_references(one: ScoredSample) -> list[str]:
    answers = () if one.expected is None else (one.expected, *one.also)
    return [_prepare(answer) for answer in answers if not is_blank(answer)]


def _signature(metric: Any, samples: Sequence[ScoredSample] = ()) -> str:
    """Sacrebleu's signature, which names the number of references once a corpus has shown it."""
    texts, references = _to_streams(samples)
    metric.corpus_score(texts or ["a"], references or [["a"]])
    return str(metric.get_signature())


def _cap(value: float) -> float:
    return min(float(value), 100.0)  # logarithms make a perfect one 100.00000000000004
