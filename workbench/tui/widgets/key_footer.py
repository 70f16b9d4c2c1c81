"""KeyFooter: the keys of what has the focus on the left; help and the palette always at the right edge."""

from __future__ import annotations

import textual.widgets
from textual.app import ComposeResult
from textual.widget import Widget

from workbench.tui.widgets.plain import Static

_PINNED = ("help", "command_palette")


class KeyFooter(textual.widgets.Footer):
    """Textual's, with two keys pinned."""

    def __init__(self) -> None:
        super().__init__(show_command_palette=False, compact=True)

    def compose(self) -> ComposeResult:
        pinned: dict[str, Widget] = {}
        for key in super().compose():
            action = getattr(key, "action", "")
            if action in _PINNED:
                pinned[action] = key
            else:
                yield key
        yield Static(classes="footer-space")
        yield from (pinned[action] for action in _PINNED if action in pinned)
