"""PromptSearches: searches for better prompts, one at a time in the background; others as their journals have them."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

from workbench.errors import WorkbenchError
from workbench.inference.types import Thinking
from workbench.prompting.prompt import Example
from workbench.runs.session import Session
from workbench.search.candidate import SEED
from workbench.search.journal import SearchEvent, SearchProgress, read_journal
from workbench.search.prompt_search import PromptSearch
from workbench.search.request import SearchRequest
from workbench.search.result import SearchResult
from workbench.search.search_dir import SearchDir, list_search_dirs
from workbench.search.search_plan import SearchPlan
from workbench.search.state import SearchState
from workbench.tui.background_task import BackgroundTask
from workbench.tui.bench_runs import BenchRuns

MakePromptSearch = Callable[[Callable[[SearchEvent], None]], PromptSearch]


class CandidateEdit(NamedTuple):
    """A candidate that a person made of another one. reason: where it comes from, in words."""

    body: str
    examples: tuple[Example, ...]
    thinking: Thinking
    reason: str


class PromptSearchTask(BackgroundTask[SearchResult | None]):
    """A search that runs here. state: what has come of it, as of the last `refresh`."""

    def __init__(self, make: MakePromptSearch, request: SearchRequest, branch: CandidateEdit | None = None) -> None:
        """branch: is tried first, after the hand-written prompt."""
        super().__init__("optimize")
        self.stage = "opening"
        self.request = request
        self.state = SearchState()
        self.shown: SearchProgress | None = None
        self.paused = False
        self._make, self._branch = make, branch
        self._search: PromptSearch | None = None
        self._events: deque[SearchEvent] = deque()

    @property
    def search_dir(self) -> SearchDir | None:
        return self._search.search_dir if self._search is not None else None

    def work(self) -> SearchResult | None:
        search = self._search = self._make(self._events.append)
        self.on_cancel(search.cancel)
        if self._branch is not None:
            edit = self._branch
            search.add_candidate(SEED, edit.body, edit.examples, edit.thinking, edit.reason)
        return search.run()

    def refresh(self) -> bool:
        """Take in what has happened since; whether anything has. On the screen's thread."""
        fresh = False
        while self._events:
            event = self._events.popleft()
            self.state.add(event)
            if isinstance(event, SearchProgress):
                self.shown = event
            fresh = True
        return fresh

    def toggle_pause(self) -> None:
        if self._search is None:
            return
        self.paused = not self.paused
        if self.paused:
            self._search.pause()
        else:
            self._search.unpause()

    def finish(self) -> None:
        """Search no further; the best so far goes to the test."""
        if self._search is not None:
            self.paused = False
            self._search.finish()

    def add(self, parent: str, edit: CandidateEdit) -> None:
        """Have a candidate tried before the next batch."""
        if self._search is not None:
            self._search.add_candidate(parent, edit.body, edit.examples, edit.thinking, edit.reason)


class StoredSearch:
    """A search that does not run here: its journal, which another process may be writing."""

    running = paused = cancelled = False
    shown: SearchProgress | None = None
    error: WorkbenchError | None = None
    version = 0

    def __init__(self, search_dir: SearchDir, request: SearchRequest) -> None:
        self.search_dir, self.request = search_dir, request
        self.state = SearchState()
        self._offset = 0

    @property
    def elsewhere(self) -> bool:
        """Whether another process carries it out."""
        return self.search_dir.is_alive()

    def refresh(self) -> bool:
        """Read on. Raises SearchError for a journal that cannot be read."""
        page = read_journal(self.search_dir.journal, self._offset)
        self._offset = page.offset
        for record in page.records:
            self.state.add(record)
        return bool(page.records)


ShownSearch = PromptSearchTask | StoredSearch


class PromptSearches:
    """The searches on one open bench. current: the one on show."""

    def __init__(self, session: Session, runs: BenchRuns) -> None:
        self.session = session
        self.current: ShownSearch | None = None
        self._runs = runs

    @property
    def task(self) -> PromptSearchTask | None:
        """The one that was started here."""
        return self.current if isinstance(self.current, PromptSearchTask) else None

    @property
    def running(self) -> bool:
        return self.current is not None and self.current.running

    def plan(self, request: SearchRequest) -> SearchPlan:
        """What a search would cost. Reads its data: not for the screen's thread. Raises WorkbenchError."""
        return self._make(request, None, lambda event: None).plan()

    def make_task(
        self, request: SearchRequest, search_dir: SearchDir | None = None, branch: CandidateEdit | None = None
    ) -> PromptSearchTask:
        """The current search from now on; the caller starts it. search_dir: of one that is continued."""
        self.current = PromptSearchTask(lambda emit: self._make(request, search_dir, emit), request, branch)
        return self.current

    def open(self, search_dir: SearchDir) -> StoredSearch:
        """Show a search as its journal has it. Raises SearchError."""
        self.current = stored = _read_stored(search_dir)
        return stored

    def find_unfinished(self) -> StoredSearch | None:
        """The newest search on this bench, where it has not come to its end. Reads journals. Raises WorkbenchError."""
        for search_dir in self.list_dirs()[:1]:
            stored = _read_stored(search_dir)
            return stored if stored.state.ended is None else None
        return None

    def list_dirs(self) -> list[SearchDir]:
        """Every search on this bench, the newest first."""
        found = []
        for search_dir in list_search_dirs():
            try:
                if Path(search_dir.started.request.bench) == self.session.path.absolute():
                    found.append(search_dir)
            except WorkbenchError:
                continue  # of another version, or damaged: nothing to show
        return found

    def _make(
        self, request: SearchRequest, search_dir: SearchDir | None, emit: Callable[[SearchEvent], None]
    ) -> PromptSearch:
        runs = self._runs
        return PromptSearch(request, self.session.settings, runs.pool, runs.store, emit, search_dir)


def _read_stored(search_dir: SearchDir) -> StoredSearch:
    stored = StoredSearch(search_dir, search_dir.started.request)
    stored.refresh()
    return stored
