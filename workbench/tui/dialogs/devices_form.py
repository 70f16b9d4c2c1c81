"""DevicesForm: which devices compute a model; what that takes on each is shown while it is typed.

Dismissed with the changed entry of the bench, or with None.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import ClassVar

from textual import on, work
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Vertical, VerticalScroll
from textual.content import Content
from textual.timer import Timer

from workbench.errors import WorkbenchError
from workbench.models.reference import Format
from workbench.runs.bench import ModelChoice
from workbench.runs.device_fields import change_device_fields, list_device_fields
from workbench.sanitize import sanitize
from workbench.tui.widgets.dialog import FormDialog, is_open
from workbench.tui.widgets.editing import Input
from workbench.tui.widgets.line_form import FormLine, LineForm
from workbench.tui.widgets.plain import Label, Static, plain_line

_PAUSE = 0.2
"""seconds after the last keystroke before the memory is estimated"""

ShowMemory = Callable[[ModelChoice, Callable[[Content], None]], None]
"""estimates what an entry takes and shows it, in several steps where it takes longer; called on a thread"""


class DevicesForm(FormDialog[ModelChoice | None]):
    """One field a line; an empty one leaves it to the settings of this machine."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("escape", "cancel", "close", id="devices.leave"),
        Binding("ctrl+s", "apply", "save", id="devices.apply", tooltip="Save the devices", priority=True),
        # before the form's scrolling, which takes them where not all fields are seen
        Binding("down", "app.focus_next", "next field", show=False, id="devices.next", priority=True),
        Binding("up", "app.focus_previous", "previous field", show=False, id="devices.previous", priority=True),
        Binding("pageup,pagedown", "scroll_memory", "scroll the estimate", show=False, id="devices.scroll"),
    ]

    def __init__(
        self,
        name: str,
        format: Format,
        choice: ModelChoice,
        given: Mapping[str, str],
        defaults: Mapping[str, str],
        show_memory: ShowMemory,
    ) -> None:
        """given: what the entry says. defaults: what the settings say, shown in empty fields."""
        super().__init__()
        self._title, self._choice, self._show_memory = f"Devices of {name}", choice, show_memory
        lines = [
            FormLine(one.name, one.name, _describe_unsaid(one.name, one.unsaid, defaults), one.explanation)
            for one in list_device_fields(format)
        ]
        self._names = tuple(line.id for line in lines)
        self.form = LineForm("devices", lines, given)
        self._timer: Timer | None = None

    def compose(self) -> ComposeResult:
        with Vertical(classes="dialog -whole", id="devices") as dialog:
            dialog.border_title = plain_line(self._title)
            yield self.form
            yield Label("", id="devices-problem")
            with VerticalScroll(id="devices-memory", can_focus=False):
                yield Static(id="devices-estimate")
            yield Label("up/down move   enter save   page down scrolls   esc cancel", classes="muted")

    def on_mount(self) -> None:
        super().on_mount()
        self.query(Input).first().focus()
        self._read()

    @on(Input.Changed)
    def _typed(self) -> None:
        if self._timer is not None:
            self._timer.stop()
        self._timer = self.set_timer(_PAUSE, self._read)

    @on(Input.Submitted)
    def _submitted(self) -> None:
        self.action_apply()

    def action_scroll_memory(self) -> None:
        """The rest of the estimate; after its end again the beginning."""
        memory = self.query_one("#devices-memory")
        at_end = memory.scroll_y >= memory.max_scroll_y
        memory.scroll_home(animate=False) if at_end else memory.scroll_page_down(animate=False)

    def action_apply(self) -> None:
        """Leave with the entry; stay, with the problem, where it cannot be used."""
        changed = self._read_choice()
        if changed is not None:
            self.dismiss(changed)

    def _read_choice(self) -> ModelChoice | None:
        texts = {name: self.form.read_text(name) for name in self._names}
        problem = self.query_one("#devices-problem", Label)
        try:
            changed = change_device_fields(self._choice, texts)
        except WorkbenchError as error:
            problem.update(sanitize(error.message))
            return None
        problem.update("")
        return changed

    def _read(self) -> None:
        if not is_open(self):
            return
        changed = self._read_choice()
        if changed is not None:
            self._estimate(changed)

    @work(thread=True, group="estimate", exclusive=True)
    def _estimate(self, choice: ModelChoice) -> None:
        """Read the model's header, and ask for the devices, which may take seconds."""
        self._show_memory(choice, lambda text: self.app.call_from_thread(self._show_estimate, choice, text))

    def _show_estimate(self, choice: ModelChoice, text: Content) -> None:
        if is_open(self) and choice == self._read_choice():  # not what was typed before
            self.query_one("#devices-estimate", Static).update(text)


def _describe_unsaid(name: str, unsaid: str, defaults: Mapping[str, str]) -> str:
    return f"{defaults[name]} (settings)" if name in defaults else unsaid
