"""What the next batch of a context holds.

A token for each row that writes, then pieces of prompts and of answers that are weighed. Of rows that need the same
tokens next, one reads them, and the others take them over in a later step. While someone looks on, nothing else is
computed. Where nobody does, all prompts are read before any row writes: a token of a row costs the less the more rows
write at once. Knows nothing of native code.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from workbench.engines.llamacpp.context import Run
from workbench.engines.llamacpp.row import LlamaRow, Place, WeighingRow
from workbench.engines.llamacpp.tree import Node, Tree

PATIENCE = 64
"""Requests after which the shortest prompt does not go first any more."""


class Piece(NamedTuple):
    """A row's part of a batch. place: of the branch that it belongs to, in a weighing."""

    row: LlamaRow
    run: Run
    place: Place | None = None


def choose_active(rows: Sequence[LlamaRow]) -> list[LlamaRow]:
    """The rows that may be computed now, those that are soonest read first."""
    first = min((row.priority for row in rows), default=0)
    active = [row for row in rows if row.priority == first]
    newest = max((row.order for row in active), default=0)
    return sorted(active, key=lambda row: (row.order > newest - PATIENCE, len(row.pending), row.order))


def plan(active: Sequence[LlamaRow], tree: Tree, tokens: int, outputs: int) -> list[Piece]:
    """The batch. tokens: of prompts and answers, at most. outputs: tokens whose numbers are wanted, at most."""
    writing = [Piece(row, Run(row.sequence, row.position, row.pending, True)) for row in active if row.writing]
    read = _read_on(active, tree, tokens, outputs - len(writing))
    watched = any(row.priority == 0 for row in active)
    return [*writing, *read] if watched or not read else read


def _read_on(active: Sequence[LlamaRow], tree: Tree, tokens: int, outputs: int) -> list[Piece]:
    """The next pieces of prompts, and of answers that are weighed."""
    pieces: list[Piece] = []
    claimed: set[Node] = set()
    for row in active:
        if tokens <= 0 or outputs <= 0:
            break
        if row.reading:
            found = _read(row, tree, tokens, claimed)
        elif isinstance(row, WeighingRow):
            found = _weigh(row, tokens, outputs)
        else:
            continue
        tokens -= sum(len(piece.run.tokens) for piece in found)
        outputs -= sum(len(piece.run.tokens) if piece.run.wants_all else piece.run.wants_logits for piece in found)
        pieces += found
    return pieces


def _read(row: LlamaRow, tree: Tree, tokens: int, claimed: set[Node]) -> list[Piece]:
    """The next piece of a prompt; none while another row reads the same tokens."""
    end = row.position + min(tokens, len(row.pending))
    nodes = [node for node in tree.path(row.sequence) if node.end > row.position and node.start < end]
    if nodes[0] in claimed:
        return []
    claimed.update(nodes)
    run = Run(row.sequence, row.position, row.pending[:tokens], end == row.position + len(row.pending))
    return [Piece(row, run)]


def _weigh(row: WeighingRow, tokens: int, outputs: int) -> list[Piece]:
    """The next pieces of the answers that have a place."""
    pieces: list[Piece] = []
    for place in row.places:
        taken = place.pending[: min(tokens, outputs)]
        if taken:
            pieces.append(Piece(row, Run(place.sequence, row.position + place.position, taken, False, True), place))
            tokens -= len(taken)
            outputs -= len(taken)
    return pieces
