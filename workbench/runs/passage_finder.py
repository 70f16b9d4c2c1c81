"""PassageFinder: what variants retrieve, from corpora and indexes that are opened once.

Every method may take as long as reading a corpus and building its index does: call them on a thread where someone looks
on. They may be called from any thread.
"""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import msgspec

from workbench import paths
from workbench.datasets import Case
from workbench.datasets.turns import has_turns, read_turns
from workbench.errors import DatasetError, StoreError, WorkbenchError
from workbench.inference.embedding.embedder import EmbedderPool
from workbench.retrieval.bm25 import KeywordIndex
from workbench.retrieval.corpus import Corpus, describe_corpus, load_corpus
from workbench.retrieval.dense import DenseIndex
from workbench.retrieval.documents import list_files
from workbench.retrieval.index_cache import IndexCache
from workbench.retrieval.passage import Passage
from workbench.retrieval.retriever import Retriever
from workbench.retrieval.tokens import tokenize
from workbench.runs.generation import GenerationSpec
from workbench.runs.passage_source import PassageSource, SeenPassage

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

MOST_LOOKED_FOR = 1000
"""cases whose question is looked for in the corpus"""

_LEAST_TOKENS = 6
"""of a question that is looked for: shorter ones stand in many a text by chance"""

_MOST_QUERIES = 4096
_CANDIDATES = 5


class IndexingCancelled(WorkbenchError):
    """The building of an index was given up."""


class IndexProgress(NamedTuple):
    """What is being done, and how far it is."""

    doing: str
    done: int
    total: int


class _CorpusKey(NamedTuple):
    path: Path
    chunk: int
    overlap: int


class _OpenCorpus(NamedTuple):
    """signature: of its files when it was read."""

    corpus: Corpus
    signature: object


