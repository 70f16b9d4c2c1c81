"""TypedText: what is typed in the edit column, on its way into the session.

Kept as an autosave at least once a second, and acted on once the keyboard has been quiet for a moment.
"""

from __future__ import annotations

from collections.abc import Callable

from textual.timer import Timer

from workbench.errors import WorkbenchError
from workbench.runs.session import Session
from workbench.tui.ui import Ui
from workbench.tui.widgets.edit_column import EditColumn

KEEP_SECONDS = 1.0
"""after which what was typed is kept, quiet or not"""


class TypedText:
    """Text belongs to the prompt and the case that it was typed into, whichever is chosen by now."""

    def __init__(
        self,
        session: Session,
        edit: EditColumn,
        ui: Ui,
        set_timer: Callable[[float, Callable[[], object]], Timer],
        on_quiet: Callable[[], object],
    ) -> None:
        """on_quiet: called after a pause in which something new was taken into the session."""
        self._session, self._edit, self._ui = session, edit, ui
        self._set_timer, self._on_quiet = set_timer, on_quiet
        self._quiet: Timer | None = None
        self._keeping: Timer | None = None

    @property
    def waiting(self) -> bool:
        """Whether something was typed that nothing has been done about yet."""
        return self._quiet is not None

    def wait(self) -> None:
        """A key was pressed: wait for the next pause."""
        if self._quiet:
            self._quiet.stop()
        self._quiet = self._set_timer(self._session.settings.live_delay_ms / 1000, self._pause)
        if self._keeping is None:
            self._keeping = self._set_timer(KEEP_SECONDS, self.keep)

    def keep(self) -> bool:
        """Take what was typed into the session, which autosaves it; the panes still wait. Whether anything is new."""
        if self._keeping:
            self._keeping.stop()
            self._keeping = None
        changed = any([self.take_case(), self._take_prompt()])
        if changed:
            self._session.note_step()  # before an action changes something else
        return changed

    def commit(self) -> bool:
        """The same, and stop waiting. Call it before acting on the session."""
        waiting = self.waiting
        if self._quiet:
            self._quiet.stop()
            self._quiet = None
        return self.keep() or waiting

    def take_case(self) -> bool:
        """Take what was typed over the case; whether anything is new."""
        found = self._edit.case.take_edits()
        if found is None or found[0].dataset != self._session.bench.dataset:
            return False
        case, edits = found
        changed = [self._session.type_input(name, text, case.number) for name, text in edits.items()]
        return True in changed

    def _take_prompt(self) -> bool:
        editor = self._edit.editor
        try:
            if not editor.is_edited:
                return False
            changed = self._session.edit_prompt(editor.prompt, editor.text)
        except WorkbenchError as error:
            self._ui.show_error(error)
            return False
        editor.mark_taken()
        return changed

    def _pause(self) -> None:
        if self.commit():
            self._on_quiet()
