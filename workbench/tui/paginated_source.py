"""PaginatedSource: rows of a long table, loaded a page at a time on a thread. `get` never waits."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from threading import Lock
from typing import Generic, TypeVar

Item = TypeVar("Item")

PAGE = 64
KEPT = 32
"""pages that are remembered; the table can be as long as it likes"""


class PaginatedSource(Generic[Item]):
    """A window onto `fetch(offset, limit)`.

    arrived: called on the fetching thread whenever a page came. failed: likewise, with what went wrong.
    """

    def __init__(
        self,
        fetch: Callable[[int, int], Sequence[Item]],
        arrived: Callable[[], object],
        failed: Callable[[Exception], object],
    ) -> None:
        self._fetch, self._arrived, self._failed = fetch, arrived, failed
        self._pages: OrderedDict[int, Sequence[Item]] = OrderedDict()
        self._wanted: dict[int, int] = {}
        self._version = 0
        self._fresh: dict[int, int] = {}
        self._lock = Lock()
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="pages")

    def get(self, index: int) -> Item | None:
        """The row at an index, the last that is known of it; None while it is still being fetched."""
        number, position = divmod(index, PAGE)
        if self._fresh.get(number) != self._version and self._wanted.get(number) != self._version:
            self._wanted[number] = self._version
            self._thread.submit(self._load, number, self._version)
        with self._lock:
            page = self._pages.get(number)
            if page is None:
                return None
            self._pages.move_to_end(number)
        return page[position] if position < len(page) else None

    def refresh(self) -> None:
        """What is known may be out of date: it stays on show until it is fetched again."""
        self._version += 1

    def clear(self) -> None:
        """What is known is about something else: forget it."""
        with self._lock:
            self._pages.clear()
        self.refresh()

    def close(self) -> None:
        self._thread.shutdown(wait=False, cancel_futures=True)

    def _load(self, number: int, version: int) -> None:
        if version != self._version:
            return  # asked for again, or no longer looked at
        try:
            page = self._fetch(number * PAGE, PAGE)
        except Exception as error:  # noqa: BLE001 - on a thread of its own nobody else would hear of it
            self._failed(error)
            return
        with self._lock:
            self._pages[number] = page
            self._pages.move_to_end(number)
            self._fresh[number] = version
            while len(self._pages) > KEPT:
                gone, _ = self._pages.popitem(last=False)
                self._fresh.pop(gone, None)
                self._wanted.pop(gone, None)
        self._arrived()
