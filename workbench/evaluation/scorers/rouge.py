"""ROUGE: how much of the expected text's words, pairs of words or order the answer has, as rouge-score counts.

Knows nothing of meaning, nor of what a word is (see tokens.py).
"""

from __future__ import annotations

from functools import cache
from typing import Any, ClassVar, Literal

from workbench.evaluation.scorers.normalization import clean
from workbench.evaluation.scorers.scorer import Comparing, Score, Traits, begin, quote
from workbench.evaluation.scorers.tokens import has_other_script, split_words


class _Rouge(Comparing, frozen=True, kw_only=True):
    traits: ClassVar[Traits] = Traits(heavy=True)
    kind: ClassVar[str]
    name: str
    measure: Literal["fmeasure", "precision", "recall"] = "fmeasure"
    stemmer: bool = False

    def compare(self, text: str, expected: str) -> Score:
        pair = clean(expected), clean(text)
        any_script = any(map(has_other_script, pair)) or not all(map(_split_latin, pair))
        if any_script and not split_words(pair[0]):
            explanation = f"The expected answer {quote(expected)} has no words."
            return Score(self.name, 0.0, begin(text.strip()), explanation, applies=False)
        found = _make(self.kind, self.stemmer, any_script).score(*pair)[self.kind]
        explanation = f"Precision {found.precision:.2f}, recall {found.recall:.2f}, F {found.fmeasure:.2f}."
        return Score(self.name, float(getattr(found, self.measure)), begin(text.strip()), explanation)


class Rouge1(_Rouge, frozen=True, kw_only=True):
    """ROUGE-1 of the answer against the expected one: the words they share (rouge-score)

    rouge-score knows only the letters a to z; texts in other scripts are counted by their own words, or by characters
    where they write no spaces.

    measure: fmeasure, precision or recall. stemmer: English words by their stem.
    """

    kind: ClassVar[str] = "rouge1"
    name: str = "rouge1"


class Rouge2(_Rouge, frozen=True, kw_only=True):
    """ROUGE-2 of the answer against the expected one: the pairs of words they share (rouge-score)

    rouge-score knows only the letters a to z; texts in other scripts are counted by their own words, or by characters
    where they write no spaces.

    measure: fmeasure, precision or recall. stemmer: English words by their stem.
    """

    kind: ClassVar[str] = "rouge2"
    name: str = "rouge2"


class RougeL(_Rouge, frozen=True, kw_only=True):
    """ROUGE-L of the answer against the expected one: the longest run of words in common order (rouge-score)

    rouge-score knows only the letters a to z; texts in other scripts are counted by their own words, or by characters
    where they write no spaces.

    measure: fmeasure, precision or recall. stemmer: English words by their stem.
    """

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
