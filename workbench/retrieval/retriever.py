"""Retriever: the passages of one corpus that answer a query, by words, by embeddings or by both."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

import msgspec

from workbench.errors import DatasetError
from workbench.retrieval.bm25 import KeywordIndex
from workbench.retrieval.corpus import Corpus
from workbench.retrieval.dense import DenseIndex
from workbench.retrieval.passage import Passage, Reference, read_reference
from workbench.retrieval.ranking import Hit, fuse
from workbench.retrieval.spec import Retrieve

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

_FUSED = 100
"""how far down each ranking goes into a fused one, at least"""


_NAMED = 5
"""passages of a document in a message"""


class Retriever:
    """keyword, dense: make or open the index when it is first needed. embed_query: the query's vector."""

    def __init__(
        self,
        corpus: Corpus,
        keyword: Callable[[], KeywordIndex],
        dense: Callable[[], DenseIndex],
        embed_query: Callable[[str], NDArray[np.float32]],
    ) -> None:
        self.corpus = corpus
        self._keyword, self._dense, self._embed_query = keyword, dense, embed_query
        self._by_id = {passage.id: index for index, passage in enumerate(corpus.passages)}

    def find(self, retrieve: Retrieve, query: str, relevant: Sequence[Reference]) -> tuple[Passage, ...]:
        """What is sent: pinned passages first, then the best of the others, none of those that are dropped.

        Raises DatasetError where a pinned or a relevant passage is not in the corpus.
        """
        pinned = [self._pin(name) for name in retrieve.pin]
        left_out = {*retrieve.pin, *retrieve.drop}
        if retrieve.by == "none":
            return tuple(pinned)
        if retrieve.by == "oracle":
            return (*pinned, *(one for one in self._find_relevant(relevant) if one.id not in left_out))
        ranked = self.search(retrieve, query, retrieve.k + len(left_out))
        others = [one for one in ranked if one.id not in left_out]
        return (*pinned, *others[: max(retrieve.k - len(pinned), 0)])

    def search(self, retrieve: Retrieve, query: str, count: int) -> list[Passage]:
        """The best passages with their scores, the best first."""
        hits = self._rank(retrieve, query, count) if query.strip() else []
        return [msgspec.structs.replace(self.corpus.passages[hit.chunk], score=hit.score) for hit in hits]

    def search_words(self, query: str, count: int) -> list[Passage]:
        """The best passages by words alone."""
        return self.search(Retrieve("bm25"), query, count)

    def _rank(self, retrieve: Retrieve, query: str, count: int) -> list[Hit]:
        if retrieve.by == "bm25":
            return self._keyword().search(query, count)
        if retrieve.by == "dense":
            return self._dense().search(self._embed_query(query), count)
        depth = max(count, _FUSED)
        both = self._keyword().search(query, depth), self._dense().search(self._embed_query(query), depth)
        return fuse(both, count)

    def _pin(self, name: str) -> Passage:
        if name not in self._by_id:
            document = read_reference(name).document
            near = [one for one in self._by_id if read_reference(one).document == document][:_NAMED]
            more = " and more" if len(near) == _NAMED else ""
            has = f"{document} is cut into {', '.join(near)}{more}" if near else f"There is no document {document}"
            raise DatasetError(
                f"The pinned passage {name} is not in the corpus. {has}.",
                "Its document was changed, or is cut otherwise now; remove it from `pin`.",
            )
        return msgspec.structs.replace(self.corpus.passages[self._by_id[name]], pinned=True)

    def _find_relevant(self, relevant: Sequence[Reference]) -> list[Passage]:
        try:
            return self.corpus.find(tuple(relevant))
        except KeyError as error:
            raise unknown_document(str(error.args[0])) from error


def unknown_document(name: str) -> DatasetError:
    """A case names a document that the corpus does not have."""
    return DatasetError(
        f"The case says that {name} is relevant, and the corpus has no document of that name.",
        "Documents are named by their path within the corpus, or by the `id` of a JSON line.",
    )
