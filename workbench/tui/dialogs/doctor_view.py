"""DoctorView: what works on this machine, check by check, and the command for each thing that does not."""

from __future__ import annotations

from typing import ClassVar

from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Vertical
from textual.content import Content

from workbench.doctor.finding import Finding
from workbench.sanitize import sanitize, sanitize_line
from workbench.tui.checkup_task import CheckupTask
from workbench.tui.widgets.dialog import Dialog, is_open
from workbench.tui.widgets.plain import Label, Option, OptionList, Static

_POLLS_PER_SECOND = 4
_MARKS = {"ok": ("✓", "$text-success"), "warning": ("!", "$text-warning"), "failed": ("✗", "bold $text-error")}


class DoctorView(Dialog[None]):
    """A row for each check; the chosen one's command stands below the list. Leaving stops the checks."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("escape,q", "leave", "close", id="doctor.leave", priority=True),
        Binding("enter,c", "copy_command", "copy the command", id="doctor.copy", priority=True),
    ]

    def __init__(self, checks: CheckupTask) -> None:
        super().__init__()
        self._checks = checks
        self._shown = -1
        self._rows: list[Finding] = []

    def compose(self) -> ComposeResult:
        with Vertical(classes="dialog -whole", id="doctor") as dialog:
            dialog.border_title = "Doctor"
            yield Label("", id="doctor-state")
            yield OptionList(id="doctor-checks")
            yield Static("", id="doctor-detail")
            yield Label("up/down choose   enter copy the command   esc close, stops the checks", classes="muted")

    def on_mount(self) -> None:
        self.query_one(OptionList).focus()
        self.set_interval(1 / _POLLS_PER_SECOND, self._poll)
        self._poll()

    def on_option_list_option_highlighted(self) -> None:
        self._describe_chosen()

    def action_copy_command(self) -> None:
        finding = self._chosen()
        if finding is None or not finding.command:
            self.notify("Nothing needs to be run for this check.")
            return
        self.app.copy_to_clipboard(finding.command)
        self.notify(sanitize_line(finding.command), title="Copied", markup=False)

    def action_leave(self) -> None:
        if self._checks.running:
            self._checks.cancel()
        self.dismiss(None)

    def _poll(self) -> None:
        if not is_open(self) or self._checks.version == self._shown:
            return
        self._shown = self._checks.version
        self.query_one("#doctor-state", Label).update(describe_checkup(self._checks))
        new = self._checks.findings[len(self._rows) :]
        self._rows += new
        listed = self.query_one(OptionList)
        listed.add_options([Option(_write_row(finding)) for finding in new])
        if listed.highlighted is None and self._rows:
            listed.highlighted = 0
        if not self._checks.running:
            self._show_first_problem(listed)

    def _show_first_problem(self, listed: OptionList) -> None:
        """Where nobody has moved yet, the cursor goes to what should be mended first."""
        worst = sorted(range(len(self._rows)), key=lambda index: -list(_MARKS).index(self._rows[index].status))
        if listed.highlighted == 0 and worst and self._rows[worst[0]].status != "ok":
            listed.highlighted = worst[0]

    def _chosen(self) -> Finding | None:
        index = self.query_one(OptionList).highlighted
        return self._rows[index] if index is not None and index < len(self._rows) else None

    def _describe_chosen(self) -> None:
        finding = self._chosen()
        if finding is None:
            return
        command = f"\nRun: {sanitize(finding.command)}" if finding.command else "\n"
        self.query_one("#doctor-detail", Static).update(
            Content.assemble(f"{sanitize(finding.name)}: {sanitize(finding.text)}", (command, "bold $text-accent"))
        )


def describe_checkup(checks: CheckupTask) -> Content:
    """How far it is, or what it came to, on one line."""
    if checks.error is not None:
        return Content.assemble((sanitize(checks.error.message), "bold $text-error"))
    done = len(checks.findings)
    if checks.running:
        return Content(f"{done} checked, checking… Each engine takes a few seconds.")
    failed = sum(finding.status == "failed" for finding in checks.findings)
    warned = sum(finding.status == "warning" for finding in checks.findings)
    noted = f"; {warned} could be better" if warned else ""
    if failed:
        return Content.assemble((f"{failed} of {done} checks failed{noted}.", "bold $text-error"))
    return Content.assemble((f"All {done} checks passed{noted}.", "$text-success"))


def _write_row(finding: Finding) -> Content:
    mark, style = _MARKS[finding.status]
    return Content.assemble(
        (f"{mark} ", style), (sanitize_line(finding.name), "bold"), f"  {sanitize_line(finding.text)}"
    )
