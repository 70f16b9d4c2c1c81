"""CheckupTask: every check of this installation, one after another, beside the screens."""

from __future__ import annotations

from workbench.doctor.checkup import run_checks
from workbench.doctor.finding import Finding
from workbench.tui.background_task import BackgroundTask


class CheckupTask(BackgroundTask[int]):
    """findings: those so far; the list only grows. result: how many failed."""

    def __init__(self) -> None:
        super().__init__("doctor")
        self.findings: list[Finding] = []

    def work(self) -> int:
        for finding in run_checks(self.on_cancel):
            if self.cancelled:
                break
            self.findings.append(finding)
            self.report()
        return sum(finding.status == "failed" for finding in self.findings)
