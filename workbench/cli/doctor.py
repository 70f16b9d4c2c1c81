"""`workbench doctor`: what works on this machine, proved, and one command for each thing that does not."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

import typer

from workbench.cli import terminal
from workbench.cli.options import Json

if TYPE_CHECKING:
    from workbench.doctor.finding import Finding

_MARKS = {"ok": ("✓", "green"), "warning": ("!", "yellow"), "failed": ("✗", "bold red")}


def main(json: Json = False) -> None:
    """Check this installation, and say how to fix it.

    Loads llama.cpp, lists its devices, lets the embedded model answer on the CPU, on each GPU backend and in
    transformers, compares the answers, and tries the libraries, sqlite, the folders, the terminal and the usual ports
    of local model servers. Each problem comes with one command to run.

    \b
      workbench doctor
      workbench doctor --json > doctor.json

    \b
    Exit codes: 0 everything works; 1 something does not.
    """
    from workbench.doctor.checkup import run_checks

    findings = []
    for finding in run_checks(ask_keyboard=_ask_keyboard):
        findings.append(finding)
        if not json:
            _print(finding)
    broken = sum(finding.status == "failed" for finding in findings)
    if json:
        import msgspec

        listed = {"ok": not broken, "findings": findings}
        terminal.write_json(msgspec.json.format(msgspec.json.encode(listed)).decode() + "\n")
    else:
        warnings = sum(finding.status == "warning" for finding in findings)
        noted = f"; {warnings} could be better" if warnings else ""
        total = f"{broken} of {len(findings)} checks failed" if broken else f"All {len(findings)} checks passed"
        terminal.write(f"{total}{noted}.\n")
    raise typer.Exit(terminal.FAILED if broken else terminal.OK)


def _ask_keyboard() -> bool | None:
    from workbench.doctor.keyboard import ask_keyboard

    return ask_keyboard(sys.stdin.fileno()) if sys.stdin.isatty() and sys.stdout.isatty() else None


def _print(finding: Finding) -> None:
    from rich.text import Text

    from workbench.cli.table import console

    mark, style = _MARKS[finding.status]
    line = Text(f"{mark} {finding.name}: {finding.text}", style if finding.status != "ok" else "")
    console().print(line, soft_wrap=True)
    if finding.command:
        console().print(Text(f"    Run: {finding.command}"), soft_wrap=True)
