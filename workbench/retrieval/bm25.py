"""The keyword index: BM25 by bm25s over our own tokens (tokens.py)."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from workbench.retrieval.ranking import Hit, rank
from workbench.retrieval.tokens import tokenize

OnStep = Callable[[int, int], object]
"""told how many of how many are done; it may raise to end the work"""

_STEP = 2000


class KeywordIndex:
    """See the module."""

    def __init__(self, model: Any, count: int) -> None:
        """model: a bm25s.BM25; None where no chunk has a token."""
        self._model, self._count = model, count

    @classmethod
    def build(cls, texts: Sequence[str], on_step: OnStep = lambda done, total: None) -> KeywordIndex:
        """An index of these texts, which are known by their places in the list."""
        vocabulary: dict[str, int] = {}
        ids: list[list[int]] = []
        for number, text in enumerate(texts):
            if number % _STEP == 0:
                on_step(number, len(texts))
            ids.append([vocabulary.setdefault(token, len(vocabulary)) for token in tokenize(text, document=True)])
        if not vocabulary:
            return cls(None, len(texts))
        import bm25s
        from bm25s.tokenization import Tokenized

        model = bm25s.BM25(k1=1.5, b=0.75, method="lucene")
        model.index(Tokenized(ids, vocabulary), create_empty_token=False, show_progress=False)
        on_step(len(texts), len(texts))
        return cls(model, len(texts))

    def search(self, query: str, k: int) -> list[Hit]:
        """The k best, the best first; fewer where fewer have a token of the query. Equal scores keep their order."""
        if self._model is None or k < 1:
            return []
        known = self._model.vocab_dict
        tokens = [known[token] for token in tokenize(query) if token in known]
        return rank(self._model.get_scores_from_ids(tokens), k) if tokens else []

    def save(self, folder: Path) -> None:
        if self._model is not None:
            self._model.save(folder, show_progress=False)

    @classmethod
    def load(cls, folder: Path, count: int) -> KeywordIndex:
        """Raises OSError or ValueError where it cannot be read."""
        if not (folder / "params.index.json").exists():
            return cls(None, count)
        import bm25s

        return cls(bm25s.BM25.load(folder, mmap=True, verbosity=0), count)
