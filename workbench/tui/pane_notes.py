"""PaneNotes: writes down which versions of prompts were run in panes, for the history of the prompts."""

from __future__ import annotations

from collections.abc import Sequence

from workbench.library.library import Library
from workbench.prompting.prompt import Prompt
from workbench.runs.session import Session
from workbench.tui.background_task import BackgroundTask
from workbench.tui.ui import Ui


class PaneNote(BackgroundTask[None]):
    """One writing. error: the file cannot be written."""

    def __init__(self, library: Library, prompts: Sequence[Prompt]) -> None:
        super().__init__("pane versions")
        self._library, self._prompts = library, prompts

    def work(self) -> None:
        for prompt in self._prompts:
            self._library.note_pane_run(prompt)


class PaneNotes:
    """Keeps the versions that the panes of a session run."""

    def __init__(self, session: Session, ui: Ui) -> None:
        self._session, self._ui = session, ui
        self._last: PaneNote | None = None
        self._failed = False

    def note(self, prompts: Sequence[Prompt]) -> None:
        """Keep these; where that failed the last time, say so once and keep no more."""
        if self._last is not None and self._last.error and not self._failed:
            self._failed = True
            self._ui.show_error(self._last.error)
        if prompts and not self._failed:
            self._last = PaneNote(self._session.library, prompts)
            self._ui.launch(self._last)
