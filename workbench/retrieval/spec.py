"""What a bench says of its corpus, and a variant of what it retrieves from it."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Literal

import msgspec

RetrieveBy = Literal["none", "oracle", "bm25", "dense", "hybrid"]


class CorpusSpec(msgspec.Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True):
    """The documents that variants retrieve from.

    path: a folder or a file, relative to the bench's folder, else to the working folder, else to the shipped files.
    chunk: most characters of a passage. overlap: characters that a passage shares with the one before it, at most.
    """

    path: str
    chunk: int = 800
    overlap: int = 0


class Retrieve(msgspec.Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True):
    """Which passages of the corpus a variant sends as `{{ passages }}`.

    by: none; oracle, those that the case says are relevant; bm25, by words; dense, by embeddings; hybrid, both fused by
        rank.
    k: how many passages at most, those pinned among them; an oracle gives all that are relevant.
    model: the embedding model of dense and hybrid, named like a variant's model.
    query: a template of what is searched for, such as `{{ question }}`; empty: the variables that the prompt asks for.
    pin: ids of passages that are sent with every case, before the others. drop: ids that are never sent.
    """

    by: RetrieveBy = "bm25"
    k: int = 3
    model: str = ""
    query: str = ""
    pin: tuple[str, ...] = ()
    drop: tuple[str, ...] = ()

    @property
    def embeds(self) -> bool:
        return self.by in ("dense", "hybrid")

    def __str__(self) -> str:
        counted = f"{self.by} k={self.k}" if self.by in ("bm25", "dense", "hybrid") else self.by
        edits = [f"{len(ids)} {name}" for ids, name in ((self.pin, "pinned"), (self.drop, "dropped")) if ids]
        return ", ".join((counted, *edits))


def read_retrieve(given: RetrieveBy | Retrieve) -> Retrieve:
    """The word alone means its usual options."""
    return given if isinstance(given, Retrieve) else Retrieve(given)


def shorten_retrieve(retrieve: Retrieve) -> RetrieveBy | Retrieve:
    """As a person writes it: the word alone where nothing else is said."""
    return retrieve.by if retrieve == Retrieve(retrieve.by) else retrieve


def check_corpus(corpus: CorpusSpec) -> Iterator[str]:
    """What is wrong with it, each with its key."""
    if not corpus.path.strip():
        yield "corpus.path is empty"
    if corpus.chunk < 20:
        yield f"corpus.chunk: expected at least 20 characters, found {corpus.chunk}"
    if not 0 <= corpus.overlap < max(corpus.chunk, 1):
        yield f"corpus.overlap: expected 0 to {corpus.chunk - 1}, found {corpus.overlap}"


def check_retrieve(where: str, retrieve: Retrieve, has_corpus: bool) -> Iterator[str]:
    """What is wrong with it, each with its key."""
    if not has_corpus and (retrieve.by != "none" or retrieve.pin):
        yield f"{where}: there is nothing to retrieve from; name the folder of the documents under `corpus`"
    if retrieve.k < 1:
        yield f"{where}.k: expected a number from 1, found {retrieve.k}"
    if retrieve.embeds and not retrieve.model:
        yield f"{where}.model: {retrieve.by} needs an embedding model"
    if retrieve.model and not retrieve.embeds:
        yield f"{where}.model: {retrieve.by} uses no embedding model; expected dense or hybrid"
    if retrieve.query and "{{" not in retrieve.query:
        yield f"{where}.query: expected a template such as `{{{{ question }}}}`, found {retrieve.query!r}"
    if both := set(retrieve.pin) & set(retrieve.drop):
        yield f"{where}: {', '.join(sorted(both))} is pinned and dropped"
