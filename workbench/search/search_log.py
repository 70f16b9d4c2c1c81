"""SearchLog: what happens in a search, written down, added up and announced; and what it has cost so far."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path

import msgspec

from workbench.search.budget import Spending
from workbench.search.journal import SearchEvent, SearchJournal, SearchRecordLine, SearchSpent
from workbench.search.state import SearchState

EmitSearchEvent = Callable[[SearchEvent], None]


class SearchLog:
    """state: what the records add up to, the spending up to the moment."""

    def __init__(self, emit: EmitSearchEvent) -> None:
        self.state = SearchState()
        self.emit = emit
        self._journal: SearchJournal | None = None
        self._clock = time.monotonic()

    def open(self, path: Path) -> None:
        """Begin to write, and to count the time. Raises FileError."""
        self._journal = SearchJournal(path)
        self._clock = time.monotonic()

    def replay(self, record: SearchRecordLine) -> None:
        """Take a record into account that the journal holds already."""
        self.state.add(record)
        self.emit(record)

    def append(self, record: SearchRecordLine) -> None:
        """Write a record down and announce it. Raises FileError."""
        assert self._journal is not None
        self._journal.append(record)
        self.replay(record)

    def tick(self) -> Spending:
        """The spending up to now, time among it."""
        now = time.monotonic()
        self.state.spending += Spending(seconds=now - self._clock)
        self._clock = now
        return self.state.spending

    def skip_time(self) -> None:
        """Do not count the time since the last look: it was a pause."""
        self._clock = time.monotonic()

    def spend(self, spent: Spending) -> None:
        """Add what was spent beside time, and write the sum down."""
        self.state.spending += msgspec.structs.replace(spent, seconds=0.0)
        self.append(SearchSpent(spending=self.tick()))

    def note_time(self) -> None:
        """Write down the time up to now, where the journal is open. Raises FileError."""
        if self._journal is not None:
            self.spend(Spending())

    def close(self) -> None:
        if self._journal:
            self._journal.close()
            self._journal = None
