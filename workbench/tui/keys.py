"""Keys: the bindings of a screen: in the footer, in order and as many as fit; and in groups for the help page.

Only bindings with an id are listed: those that the settings can change.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import replace
from typing import Any, ClassVar

from rich.cells import cell_len
from textual.app import App
from textual.binding import ActiveBinding, Binding, BindingType
from textual.dom import DOMNode
from textual.screen import ModalScreen, Screen, ScreenResultType

from workbench.tui.dialogs.help import KeyRow
from workbench.tui.widgets.dialog import SCREEN_KEYS
from workbench.tui.widgets.editing import Input, TextArea

_TYPING = ("app.help", "app.palette")
_NOT_TYPING = ("app.keys", "app.palette_outside_text")
_PINNED = (*_TYPING, *_NOT_TYPING)
_WIDTH_OF_PINNED = len("f1 keys ^k palette") + 2
_GROUPS = {
    "OutputPane": "Pane",
    "ExampleList": "Examples",
    "PassageList": "Passages",
    "PromptEditor": "Prompt editor",
    "MatrixTable": "Table",
}
_OWN_ACTIONS = ("Examples", "Passages")
"""whose keys start actions of their own, some named like one of the bench's"""
_ACTION = re.compile(r"(?:screen\.)?(?:do|ask)\('(\w+)'\)")


class KeyedScreen(Screen[ScreenResultType]):
    """A screen whose footer shows the most important keys that work now; help lists them all."""

    BINDINGS: ClassVar[list[BindingType]] = [*SCREEN_KEYS]

    @property
    def active_bindings(self) -> dict[str, ActiveBinding]:
        return _fit(_order(self, super().active_bindings), self)

    def on_resize(self) -> None:
        self.refresh_bindings()


def _order(screen: Screen[Any], active: dict[str, ActiveBinding]) -> dict[str, ActiveBinding]:
    """What the focused widget alone knows, then the screen's own keys as it declares them."""
    order = [binding.id for binding in screen.BINDINGS if isinstance(binding, Binding)]
    own = [key for key, (node, *_) in active.items() if node is screen.focused]
    ranked = sorted((key for key in active if key not in own), key=lambda key: _rank(active[key].binding.id, order))
    return {key: active[key] for key in [*own, *ranked]}


def _rank(id: str | None, order: list[str | None]) -> int:
    return order.index(id) if id in order else len(order)


def _fit(active: dict[str, ActiveBinding], screen: Screen[Any]) -> dict[str, ActiveBinding]:
    """The same with `show` off for what has no room; help, by the key that works here, and the palette are shown."""
    unneeded = _NOT_TYPING if _is_typing(screen) else _TYPING
    fitted: dict[str, ActiveBinding] = {}
    shown: set[str] = set()
    room = screen.size.width - _WIDTH_OF_PINNED
    for key, found in active.items():
        binding = found.binding
        fits = binding.id not in unneeded
        if binding.show and binding.action not in shown and binding.id not in _PINNED:
            width = cell_len(screen.app.get_key_display(binding)) + cell_len(binding.description) + 2
            fits = width <= room
            if fits:
                room -= width
                shown.add(binding.action)
        fitted[key] = found if fits else found._replace(binding=replace(binding, show=False))
    return fitted


def _is_typing(screen: Screen[Any]) -> bool:
    """Whether a letter is typed where the cursor is."""
    field = screen.focused
    return isinstance(field, Input) or (isinstance(field, TextArea) and (field.keeps_letters or not field.read_only))


def list_keys(screen: Screen[Any], words: Mapping[str, str]) -> list[KeyRow]:
    """Every key that works on a screen or dialog, that of the focused widget first.

    words: what the screen's actions do, by their ids; a key of another action has its description.
    """
    nodes: list[tuple[str, Any]] = []
    for kind, title in _GROUPS.items():
        nodes += [(title, widget) for widget in screen.query(kind)][:1]
    nodes.sort(key=lambda node: not node[1].has_focus)
    if isinstance(screen.focused, (Input, TextArea)) and all(node is not screen.focused for _, node in nodes):
        nodes.append(("Text", screen.focused))
    nodes += [("Dialog" if isinstance(screen, ModalScreen) else "Screen", screen), ("Everywhere", screen.app)]
    rows = [row for title, node in nodes for row in _rows(screen, title, node, words)]
    in_text = {row.id: row._replace(group="Text") for row in rows if row.id.startswith("text.")}
    return [*(row for row in rows if row.id not in in_text), *in_text.values()]


def _rows(screen: Screen[Any], group: str, node: Any, words: Mapping[str, str]) -> list[KeyRow]:
    """The keys of a widget or screen: those of the footer first, those that every screen has last."""
    keys: dict[str, tuple[list[str], Binding]] = {}
    for binding in read_bindings(screen.app, node):
        if binding.id and binding.description:
            keys.setdefault(binding.id, ([], binding))[0].append(screen.app.get_key_display(binding))
    known = words if group not in _OWN_ACTIONS else {}
    rows: list[KeyRow] = []
    ranked = sorted(keys.items(), key=lambda item: (item[0].startswith("screen."), not item[1][1].show))
    for id, (shown, binding) in ranked:
        action = known.get(find_action(binding)) or known.get(id) or describe_key(binding)
        rows.append(KeyRow(" ".join(dict.fromkeys(shown)), action, id, group))
    return rows


def describe_key(binding: Binding) -> str:
    """What a key does, in words; the footer has room for its verb alone."""
    return binding.tooltip or binding.description.capitalize()


def read_bindings(app: App[Any], node: DOMNode) -> list[Binding]:
    """The bindings of a screen or widget, as the settings have them."""
    found = node._bindings.copy()
    if app._keymap:
        found.apply_keymap(app._keymap)
    return [binding for _, binding in found]


def find_action(binding: Binding) -> str:
    """The id of the action that a key starts, "" for none of the bench's."""
    found = _ACTION.fullmatch(binding.action)
    return found[1] if found else ""


def show_action_keys(app: App[Any], nodes: Iterable[DOMNode]) -> dict[str, str]:
    """The first key of every action that these widgets bind, by the action's id."""
    keys: dict[str, str] = {}
    for node in nodes:
        for binding in read_bindings(app, node):
            keys.setdefault(find_action(binding), app.get_key_display(binding))
    return keys
