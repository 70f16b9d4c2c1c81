"""Commands: what the palette lists on each screen, how an entry is started, and which were used last."""

from __future__ import annotations

import contextlib
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import msgspec
from textual.binding import Binding
from textual.screen import Screen

from workbench import files, paths
from workbench.errors import FileError
from workbench.tui.dialogs.palette import PaletteEntry
from workbench.tui.keys import KeyedScreen, describe_key, read_bindings, show_action_keys

if TYPE_CHECKING:
    from workbench.runs.session import Session
    from workbench.tui.app import WorkbenchApp

_MOST_RECENT = 5
_GROUPS = ("Pane", "Prompt", "Cases", "Run", "Train", "View", "Bench")
BENCH_KEYS = {
    "bench.run": ("Run", "Run all panes"),
    "bench.stop": ("Run", "Stop answers"),
    "bench.live": ("Run", "Live on or off"),
    "bench.next_case": ("Cases", "Next case"),
    "bench.previous_case": ("Cases", "Previous case"),
    "bench.next_pane": ("Pane", "Next pane"),
    "bench.previous_pane": ("Pane", "Previous pane"),
    "bench.editor": ("View", "Show or hide the editor"),
    "bench.split_left": ("View", "Narrower editor"),
    "bench.split_right": ("View", "Wider editor"),
}
_APP_ACTIONS = {
    "app.theme": ("toggle_theme", "Light or dark", "Switch the theme"),
    "app.themes": ("change_theme", "Theme…", "Pick any theme"),
    "app.jump": ("jump", "Jump…", "A letter on every field, pane and example; typing it goes there"),
    "app.keys": ("help", "Keys", "All keys that work here"),
    "app.picture": ("take_picture", "Screenshot", "An SVG file in the working folder"),
    "app.suspend": ("suspend_process", "Suspend", "Back to the shell; fg continues"),
}


def list_commands(app: WorkbenchApp) -> list[PaletteEntry]:
    """Every action of the screen on top, by group."""
    screen = app.screen
    found: list[PaletteEntry] = []
    bench = app.bench_screen
    if bench is not None and screen is bench:
        found += _list_bench(screen, bench.session)
    elif isinstance(screen, KeyedScreen):
        found += [
            PaletteEntry(str(binding.id), "Screen", describe_key(binding), "", key)
            for binding, key in _own_keys(screen)
        ]
    keys = {binding.id: app.get_key_display(binding) for binding in read_bindings(app, app)}
    found += [PaletteEntry(id, "View", title, help, keys.get(id, "")) for id, (_, title, help) in _APP_ACTIONS.items()]
    return sorted(found, key=lambda entry: _GROUPS.index(entry.group) if entry.group in _GROUPS else -1)


def _list_bench(screen: Screen[Any], session: Session) -> list[PaletteEntry]:
    from workbench.tui.actions.palette import ACTIONS, make_title

    widgets = (*screen.query("OutputPane").results(), *screen.query("PromptEditor").results())
    keys = show_action_keys(screen.app, (screen, *widgets))
    found = [
        PaletteEntry(id, action.group, make_title(id, session), action.help, keys.get(id, ""))
        for id, action in ACTIONS.items()
    ]
    own = {binding.id: key for binding, key in reversed(_own_keys(screen))}
    return found + [PaletteEntry(id, group, title, "", own.get(id, "")) for id, (group, title) in BENCH_KEYS.items()]


def describe_actions(app: WorkbenchApp) -> dict[str, str]:
    """What the actions of the screen on top do, in words, by their ids; and its keys that are no actions."""
    from workbench.tui.actions.palette import ACTIONS

    if app.screen is not app.bench_screen:
        return {}
    keys = {id: title for id, (_, title) in BENCH_KEYS.items()}
    return keys | {id: f"{action.title.rstrip('…')}: {action.help}" for id, action in ACTIONS.items()}


def _own_keys(screen: Screen[Any]) -> list[tuple[Binding, str]]:
    """The bindings that the screen's class declares, as they are now."""
    ids = {binding.id for binding in screen.BINDINGS if isinstance(binding, Binding)}
    found = reversed(read_bindings(screen.app, screen))
    first = {binding.id: binding for binding in found if binding.id in ids}
    return [(binding, screen.app.get_key_display(binding)) for binding in reversed(first.values())]


def start_command(app: WorkbenchApp, id: str) -> None:
    """Start what was chosen, on the screen on top, and remember it."""
    from workbench.tui.actions.palette import ACTIONS

    _note_recent(id)
    screen = app.screen
    bench = app.bench_screen
    if id in _APP_ACTIONS:
        app.call_later(partial(app.run_action, _APP_ACTIONS[id][0]))
    elif bench is not None and screen is bench and id in ACTIONS:
        bench.action_do(id)
    else:
        actions = {binding.id: binding.action for binding, _ in _own_keys(screen)}
        if id in actions:
            screen.call_later(partial(screen.run_action, actions[id]))


def recent_commands() -> list[str]:
    """Ids of the actions that were started from the palette, the last one first."""
    with contextlib.suppress(FileError, msgspec.DecodeError):
        return msgspec.json.decode(files.read_text(_file()), type=list[str])[:_MOST_RECENT]
    return []


def _note_recent(id: str) -> None:
    recent = [id, *(other for other in recent_commands() if other != id)][:_MOST_RECENT]
    with contextlib.suppress(FileError):  # a convenience: nothing depends on it
        files.write_text(_file(), msgspec.json.encode(recent).decode(), durable=False)


def _file() -> Path:
    return paths.cache_folder() / "recent_actions.json"
