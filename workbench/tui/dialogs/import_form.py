"""ImportForm: a file of another tool, and what would be made and lost. Dismissed with the plan, or with None."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import ClassVar

from textual import on
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Horizontal, Vertical

from workbench import paths
from workbench.errors import FileError, WorkbenchError
from workbench.interop.import_plan import ImportPlan, ImportRequest, describe_plan
from workbench.sanitize import sanitize
from workbench.tui.widgets.dialog import FormDialog, is_open
from workbench.tui.widgets.editing import Input, TextArea
from workbench.tui.widgets.plain import Label

_PAUSE = 0.15
"""seconds after the last keystroke before the file is read"""


class ImportForm(FormDialog[ImportPlan | None]):
    """The loss list stands here before anything is written."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("escape", "cancel", "close", id="import.leave"),
        Binding("ctrl+s", "create", "import", id="import.create", tooltip="Import the files", priority=True),
        Binding("ctrl+o", "browse", "browse", id="import.browse", tooltip="Browse for a file", priority=True),
    ]

    def __init__(
        self, plan: Callable[[ImportRequest], ImportPlan], pick: Callable[[], Awaitable[str]], file: str = ""
    ) -> None:
        """plan: called on a thread. pick: asks for a file in a list; "" for none. file: to begin with."""
        super().__init__()
        self._plan, self._pick, self._file = plan, pick, file

    def compose(self) -> ComposeResult:
        with Vertical(classes="dialog", id="import-form") as dialog:
            dialog.border_title = "Import"
            with Horizontal(classes="field"):
                yield Label("file")
                yield Input(self._file, placeholder="such as promptfooconfig.yaml", id="import-file", compact=True)
            with Horizontal(classes="field"):
                yield Label("save as")
                yield Input(placeholder="as the file", id="import-name", compact=True)
            with Horizontal(classes="field"):
                yield Label("model")
                yield Input(placeholder="as the file says", id="import-model", compact=True)
            with Horizontal(classes="field"):
                yield Label("judge")
                yield Input(placeholder="for assertions that a model grades", id="import-judge", compact=True)
            yield TextArea("", read_only=True, soft_wrap=True, show_line_numbers=False, id="import-preview")
            yield Label("enter import   tab next field   ^o browse   esc cancel", classes="muted")

    def on_mount(self) -> None:
        self.query_one("#import-file").focus()
        self._replan()

    @on(Input.Changed)
    def _typed(self) -> None:
        self._replan(_PAUSE)

    @on(Input.Submitted)
    def action_create(self) -> None:
        """Read everything as it stands now, and be done unless something is wrong."""
        self._replan(create=True)

    def action_browse(self) -> None:
        self.run_worker(self._browse(), group="browse", exclusive=True)

    async def _browse(self) -> None:
        picked = await self._pick()
        if picked and is_open(self):
            self.query_one("#import-file", Input).value = picked

    def _replan(self, pause: float = 0, create: bool = False) -> None:
        self.run_worker(self._read(pause, create), group="plan", exclusive=True)

    async def _read(self, pause: float, create: bool) -> None:
        await asyncio.sleep(pause)
        request = self._request()
        if request is None:
            self._show("A promptfoo configuration, a .prompty, .prompt or llm template, OpenAI JSON, a Modelfile …")
            return
        try:
            planned = await asyncio.to_thread(self._plan, request)
        except WorkbenchError as error:
            if is_open(self):
                self._show(str(error))
            return
        if not is_open(self):  # it was left meanwhile
            return
        if create and self.is_current:
            self.dismiss(planned)
        else:
            self._show("\n".join(describe_plan(planned)))

    def _request(self) -> ImportRequest | None:
        """What the fields say; None while there is no file."""
        file = self.query_one("#import-file", Input).value.strip()
        if not file:
            return None
        try:
            path = paths.read_pasted(file)
        except FileError:
            path = Path(file)
        fields = (self.query_one(f"#import-{one}", Input) for one in ("name", "model", "judge"))
        name, model, judge = (field.value.strip() for field in fields)
        return ImportRequest((path,), None, name, model, judge)

    def _show(self, text: str) -> None:
        self.query_one("#import-preview", TextArea).text = sanitize(text)