class PassageFinder:
    """See the module. on_progress: called with how far slow work is, on the thread that does it. progress: that of the
    work that goes on now; None where there is none."""

    def __init__(
        self, cache: Path | None = None, on_progress: Callable[[IndexProgress], object] = lambda progress: None
    ) -> None:
        self.on_progress = on_progress
        self.progress: IndexProgress | None = None
        self._cache = IndexCache(cache or paths.cache_folder() / "indexes")
        self._corpora: dict[_CorpusKey, _OpenCorpus] = {}
        self._keyword: dict[str, KeywordIndex] = {}
        self._dense: dict[tuple[str, str], DenseIndex] = {}
        self._queries: OrderedDict[tuple[str, str], NDArray[np.float32]] = OrderedDict()
        self._lock = threading.RLock()
        self._cancelled = threading.Event()
        self._embedders = EmbedderPool()

    def fill(self, source: PassageSource | None, case: Case) -> Case:
        """The case with the passages that are retrieved for it, turn by turn. Raises WorkbenchError."""
        if source is None:
            return case
        return _with_passages(case, [self.find(source, turn.case) for turn in read_turns(case)], source)

    def fill_row(self, source: PassageSource, case: Case) -> tuple[Case, int]:
        """The same for a row to train on, and how many passages were passed over because the row's own question stands
        in them: a search for what is asked later finds no such thing. Raises WorkbenchError."""
        retrieve = source.retrieve
        wider = msgspec.structs.replace(source, retrieve=msgspec.structs.replace(retrieve, k=retrieve.k + _CANDIDATES))
        found: list[tuple[Passage, ...]] = []
        passed_over = 0
        for turn in read_turns(case):
            needle = _make_needle(_find_question(turn.case))
            every = self.find(wider, turn.case)
            others = tuple(one for one in every if not needle or needle not in _join(tokenize(one.text)))
            count = len(every) if retrieve.by in ("none", "oracle") else max(retrieve.k, len(retrieve.pin))
            passed_over += sum(one not in others for one in every[:count])
            found.append(others[:count])
        return _with_passages(case, found, source), passed_over

    def fill_spec(self, spec: GenerationSpec) -> GenerationSpec:
        """What is asked, with the passages that are retrieved for its case. Raises WorkbenchError."""
        return replace(spec, case=self.fill(spec.passages, spec.case)) if spec.passages else spec

    def find(self, source: PassageSource, case: Case) -> tuple[Passage, ...]:
        """The passages for a case. Raises WorkbenchError."""
        if source.is_empty:
            return ()
        return self.open(source).find(source.retrieve, source.make_query(case), case.relevant)

    def open(self, source: PassageSource) -> Retriever:
        """What searches the corpus. Raises DatasetError where it cannot be read, StoreError where it is no longer what
        it was when a run began."""
        corpus = self.read(source)
        if source.digest and corpus.digest != source.digest:
            raise StoreError(
                f"The corpus {source.path} has changed since: what was retrieved from it then cannot be found again.",
                "Put the old documents back, or start a new run.",
            )
        return Retriever(
            corpus,
            lambda: self._open_keyword(corpus),
            lambda: self._open_dense(corpus, source),
            lambda query: self._embed_query(source, query),
        )

    def read(self, source: PassageSource) -> Corpus:
        """The corpus as its files are now. Raises DatasetError."""
        key = _CorpusKey(source.path, source.chunk, source.overlap)
        with self._lock:
            signature = _sign(source.path)
            known = self._corpora.get(key)
            if known is None or known.signature != signature:
                corpus = load_corpus(*key, on_file=lambda done, total: self._report("Reading the corpus", done, total))
                known = self._corpora[key] = _OpenCorpus(corpus, signature)
            return known.corpus

    def describe(self, source: PassageSource) -> tuple[str, ...]:
        """What a reader of its scores has to know of a corpus, in words."""
        return () if source.is_empty else describe_corpus(self.read(source))

    def fix(self, source: PassageSource, fingerprint: Callable[[PassageSource], str]) -> PassageSource:
        """The source as it is now, to be known again. fingerprint: of the embedding model."""
        if source.is_empty:
            return source
        mark = fingerprint(source) if source.embedder else ""
        return msgspec.structs.replace(source, digest=self.read(source).digest, embedder_fingerprint=mark)

    def find_seen(self, source: PassageSource, cases: Sequence[Case]) -> Iterator[SeenPassage]:
        """The cases whose question stands in the corpus word by word; of very many, a sample is looked for."""
        if source.is_empty or source.retrieve.by == "none":
            return
        retriever = self.open(source)
        texts: dict[str, str] = {}

        def find(question: str) -> str | None:
            """The document in which a question stands."""
            needle = _make_needle(question)
            if not needle:
                return None
            for name in dict.fromkeys(one.document for one in retriever.search_words(question, _CANDIDATES)):
                if name not in texts:
                    texts[name] = _join(tokenize(retriever.corpus.documents[name].text))
                if needle in texts[name]:
                    return name
            return None

        for case in _take_sample(cases):
            if document := next(filter(None, map(find, _list_questions(case))), None):
                yield SeenPassage(case.number, document)

    def cancel(self) -> None:
        """Give up whatever is being built; what is asked for later is built again."""
        self._cancelled.set()

    def close(self) -> None:
        """End the processes that embed texts."""
        self.cancel()
        self._embedders.close()

    def _open_keyword(self, corpus: Corpus) -> KeywordIndex:
        with self._lock:
            if corpus.digest not in self._keyword:
                self._cancelled.clear()
                self._keyword[corpus.digest] = self._cache.open_keyword(
                    corpus, lambda done, total: self._report("Indexing", done, total)
                )
            return self._keyword[corpus.digest]

    def _open_dense(self, corpus: Corpus, source: PassageSource) -> DenseIndex:
        assert source.embedder is not None
        embed = self._embedders.get(source.embedder).embed
        name = self._embedders.get(source.embedder).name
        with self._lock:
            key = corpus.digest, name
            if key not in self._dense:
                self._cancelled.clear()
                self._dense[key] = self._cache.open_dense(
                    corpus, name, embed, lambda done, total: self._report("Embedding", done, total)
                )
            return self._dense[key]

    def _embed_query(self, source: PassageSource, query: str) -> NDArray[np.float32]:
        assert source.embedder is not None
        embedder = self._embedders.get(source.embedder)
        key = embedder.name, query
        with self._lock:
            if key in self._queries:
                self._queries.move_to_end(key)
                return self._queries[key]
        vector = embedder.embed([query], "query")
        with self._lock:
            self._queries[key] = vector
            while len(self._queries) > _MOST_QUERIES:
                self._queries.popitem(last=False)
        return vector

    def _report(self, doing: str, done: int, total: int) -> None:
        if self._cancelled.is_set():
            self.progress = None
            raise IndexingCancelled(f"{doing} was stopped at {done:,} of {total:,}.", "Run again to finish it.")
        self.progress = IndexProgress(doing, done, total) if done < total else None
        self.on_progress(IndexProgress(doing, done, total))


def _sign(path: Path) -> object:
    """What changes when a file of the corpus does."""
    found = []
    for one in list_files(path):
        status = one.stat()
        found.append((str(one), status.st_mtime_ns, status.st_size))
    return tuple(found)


def _list_questions(case: Case) -> Iterator[str]:
    """The longest variable of a case, or of each of its turns."""
    try:
        turns = read_turns(case)
    except DatasetError:  # its cell says so
        return
    for turn in turns:
        yield _find_question(turn.case)


def _find_question(case: Case) -> str:
    return max(case.variables.values(), key=len, default="")


def _make_needle(question: str) -> str:
    """What a text that holds the question holds, in its tokens; "" for a question that is too short to be told."""
    tokens = tokenize(question)
    return _join(tokens) if len(tokens) >= _LEAST_TOKENS else ""


def _with_passages(case: Case, found: Sequence[tuple[Passage, ...]], source: PassageSource) -> Case:
    """found: for each of its turns."""
    turns = tuple(found) if has_turns(case) else ()
    by = source.retrieve.by
    return msgspec.structs.replace(case, passages=found[0], turn_passages=turns, retrieved_by=by)


def _take_sample(cases: Sequence[Case]) -> Iterator[Case]:
    step = max(1, -(-len(cases) // MOST_LOOKED_FOR))
    return (cases[index] for index in range(0, len(cases), step))


def _join(tokens: Sequence[str]) -> str:
    return f" {' '.join(tokens)} "
