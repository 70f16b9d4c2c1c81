"""Passage: a piece of a document of a corpus, with where it stands; Reference: what a case says is relevant."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Sequence

import msgspec

from workbench.prompting.values import Fields, Items

_SPAN = re.compile(r"(?P<document>.+):(?P<start>\d+)-(?P<end>\d+)", re.DOTALL)


class Passage(msgspec.Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True):
    """One chunk.

    document: the document's name. start, end: where it stands in the document's text, in characters. score: of the
    search that found it, comparable within one ranking alone; None where no search did. pinned: a person chose it.
    """

    document: str
    start: int
    end: int
    text: str
    score: float | None = None
    pinned: bool = False

    @property
    def id(self) -> str:
        return name_span(self.document, self.start, self.end)

    @property
    def values(self) -> dict[str, object]:
        """What a template sees of it."""
        return {"text": self.text.strip(), "source": self.document, "id": self.id, "score": self.score}


class Reference(msgspec.Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True):
    """A document, or a span of its characters, that is relevant to a case. end 0: the whole document."""

    document: str
    start: int = 0
    end: int = 0

    def covers(self, passage: Passage) -> bool:
        """Whether a passage is of this document, and holds a part of the span."""
        if passage.document != self.document:
            return False
        return self.end == 0 or (passage.start < self.end and self.start < passage.end)

    def __str__(self) -> str:
        return name_span(self.document, self.start, self.end) if self.end else self.document


def show_passages(passages: Sequence[Passage]) -> Items:
    """The passages as a template sees them: a list to loop over; printed, each with its number and its source."""
    items = Items(Fields(passage.values) for passage in passages)
    items.text = "\n\n".join(
        f"[{number}] {passage.document}\n{passage.text.strip()}" for number, passage in enumerate(passages, 1)
    )
    return items


def name_span(document: str, start: int, end: int) -> str:
    """The id of a passage: `handbook/returns.md:120-540`."""
    return f"{document}:{start}-{end}"


def read_reference(text: str) -> Reference:
    """A document's name, or the id of a passage."""
    found = _SPAN.fullmatch(text.strip())
    if not found or int(found["end"]) <= int(found["start"]):
        return Reference(text.strip())
    return Reference(found["document"], int(found["start"]), int(found["end"]))


def read_references(text: str) -> tuple[Reference, ...]:
    """What a dataset's column says: a reference, a JSON list of them, or objects with document, start and end.

    Raises ValueError that says what was expected.
    """
    bare = text.strip()
    if not bare:
        return ()
    if bare[0] not in "[{":
        return (read_reference(bare),)
    try:
        given = json.loads(bare)
    except ValueError:
        return (read_reference(bare),)
    items: Iterable[object] = given if isinstance(given, list) else (given,)
    return tuple(dict.fromkeys(_read_item(item) for item in items))


def _read_item(item: object) -> Reference:
    if isinstance(item, str) and item.strip():
        return read_reference(item)
    if isinstance(item, dict):
        try:
            return msgspec.convert(item, Reference)
        except msgspec.ValidationError as error:
            raise ValueError(
                f"relevant: {error}; expected document, start and end, found {json.dumps(item)}"
            ) from error
    raise ValueError(f"relevant: expected document names or spans, found {json.dumps(item)}")
