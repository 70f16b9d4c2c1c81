"""Who gets a place in a context next, and what has to leave it for that.

Places are sequences and cells. A sequence whose request has ended stays as long as nothing else needs its place, since
the next request may begin as it did. Knows nothing of native code: what happens to a sequence is done by its `Keeper`.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Sequence
from typing import NamedTuple, Protocol

from workbench.engines.llamacpp.row import LlamaRow
from workbench.engines.llamacpp.tree import Tree

LEAST_KEPT = 8
"""Tokens of its own below which a sequence is not worth its place."""

KEPT_TOKENS = 512
"""Each cell that is taken makes every step longer (2,000 of them a tenth), and what was watched comes back from outside
without being read again."""

PATIENCE = 64
"""Requests that may go before one that came earlier because they share more with what is there."""

_LOOKED_AT = 256
"""Waiting requests among which the best is chosen."""


class Limits(NamedTuple):
    """What a context can hold.

    rows: that run at the same time. guests: that may join them for someone who looks on. sequences: numbers that
    rows, their branches and what is kept may have. cells: tokens in the cache. context_tokens: the longest a row may
    become. kept_tokens: of ended requests, at most, unless a single one has more. shares: whether a sequence can begin
    with what another has seen.
    """

    rows: int
    guests: int
    sequences: int
    cells: int
    context_tokens: int
    kept_tokens: int = KEPT_TOKENS
    shares: bool = True


class Keeper(Protocol):
    """What becomes of sequences."""

    def recall(self, row: LlamaRow, shared: int) -> None:
        """A row has its sequence, and finds so many tokens here: let it begin with more, if that is kept elsewhere."""
        ...

    def dismiss(self, sequence: int, watched: bool) -> None:
        """A sequence that is kept loses its place. watched: someone looked on, and may come back to it."""
        ...

    def drop(self, sequence: int) -> None:
        """A sequence is not needed any more."""
        ...


class Admission:
    """The sequences and cells of one context."""

    def __init__(self, limits: Limits, keeper: Keeper) -> None:
        self.tree = Tree(limits.shares)
        self.limits = limits
        self._keeper = keeper
        self._free = list(range(limits.sequences))[::-1]
        self._running: list[LlamaRow] = []
        self._kept: OrderedDict[int, bool] = OrderedDict()
        self._passed = 0
        self.untidy = False
        """whether more may be kept than is to be"""

    @property
    def kept(self) -> tuple[int, ...]:
        """The sequences of ended requests, the one used longest ago first."""
        return tuple(self._kept)

    @property
    def free_cells(self) -> int:
        return self.limits.cells - self.tree.size - sum(row.room for row in self._running)

    def choose(self, waiting: Sequence[LlamaRow]) -> LlamaRow | None:
        """The row whose turn it is: one that someone looks on; else the one that shares most with what is there."""
        if not waiting:
            return None
        first = min(waiting, key=lambda row: (row.priority, row.order))
        if first.priority == 0 or not self.limits.shares or self._passed >= PATIENCE:
            return first
        return max(waiting[:_LOOKED_AT], key=lambda row: (self._shared(row), -row.order))

    def enter(self, row: LlamaRow, oldest: int) -> bool:
        """Give a row a sequence and cells; False while there is no place. oldest: the order of who waits longest."""
        limits, prompt = self.limits, row.answer.prompt
        if len(self._running) >= limits.rows + (0 if row.priority else limits.guests):
            return False
        row.room = min(len(prompt) + row.wanted, limits.context_tokens, limits.cells) - len(prompt)
        self._touch(prompt)
        fits = self._make_room(lambda: bool(self._free) and self._missing(row) <= self.free_cells)
        if not fits:
            return False
        shared, _ = self.tree.match(prompt)
        row.sequence = self._free.pop()
        self._running.append(row)
        self.tree.insert(row.sequence, prompt)
        self._passed = 0 if row.order == oldest else self._passed + 1
        self._keeper.recall(row, shared)
        return True

    def leave(self, row: LlamaRow, keep: bool) -> None:
        """Take a row's place back. keep: what it has seen may be of use to others."""
        self._running.remove(row)
        sequence = row.sequence
        seen = self.tree.seen(sequence)
        if not keep or not self.limits.shares or not seen:
            self._remove(sequence)
            return
        self.tree.cut(sequence, seen)
        useless = seen < LEAST_KEPT and self.tree.own([sequence]) == seen  # a row that waits for it would share some
        if useless or self.tree.has_twin(sequence):
            self._remove(sequence)
            return
        self._kept[sequence] = row.priority == 0
        self.untidy = True

    def tidy(self) -> None:
        """Let those go that are too many to be kept: not when they end, since somebody waits for their last word."""
        most = self.limits.kept_tokens
        if self.untidy:
            self._make_room(lambda: (most > 0 and len(self._kept) < 2) or self.tree.own(self._kept) <= most)
        self.untidy = False

    def borrow(self) -> int | None:
        """A sequence for a branch; None while there is none."""
        return self._free.pop() if self._make_room(lambda: bool(self._free)) else None

    def give_back(self, sequence: int) -> None:
        """The end of a branch."""
        self._keeper.drop(sequence)
        self._free.append(sequence)

    def _shared(self, row: LlamaRow) -> int:
        return self.tree.match(row.answer.prompt)[0]

    def _missing(self, row: LlamaRow) -> int:
        """Cells that a row needs which it does not share; beside others, a request that nobody watches leaves some."""
        limits = self.limits
        left = min(limits.context_tokens, limits.cells // 4) if row.priority and self._running else 0
        return len(row.answer.prompt) - self._shared(row) + row.room + left

    def _touch(self, prompt: Sequence[int]) -> None:
        """What a request begins with is the last to lose its place."""
        _, holders = self.tree.match(prompt)
        for sequence in [sequence for sequence in self._kept if sequence in holders]:
            self._kept.move_to_end(sequence)

    def _make_room(self, enough: Callable[[], bool]) -> bool:
        """Let kept sequences go until there is enough; False where even that is not."""
        while not enough():
            if not self._kept:
                return False
            sequence, watched = self._kept.popitem(last=False)
            self._keeper.dismiss(sequence, watched)
            self._remove(sequence)
        return True

    def _remove(self, sequence: int) -> None:
        self.tree.remove(sequence)
        self.give_back(sequence)
