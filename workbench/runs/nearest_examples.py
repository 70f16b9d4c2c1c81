"""The few-shot examples that are most like a case, by the keyword index of retrieval; never the case itself."""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache

from workbench.datasets import Case
from workbench.prompting.prompt import Example
from workbench.retrieval.bm25 import KeywordIndex
from workbench.retrieval.tokens import tokenize


def choose_nearest(examples: Sequence[Example], case: Case, k: int) -> tuple[Example, ...]:
    """The k examples whose inputs are most like the case's, the most like it last: next to the question.

    An example that asks the same as the case is left out, whatever its id, letter case and punctuation. Where fewer
    share a word with the case, the first of the others fill up.
    """
    names = sorted(dict.fromkeys(name for example in examples for name in example.variables if name in case.variables))
    texts = tuple("\n".join(example.variables.get(name, "") for name in names) for example in examples)
    asked = "\n".join(case.variables[name] for name in names)
    words = tokenize(asked)
    ranked = [hit.chunk for hit in _index(texts).search(asked, len(texts))]
    order = [*ranked, *(index for index in range(len(texts)) if index not in set(ranked))]
    others = [index for index in order if tokenize(texts[index]) != words]
    return tuple(examples[index] for index in reversed(others[:k]))


@lru_cache(maxsize=8)
def _index(texts: tuple[str, ...]) -> KeywordIndex:
    return KeywordIndex.build(texts)
