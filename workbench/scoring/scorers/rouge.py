"""ROUGE, by rouge-score: shared words, pairs of words, or the longest common subsequence."""

from __future__ import annotations

from functools import cache
from typing import Annotated, Any, ClassVar, Literal

from workbench.scoring.registry import option, register
from workbench.scoring.scorer import ReferenceScorer, Score, ScorerSpec, quote, truncate
from workbench.scoring.text.normalization import clean
from workbench.scoring.text.words import has_other_script, split_words


class _Rouge(ReferenceScorer, frozen=True, kw_only=True):
    spec: ClassVar[ScorerSpec] = ScorerSpec(heavy=True)
    kind: ClassVar[str]
    name: str
    measure: Annotated[Literal["fmeasure", "precision", "recall"], option("Which value counts")] = "fmeasure"
    stemmer: Annotated[bool, option("Compare English words by their stem")] = False

    def compare(self, text: str, expected: str) -> Score:
        pair = clean(expected), clean(text)
        any_script = any(map(has_other_script, pair)) or not all(map(_split_latin, pair))
        if any_script and not split_words(pair[0]):
            explanation = f"The expected answer {quote(expected)} has no words."
            return Score(self.name, 0.0, truncate(text.strip()), explanation, applies=False)
        found = _make(self.kind, self.stemmer, any_script).score(*pair)[self.kind]
        explanation = f"Precision {found.precision:.2f}, recall {found.recall:.2f}, F {found.fmeasure:.2f}."
        return Score(self.name, float(getattr(found, self.measure)), truncate(text.strip()), explanation)


@register(
    "rouge1",
    group="overlap",
    help="ROUGE-1 against the expected answer: shared words (rouge-score)",
    notes=(
        "rouge-score only knows the letters a to z; text in other scripts is counted by its own words, or by"
        " characters where it has no spaces."
    ),
    example="rouge1: {measure: recall}",
)
class Rouge1(_Rouge, frozen=True, kw_only=True):
    kind: ClassVar[str] = "rouge1"
    name: str = "rouge1"


@register(
    "rouge2",
    group="overlap",
    help="ROUGE-2 against the expected answer: shared word pairs (rouge-score)",
    notes="See rouge1 for scripts other than Latin.",
    example="rouge2",
)
class Rouge2(_Rouge, frozen=True, kw_only=True):
    kind: ClassVar[str] = "rouge2"
    name: str = "rouge2"


@register(
    "rougeL",
    group="overlap",
    help="ROUGE-L against the expected answer: longest common subsequence of words (rouge-score)",
    notes="See rouge1 for scripts other than Latin.",
    example="rougeL: {stemmer: true}",
)
class RougeL(_Rouge, frozen=True, kw_only=True):
    kind: ClassVar[str] = "rougeL"
    name: str = "rougeL"


@cache
def _make(kind: str, stemmer: bool, any_script: bool) -> Any:
    from rouge_score.rouge_scorer import RougeScorer
    from rouge_score.tokenizers import DefaultTokenizer, Tokenizer

    class AnyScript(Tokenizer):  # type: ignore[misc]  # rouge-score has no types
        def tokenize(self, text: str) -> list[str]:
            words = split_words(text)
            return [_stem(word) for word in words] if stemmer else words

    def _stem(word: str) -> str:
        return "".join(latin.tokenize(word)) if word.isascii() else word

    latin = DefaultTokenizer(stemmer)
    return RougeScorer([kind], tokenizer=AnyScript() if any_script else latin)


def _split_latin(text: str) -> Any:
    """rouge-score's own words of a text."""
    from rouge_score.tokenizers import DefaultTokenizer

    return DefaultTokenizer(False).tokenize(text)
