"""A finding: what one check found, and the one command to run where something is wrong."""

from __future__ import annotations

from typing import Literal

import msgspec


class Finding(msgspec.Struct, frozen=True):
    """failed: something does not work; warning: it works, with less than this machine could give.

    figures: what was measured, for programs.
    """

    name: str
    status: Literal["ok", "warning", "failed"]
    text: str
    command: str = ""
    figures: dict[str, float | str] = {}


def ok(name: str, text: str, **figures: float | str) -> Finding:
    return Finding(name, "ok", text, figures=figures)


def warning(name: str, text: str, command: str = "", **figures: float | str) -> Finding:
    return Finding(name, "warning", _join_lines(text), command, figures)


def failed(name: str, text: str, command: str, **figures: float | str) -> Finding:
    return Finding(name, "failed", _join_lines(text), command, figures)


def _join_lines(text: str) -> str:
    """One line of several, as a file with several wrong lines brings."""
    return "; ".join(line.strip() for line in text.splitlines() if line.strip())
