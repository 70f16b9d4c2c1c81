"""CallRecord: the calls of a cell in the order of its steps, items and samples, whichever of them ends first."""

from __future__ import annotations

from collections.abc import Callable

from workbench.runs.cell_step import CellStep
from workbench.runs.chain_outcome import OnStep


class CallRecord:
    """See the module. on_step: gets each call when it stands in its place, and again where more is known of it."""

    def __init__(self, on_step: OnStep = lambda at, step: None) -> None:
        self.steps: list[CellStep] = []
        self._on_step = on_step

    def add(self, step: CellStep) -> int:
        """Note a call; its place."""
        self.put(len(self.steps), step)
        return len(self.steps) - 1

    def put(self, at: int, step: CellStep) -> None:
        """Note a call in its place: the next one, or one that there is already."""
        if at == len(self.steps):
            self.steps.append(step)
        else:
            self.steps[at] = step
        self._on_step(at, step)

    def divide(self, count: int) -> tuple[RecordPart, ...]:
        """Parts that are written side by side; each stands here, behind those before it, once they are complete."""
        order = _PartOrder(self)
        order.parts = tuple(RecordPart(order, number) for number in range(count))
        return order.parts


class RecordPart(CallRecord):
    """A part of a record."""

    def __init__(self, order: _PartOrder, number: int) -> None:
        super().__init__(lambda at, step: order.pass_on(number, at, step))
        self.close: Callable[[], None] = lambda: order.close(number)
        """Say that it is complete."""


class _PartOrder:
    """Whose turn it is to be written into the whole."""

    def __init__(self, whole: CallRecord) -> None:
        self.parts: tuple[RecordPart, ...] = ()
        self._whole = whole
        self._turn = 0
        self._begun = len(whole.steps)
        self._closed: set[int] = set()

    def pass_on(self, number: int, at: int, step: CellStep) -> None:
        if number == self._turn:
            self._whole.put(self._begun + at, step)

    def close(self, number: int) -> None:
        self._closed.add(number)
        while self._turn in self._closed:
            self._turn += 1
            self._begun = len(self._whole.steps)
            if self._turn < len(self.parts):
                for at, step in enumerate(list(self.parts[self._turn].steps)):
                    self._whole.put(self._begun + at, step)
