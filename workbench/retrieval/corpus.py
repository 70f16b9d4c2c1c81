"""Corpus: the documents that variants retrieve from, cut into chunks whose places in the text are exact."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from workbench.retrieval.documents import CorpusDocument, find_copies, read_documents
from workbench.retrieval.passage import Passage, Reference

_CHUNKER = "semantic-text-splitter 0.33"
_SHOWN = 3


@dataclass(frozen=True, slots=True)
class Corpus:
    """passages: the chunks of every document, in order. digest: of the texts, their names and how they were cut.
    problems: what could not be read; copies: documents under more than one name; both in words."""

    passages: tuple[Passage, ...]
    documents: dict[str, CorpusDocument]
    digest: str
    problems: tuple[str, ...] = ()
    copies: tuple[str, ...] = ()

    def find(self, references: tuple[Reference, ...]) -> list[Passage]:
        """The passages that references cover, in the order of the references. Raises KeyError for a document that the
        corpus does not have."""
        found: dict[str, Passage] = {}
        own: dict[str, list[Passage]] = {}
        for passage in self.passages:
            own.setdefault(passage.document, []).append(passage)
        for reference in references:
            found |= {one.id: one for one in own[reference.document] if reference.covers(one)}
        return list(found.values())


def load_corpus(
    path: Path, chunk: int, overlap: int, on_file: Callable[[int, int], object] = lambda done, total: None
) -> Corpus:
    """Read and cut a corpus. on_file: as in read_documents. Raises DatasetError."""
    documents, problems = read_documents(path, on_file)
    digest = hashlib.blake2b(f"{_CHUNKER} {chunk} {overlap}".encode(), digest_size=16)
    passages: list[Passage] = []
    for document in documents:
        digest.update(f"\0{document.name}\0{document.digest}".encode("utf-8", "surrogatepass"))
        passages += split(document, chunk, overlap)
    copies = tuple(f"{' and '.join(group)} hold the same text" for group in find_copies(documents))
    own = {document.name: document for document in documents}
    return Corpus(tuple(passages), own, digest.hexdigest(), problems, copies)


def split(document: CorpusDocument, chunk: int, overlap: int) -> Iterator[Passage]:
    """The chunks of a document: at headings, paragraphs and sentences where that can be."""
    text = document.text
    splitter = _make_splitter(document.markdown, chunk, overlap)
    clean = text.encode("utf-8", "replace").decode()  # the splitter is native code: half a character is none to it
    for start, piece in splitter.chunk_indices(clean):
        end = start + len(piece)
        if text[start:end].strip():
            yield Passage(document.name, start, end, text[start:end])


def _make_splitter(markdown: bool, chunk: int, overlap: int) -> Any:
    from semantic_text_splitter import MarkdownSplitter, TextSplitter

    return (MarkdownSplitter if markdown else TextSplitter)(chunk, overlap=overlap, trim=False)


def describe_corpus(corpus: Corpus) -> tuple[str, ...]:
    """What a reader of its scores has to know: what could not be read, and which documents it has twice."""
    return (*_shorten("not read of the corpus", corpus.problems), *_shorten("in the corpus", corpus.copies))


def _shorten(what: str, found: tuple[str, ...]) -> Iterator[str]:
    yield from (f"{what}: {one}" for one in found[:_SHOWN])
    if len(found) > _SHOWN:
        yield f"{what}: {len(found) - _SHOWN:,} more"
