"""One step: what schedulers have prepared is laid out over the cores, evaluated, and handed back to them.

Knows nothing of what is prepared, or what comes of it.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple, Protocol

from workbench.engines.engine import Outcome
from workbench.engines.llamacpp.context import Context
from workbench.engines.llamacpp.crew import Done, Job
from workbench.engines.llamacpp.planner import Piece
from workbench.engines.llamacpp.tools import Tools


class Part(Protocol):
    """A scheduler, as a step sees it."""

    @property
    def fresh(self) -> bool:
        """Whether all is to be computed in the same way each time."""
        ...

    def divide(self, pieces: list[Piece], split: bool) -> list[Group]:
        """The pieces by their contexts. split: half of the rows are to be aside, where that can be."""
        ...

    def accept(self, group: Group, done: Done) -> Sequence[Outcome]:
        """What came of a group's evaluation."""
        ...


class Group(NamedTuple):
    """Pieces of one scheduler that are evaluated in one context."""

    part: Part
    context: Context
    pieces: list[Piece]


def only_writes(pieces: Sequence[Piece]) -> bool:
    """Whether each piece is the token of a row that writes."""
    return bool(pieces) and all(piece.row.writing for piece in pieces)


def evaluate(parts: Sequence[tuple[Part, list[Piece]]], tools: Tools) -> Sequence[Outcome]:
    """Evaluate what one part has prepared, or what two have, side by side."""
    granted = tools.threads()
    if len(parts) == 1:
        part, pieces = parts[0]
        if not pieces:
            return ()
        layout = tools.layouts.choose(sum(len(piece.run.tokens) for piece in pieces))
        groups = part.divide(pieces, layout == "split" and granted > 1)
        threads = 1 if layout == "single" or part.fresh else granted
    else:
        groups = [group for part, pieces in parts for group in part.divide(pieces, False)]
        threads = granted
    return run_groups(groups, tools, max(1, threads // len(groups)))


def run_groups(groups: Sequence[Group], tools: Tools, threads: int) -> Sequence[Outcome]:
    """Evaluate groups at the same time, each on so many threads."""
    started = tools.clock()
    apart = len(groups) > 1 and all(only_writes(group.pieces) for group in groups)
    jobs = [Job(group.context, [piece.run for piece in group.pieces], threads, apart) for group in groups]
    rows = [piece.row for group in groups for piece in group.pieces]
    done = tools.crew.evaluate(jobs, {row.id for row in rows}, yields=all(row.priority > 0 for row in rows))
    if done is None:
        return ()  # a cancel is on the way, or a request that goes first
    if not any(one.code for one in done):
        _note(groups, tools, tools.clock() - started)
    return [event for group, one in zip(groups, done, strict=True) for event in group.part.accept(group, one)]


def _note(groups: Sequence[Group], tools: Tools, seconds: float) -> None:
    pieces = [piece for group in groups for piece in group.pieces]
    written = sum(1 for piece in pieces if piece.row.writing)
    read = sum(len(piece.run.tokens) for piece in pieces) - written
    tools.pace.note(read, written, seconds)
    tools.tally.note(read, written, seconds)
