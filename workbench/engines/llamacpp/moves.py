"""Rows on their way to the annex and back, so that the two halves of a step go side by side.

A row's prompt stays where it was read, since others may begin with it; only what it writes is elsewhere. Knows nothing
of when a move pays (layouts.py).
"""

from __future__ import annotations

from collections.abc import Sequence

from workbench.engines.llamacpp.adapters import Use
from workbench.engines.llamacpp.admission import Admission
from workbench.engines.llamacpp.annex import Annex
from workbench.engines.llamacpp.context import Context
from workbench.engines.llamacpp.row import LlamaRow


class Moves:
    """Between one context and the annex, if there is one."""

    def __init__(self, context: Context, admission: Admission, use: Use, annex: Annex | None) -> None:
        self._context = context
        self._admission = admission
        self._use = use
        self._annex = annex

    def spread(self, rows: Sequence[LlamaRow], split: bool) -> None:
        """Move rows that write so that half of them are aside, or none; as far as there is room."""
        if not self._annex:
            return
        away = [row for row in rows if row.aside is not None]
        here = [row for row in rows if row.aside is None]
        while split and len(here) > len(away) + 1 and self._move_away(here[-1], self._annex):
            away.append(here.pop())
        while away and (not split or len(away) > len(here) + 1) and self._bring_back(away[-1], self._annex):
            here.append(away.pop())

    def end(self, row: LlamaRow) -> None:
        """A row's place in the annex, if it has one, is free again."""
        if self._annex and row.aside is not None:
            self._annex.leave(row.aside)
            row.aside = None

    def _move_away(self, row: LlamaRow, annex: Annex) -> bool:
        prompt = len(row.answer.prompt)
        row.aside = annex.enter(self._use, self._context.save(row.sequence), prompt + row.room)
        if row.aside is None:
            return False
        self._context.cut(row.sequence, prompt)
        return True

    def _bring_back(self, row: LlamaRow, annex: Annex) -> bool:
        if row.aside is None or self._admission.free_cells < row.position:
            return False
        sequence = self._admission.borrow()
        if sequence is None:
            return False
        loaded = self._context.load(sequence, annex.context.save(row.aside))
        if loaded:
            self._context.copy(sequence, row.sequence, len(row.answer.prompt), -1)
            self.end(row)
        self._admission.give_back(sequence)
        return loaded
