"""Documents as token ids, for continued pre-training: each with its end, in parts that fit, or packed one behind the
other into sequences of one length."""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Sequence
from typing import NamedTuple

from workbench.training.child.encoder import EncodedRow, Encoder
from workbench.training.rows import TrainingRow


class EncodedDocuments(NamedTuple):
    """Sequences of token ids, all of which are learned. rows: the document that each begins in."""

    encoded: tuple[EncodedRow, ...]
    rows: tuple[TrainingRow, ...]


def encode_documents(encoder: Encoder, rows: Sequence[TrainingRow], limit: int, packing: bool) -> EncodedDocuments:
    """Every token of the documents, in sequences of at most `limit` tokens.

    A document begins with the model's beginning-of-text token where it has one, and ends with its end token. packing:
    the documents stand one behind the other, and every sequence but the last is full.
    Raises ModelError for a model that has no end to learn.
    """
    whole = [(row, encoder.encode(row).ids) for row in rows]
    parts = _pack(whole, limit) if packing else _divide(whole, limit)
    made = [(row, EncodedRow(ids, 0, len(ids) - 1, ended=ended)) for row, ids, ended in parts]
    return EncodedDocuments(tuple(one for _, one in made), tuple(row for row, _ in made))


_Part = tuple[TrainingRow, tuple[int, ...], bool]


def _divide(whole: Sequence[tuple[TrainingRow, tuple[int, ...]]], limit: int) -> Iterator[_Part]:
    for row, ids in whole:
        for start in range(0, len(ids), limit):
            yield row, ids[start : start + limit], start + limit >= len(ids)


def _pack(whole: Sequence[tuple[TrainingRow, tuple[int, ...]]], limit: int) -> Iterator[_Part]:
    stream = list(itertools.chain.from_iterable(ids for _, ids in whole))
    ends = list(itertools.accumulate(len(ids) for _, ids in whole))
    closed = set(ends)
    document = 0
    for start in range(0, len(stream), limit):
        while ends[document] <= start:
            document += 1
        ids = tuple(stream[start : start + limit])
        yield whole[document][0], ids, start + len(ids) in closed
