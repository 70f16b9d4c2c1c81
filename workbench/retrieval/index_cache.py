"""IndexCache: indexes on disk, under the digest of what they were built from; each is written whole or not at all."""

from __future__ import annotations

import hashlib
import shutil
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Protocol, TypeVar

from workbench.retrieval import tokens
from workbench.retrieval.bm25 import KeywordIndex, OnStep
from workbench.retrieval.corpus import Corpus
from workbench.retrieval.dense import DenseIndex, Embed

_LIBRARY = "bm25s 0.3 lucene 1.5 0.75"
_DONE = "complete"
_UNREADABLE = (OSError, ValueError, KeyError, TypeError, EOFError)


class SavedIndex(Protocol):
    def save(self, folder: Path) -> None: ...


I = TypeVar("I", bound=SavedIndex)  # noqa: E741


class IndexCache:
    """folder: whatever is in it can be deleted at any time."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def open_keyword(self, corpus: Corpus, on_step: OnStep) -> KeywordIndex:
        """The corpus's index by words, built where it is not there yet."""
        return self._open(
            f"{corpus.digest} {_LIBRARY} tokens {tokens.VERSION}",
            lambda folder: KeywordIndex.load(folder, len(corpus.passages)),
            lambda: KeywordIndex.build([passage.text for passage in corpus.passages], on_step),
        )

    def open_dense(self, corpus: Corpus, embedder: str, embed: Embed, on_step: OnStep) -> DenseIndex:
        """The corpus's index by an embedding model. embedder: the model's fingerprint."""
        return self._open(
            f"{corpus.digest} embedded by {embedder}",
            DenseIndex.load,
            lambda: DenseIndex.build([passage.text for passage in corpus.passages], embed, on_step),
        )

    def _open(self, key: str, load: Callable[[Path], I], build: Callable[[], I]) -> I:
        folder = self._folder / hashlib.blake2b(key.encode(), digest_size=16).hexdigest()
        if (folder / _DONE).exists():
            try:
                return load(folder)
            except _UNREADABLE:
                shutil.rmtree(folder, ignore_errors=True)
        built = build()
        self._write(folder, built)
        return built

    def _write(self, folder: Path, index: SavedIndex) -> None:
        """A full disk, or another process that was faster, costs a later building and nothing else."""
        try:
            self._folder.mkdir(parents=True, exist_ok=True)
            made = Path(tempfile.mkdtemp(prefix="building-", dir=self._folder))
        except OSError:
            return
        try:
            index.save(made)
            (made / _DONE).touch()
            made.rename(folder)
        except OSError:
            shutil.rmtree(made, ignore_errors=True)
