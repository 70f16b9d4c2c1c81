"""A finding: what one check found, and the one command to run where something is wrong."""

from __future__ import annotations

import shutil
import sys
from importlib.util import find_spec
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
    return Finding(name, "warning", text, command, figures)


def failed(name: str, text: str, command: str, **figures: float | str) -> Finding:
    return Finding(name, "failed", text, command, figures)


def pip_install(*words: str) -> str:
    """The command that installs packages into this environment; `uv tool install` makes one without pip."""
    python = sys.executable
    if find_spec("pip"):
        start = f"{python} -m pip install"
    elif shutil.which("uv"):
        start = f"uv pip install --python {python}"
    else:
        start = f"{python} -m ensurepip && {python} -m pip install"
    return " ".join((start, *words))
