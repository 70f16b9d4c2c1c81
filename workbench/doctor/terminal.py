"""The terminal: encoding, size, colours, keyboard, clipboard."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable, Iterator, Mapping

from workbench.doctor.finding import Finding, failed, ok, warning

LEAST_SIZE = (80, 24)
_TMUX_CLIPBOARD = "tmux set -g set-clipboard on"


def check_terminal(
    environment: Mapping[str, str] = os.environ,
    size: tuple[int, int] | None = None,
    encoding: str | None = None,
    read_tmux: Callable[[], str] = lambda: "",
    ask_keyboard: Callable[[], bool | None] = lambda: None,
) -> Iterator[Finding]:
    """Encoding, size, colours, keyboard, clipboard. size: columns and rows; None where standard output is no terminal.

    read_tmux: its option set-clipboard. ask_keyboard: whether it has the kitty keyboard protocol; None if unknown.
    """
    written = (encoding or sys.stdout.encoding or "").lower().replace("-", "")
    if written != "utf8":
        yield failed("encoding", f"expected UTF-8, found {encoding or 'none'}", "export LC_ALL=C.UTF-8")
    else:
        yield ok("encoding", "UTF-8")
    if size is None:
        yield ok("terminal", "none: standard output is a pipe or a file")
        return
    if size == (0, 0):
        yield ok("terminal size", "the terminal does not tell")
    elif size[0] < LEAST_SIZE[0] or size[1] < LEAST_SIZE[1]:
        text = f"{size[0]} x {size[1]} is too small; the screen needs {LEAST_SIZE[0]} x {LEAST_SIZE[1]}"
        yield failed("terminal size", text, r"printf '\e[8;40;120t'")
    else:
        yield ok("terminal size", f"{size[0]} x {size[1]}")
    yield _check_colours(environment)
    yield _check_keyboard(ask_keyboard())
    yield _check_clipboard(environment, read_tmux)


def _check_colours(environment: Mapping[str, str]) -> Finding:
    term = environment.get("TERM", "")
    if term in ("", "dumb"):
        return failed(
            "colours", f"TERM is {term or 'not set'}: the screen cannot be drawn", "export TERM=xterm-256color"
        )
    if environment.get("COLORTERM", "") in ("truecolor", "24bit") or "direct" in term:
        return ok("colours", f"16 million ({term})")
    return ok("colours", f"{256 if '256' in term else 16} ({term}); COLORTERM=truecolor promises more")


def _check_keyboard(kitty: bool | None) -> Finding:
    if kitty is None:
        return ok("keyboard", "not known whether the terminal has the kitty protocol; no key needs it")
    text = (
        "modified keys are told apart (kitty protocol)" if kitty else "ctrl+shift+z is ctrl+z; no key needs the other"
    )
    return ok("keyboard", text, kitty=float(kitty))


def _check_clipboard(environment: Mapping[str, str], read_tmux: Callable[[], str]) -> Finding:
    """OSC 52 has no answer that every terminal gives, so what is known to refuse it is named."""
    if environment.get("TERM_PROGRAM") == "Apple_Terminal":
        return warning("clipboard", "Terminal.app has no OSC 52: copying reaches this program alone")
    option = read_tmux().strip() if environment.get("TMUX") else ""
    if option == "off":
        return failed("clipboard", "tmux keeps copied text to itself", _TMUX_CLIPBOARD)
    if option == "external":  # its default: only tmux's own copies go out
        text = "tmux takes no copied text from programs (set-clipboard is external): copying reaches this program alone"
        return warning("clipboard", text, _TMUX_CLIPBOARD)
    if environment.get("STY"):
        return warning("clipboard", "GNU screen passes no copied text on: copying reaches this program alone")
    return ok("clipboard", "by OSC 52, where the terminal permits it")


def read_size() -> tuple[int, int] | None:
    """None where it is no terminal; (0, 0) on one that does not tell."""
    terminal = sys.__stdout__  # the screen puts something of its own in the place of sys.stdout
    return tuple(os.get_terminal_size(terminal.fileno())) if terminal and terminal.isatty() else None  # type: ignore[return-value]


def read_encoding() -> str:
    return (sys.__stdout__ or sys.stdout).encoding or ""


def read_tmux() -> str:
    try:
        command = ["tmux", "show", "-gv", "set-clipboard"]
        return subprocess.run(command, capture_output=True, text=True, timeout=5, check=False).stdout
    except (OSError, subprocess.TimeoutExpired):
        return ""
