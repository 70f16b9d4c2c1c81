"""Keys: every binding that works on a screen, grouped, for the help page.

Only bindings with an id of ours are listed; those are the ones a person can move.
"""

from __future__ import annotations

from typing import Any

from textual.screen import Screen

from workbench.tui.dialogs.help import KeyRow

_OWNERS = {
    "app", "bench", "models", "pane", "editor", "examples", "evaluation", "matrix", "vote", "training", "verdict",
    "registry", "sweep",
}  # fmt: skip
_PLACES = {
    "OutputPane": "On a pane",
    "ExampleList": "In the examples",
    "PromptEditor": "In the prompt",
    "MatrixTable": "In the table",
}


def list_keys(screen: Screen[Any]) -> list[tuple[str, list[KeyRow]]]:
    """Groups of keys: title and rows, once each."""
    nodes: list[tuple[str, Any]] = [("Everywhere", screen.app), ("On this screen", screen)]
    for kind, title in _PLACES.items():
        nodes += [(title, widget) for widget in screen.query(kind)][:1]
    return [(title, _rows(screen, node)) for title, node in nodes]


def _rows(screen: Screen[Any], node: Any) -> list[KeyRow]:
    keys: dict[str, tuple[list[str], str]] = {}
    for _, binding in node._bindings:
        if binding.id and binding.id.split(".")[0] in _OWNERS:
            keys.setdefault(binding.id, ([], binding.description))[0].append(screen.app.get_key_display(binding))
    return [KeyRow(" ".join(shown), text, id) for id, (shown, text) in keys.items()]
