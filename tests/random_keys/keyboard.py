"""Keyboard: chooses the next keys by a seeded random generator, and hands them to the app as a terminal does."""

from __future__ import annotations

import unicodedata
from random import Random
from typing import Any

from textual.app import App
from textual.events import Key, Paste
from textual.keys import REPLACED_KEYS, _character_to_key, _get_unicode_name_from_key

from workbench.tui.commands import list_commands

WORDS = (
    "parcel", "endless", "hold on", "fail", "charged", "Lantern", "{{ message }}", "{{ mess", "{% if x %}", "user:",
    "0", "1.5", "-3", "12", "queues/new", "a b", "é", "日本", "👩‍👩‍👧", "[b]", "\\", "#", "name: x", "256",
    "e1", "copy",
)  # fmt: skip
NAVIGATION = ("enter", "escape", "tab", "shift+tab", "up", "down", "left", "right", "space", "backspace", "delete")


class Keyboard:
    """pressed: every key so far, pasted text in quotes."""

    def __init__(self, app: App[Any], random: Random) -> None:
        self._app, self.random = app, random
        self.pressed: list[str] = []

    def choose(self) -> list[str]:
        """Keys that a person might press next; a text comes letter by letter."""
        kind = self.random.random()
        if kind < 0.5:
            return [key for _ in range(self.random.choice((1, 1, 1, 2, 3))) for key in self._choose_binding()]
        if kind < 0.62:
            return self._choose_command()
        if kind < 0.8:
            return [*self._text()]
        return self.random.choices(NAVIGATION, k=self.random.choice((1, 1, 2, 4)))

    def send(self, key: str) -> None:
        """Hand the app a key as its driver does; it is not handled yet when this returns."""
        driver = self._app._driver
        assert driver is not None
        self.pressed.append(key)
        driver.send_message(make_key(key))

    def paste(self) -> None:
        """Paste some words."""
        driver = self._app._driver
        assert driver is not None
        text = "\n".join(self._text() for _ in range(self.random.choice((1, 1, 3))))
        self.pressed.append(repr(text))
        driver.send_message(Paste(text))

    def _choose_binding(self) -> list[str]:
        """A key that works now, rather one that the footer shows."""
        active = self._app.screen.active_bindings
        shown = [key for key, found in active.items() if found.binding.show and found.enabled]
        keys = shown if shown and self.random.random() < 0.75 else list(active)
        return [self.random.choice(keys)] if keys else []

    def _choose_command(self) -> list[str]:
        """The palette, the title of an entry, and enter."""
        found = list_commands(self._app)  # type: ignore[arg-type]
        title = self.random.choice(found).title.partition(":")[0].rstrip("…")
        return ["ctrl+backslash", *title.lower(), "enter"]

    def _text(self) -> str:
        return self.random.choice(WORDS)


def make_key(key: str) -> Key:
    """The event of a key by its name, or of a character."""
    if len(key) == 1 and not key.isalnum():
        key = _character_to_key(key)
    name = REPLACED_KEYS.get(key, key)
    try:
        character: str | None = unicodedata.lookup(_get_unicode_name_from_key(name))
    except KeyError:
        character = key if len(key) == 1 else None
    return Key(key, character)
