"""Every key that the code binds, with the id by which the settings change it."""

from __future__ import annotations

import importlib
import inspect
import pkgutil
from collections.abc import Iterator
from typing import NamedTuple

from textual.binding import Binding
from textual.dom import DOMNode

import workbench.tui
from workbench.tui.actions.palette import ACTIONS
from workbench.tui.commands import BENCH_KEYS
from workbench.tui.keys import describe_key, find_action

GROUPS = {
    "app": "Everywhere",
    "screen": "Screens and dialogs",
    "text": "Inside text",
    "editor": "Prompt editor",
    "find": "Find and replace",
    "bench": "Bench",
    "pane": "A pane",
    "examples": "Examples",
    "list": "Lists",
    "picker": "Lists with a search field",
    "files": "File dialog",
    "jump": "Jump mode",
    "evaluation": "Matrix",
    "matrix": "Cells of the matrix",
    "cell": "A cell",
    "confusion": "Confusion matrix",
    "plots": "Plots",
    "vote": "Blind votes",
    "passages": "Passages",
    "settings": "Settings of a pane",
    "adapters": "Adapters of a pane",
    "explanation": "Explanation of a score",
    "tokens": "Tokens of an answer",
    "difference": "Difference of two answers",
    "final": "Final prompt",
    "reader": "A long text",
    "example": "Example editor",
    "header": "Front matter",
    "scorers": "Scorers",
    "dataset": "Dataset",
    "new": "New bench",
    "import": "Import",
    "models": "Models and adapters",
    "devices": "Devices of a model",
    "engines": "Engines",
    "doctor": "Doctor",
    "history": "History of a prompt",
    "measurement": "Measurement of a pane",
    "optimize": "Prompt optimisation",
    "candidate": "Candidate of a search",
    "synthesis": "Synthetic rows",
    "training": "Training",
    "sweep": "Hyper-parameter sweep",
    "registry": "Trained adapters",
    "verdict": "Verdict",
    "question": "Questions",
    "name": "Dialogs with one field",
    "choice": "A row of choices",
}
"""what the part of an id before the dot stands for, in the order of the page"""


class BoundKeys(NamedTuple):
    """A binding of a class. id: None where it has none."""

    owner: type[DOMNode]
    binding: Binding


def find_bindings() -> Iterator[BoundKeys]:
    """What each screen, dialog and widget of the app declares itself."""
    for info in pkgutil.walk_packages(workbench.tui.__path__, f"{workbench.tui.__name__}."):
        for _, held in inspect.getmembers(importlib.import_module(info.name), inspect.isclass):
            if issubclass(held, DOMNode) and held.__module__ == info.name:
                declared = [one for one in held.__dict__.get("BINDINGS", []) if isinstance(one, Binding)]
                yield from (BoundKeys(held, binding) for binding in declared)


def group_keys() -> dict[str, list[tuple[str, str, str]]]:
    """Group -> id, keys as the settings take them, and what they do."""
    found: dict[str, tuple[str, str]] = {}
    for _, binding in find_bindings():
        if binding.id:
            keys, words = found.get(binding.id, ("", ""))
            more = [key for key in binding.key.split(",") if key not in keys.split(",")]
            found[binding.id] = (",".join(filter(None, (keys, *more))), words or _describe(binding))
    groups: dict[str, list[tuple[str, str, str]]] = {title: [] for title in GROUPS.values()}
    for id, (keys, words) in found.items():
        groups[GROUPS[id.partition(".")[0]]].append((id, keys, words))
    return {title: rows for title, rows in groups.items() if rows}


def _describe(binding: Binding) -> str:
    action = None if binding.tooltip else ACTIONS.get(find_action(binding))
    if action is None and binding.id in BENCH_KEYS:
        return BENCH_KEYS[binding.id][1]
    return action.title.rstrip("…") if action else describe_key(binding)
