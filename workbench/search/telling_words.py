"""The words that tell a label's inputs from those of the others.

Log-odds with an informative Dirichlet prior, as z-scores (Monroe, Colaresi and Quinn 2008, "Fightin' Words"); a word
counts once for each input that has it.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Sequence

from workbench.datasets import Case
from workbench.scoring.text.words import split_words

_LEAST_Z = 2.58  # two-sided 1%: many words are looked at
_LEAST_INPUTS = 3
_LEAST_SHARE = 0.6
"""of the inputs with a word that are of its label: a word that is only somewhat more frequent there says little"""

_SHORTEST = 3
_PRIOR = 10.0
"""words that the prior is worth, shared among all in proportion to how common they are"""


def find_telling_words(cases: Sequence[Case], inputs: Sequence[str], most: int = 4) -> dict[str, tuple[str, ...]]:
    """Label -> the words that tell it, the most telling first; none for a label without any.

    inputs: the variables that are looked into. Words of a label's own name, and those shorter than three letters, are
    left out.
    """
    counts: dict[str, Counter[str]] = {}
    for case in cases:
        label = (case.expected or "").strip()
        if label:
            text = " ".join(case.variables.get(name, "") for name in inputs)
            counts.setdefault(label, Counter()).update({word for word in split_words(text) if _is_term(word)})
    return {label: tuple(_rank(label, counts)[:most]) for label in counts}


def _rank(label: str, counts: dict[str, Counter[str]]) -> list[str]:
    own = counts[label]
    rest: Counter[str] = Counter()
    for other, words in counts.items():
        if other != label:
            rest.update(words)
    total = own.total() + rest.total()
    own_total, rest_total = own.total() + _PRIOR, rest.total() + _PRIOR
    named = set(split_words(label))
    scored: list[tuple[float, str]] = []
    for word, count in own.items():
        share = count / (count + rest[word])
        if count < _LEAST_INPUTS or share < _LEAST_SHARE or word in named:
            continue
        prior = _PRIOR * (count + rest[word]) / total
        here, there = count + prior, rest[word] + prior
        odds = math.log(here / (own_total - here)) - math.log(there / (rest_total - there))
        z = odds / math.sqrt(1 / here + 1 / there)
        if z >= _LEAST_Z:
            scored.append((z, word))
    return [word for _, word in sorted(scored, key=lambda one: (-one[0], one[1]))]


def _is_term(word: str) -> bool:
    return not word.isdigit() and (len(word) >= _SHORTEST or not word.isascii())
