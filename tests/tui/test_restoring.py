"""What was not saved is restored: kept while one types, offered when the bench is opened again, discarded by a key."""

from __future__ import annotations

import re

import pytest
from conftest import settled, until
from textual.widgets import TextArea

from workbench.runs.session import Session
from workbench.settings import Settings
from workbench.tui import typed_text
from workbench.tui.dialogs.confirm import ConfirmDialog
from workbench.tui.dialogs.example_editor import ExampleEditor
from workbench.tui.screens import bench as bench_module
from workbench.tui.status_line import format_moment
from workbench.tui.widgets.case_view import CaseField

WIDE = (160, 45)
NEVER_RESTS = Settings(live_delay_ms=600_000)


def kept(screen) -> str:
    """Every draft on the disk, in one text."""
    return "\n".join(screen.session.autosaves.all().values())


def notices(app) -> str:
    return " ".join(f"{notice.title} {notice.message}" for notice in app._notifications)


def test_typing_is_kept_at_least_every_two_seconds():
    assert typed_text.KEEP_SECONDS < 2


async def test_what_is_typed_is_kept_before_the_keyboard_rests(make_app, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(typed_text, "KEEP_SECONDS", 0.01)
    app = make_app(NEVER_RESTS)
    async with app.run_test(size=WIDE) as pilot:
        screen = await settled(pilot)
        answered = screen.panes[0].chunks
        screen.edit.editor.move_cursor(screen.edit.editor.document.end)
        await pilot.press(*"Queues:")
        await until(pilot, lambda: "Queues:" in kept(screen))
        screen.query(CaseField).first().load_text("My parcel is wet.")
        await until(pilot, lambda: "My parcel is wet." in kept(screen))
        assert screen.panes[0].chunks is answered  # nothing runs before the keyboard rests
        assert screen.controller.typed.waiting


async def test_an_example_is_kept_while_it_is_typed_and_dropped_when_it_is_left(make_app, monkeypatch):
    monkeypatch.setattr("workbench.tui.dialogs.example_editor._KEEP_SECONDS", 0.01)
    app = make_app(NEVER_RESTS)
    async with app.run_test(size=WIDE) as pilot:
        screen = await settled(pilot)
        screen.edit.examples.focus()
        await pilot.press("a")
        await until(pilot, lambda: isinstance(app.screen, ExampleEditor) and app.screen.is_mounted)
        assert not screen.session.autosaves.all()
        app.screen.query_one("#answer", TextArea).load_text("Half an answer")
        await until(pilot, lambda: "Half an answer" in kept(screen))
        await pilot.press("escape", "escape")
        await until(pilot, lambda: app.screen is screen and not screen.session.autosaves.all())


async def test_a_changed_bench_is_restored_and_discarded_by_one_key(make_app):
    app = make_app()
    async with app.run_test(size=WIDE) as pilot:
        screen = await settled(pilot)
        await pilot.press("escape", "D")
        await until(pilot, lambda: len(screen.panes) == 5)
        screen.edit.editor.focus()
        screen.edit.editor.move_cursor(screen.edit.editor.document.end)
        await pilot.press(*"Queues:")
        await until(pilot, lambda: "Queues:" in kept(screen))
    again = make_app()
    async with again.run_test(size=WIDE) as pilot:
        screen = await settled(pilot)
        assert [variant.name for variant in screen.session.variants[:2]] == ["plain", "plain 2"]
        assert screen.session.prompt("queues/plain-2").body.endswith("Queues:")
        assert re.search(r"Restored unsaved changes from \d\d:\d\d", notices(again))
        await pilot.press("f11")
        await until(pilot, lambda: len(screen.panes) == 4 and not screen.session.unsaved)
        assert not screen.session.autosaves.all()
        await pilot.press("f11")
        await until(pilot, lambda: "no restored changes" in notices(again))


async def test_discarding_asks_where_something_was_changed_since(make_app):
    async with make_app().run_test(size=WIDE) as pilot:
        screen = await settled(pilot)
        await pilot.press("ctrl+l")
    app = make_app()
    async with app.run_test(size=WIDE) as pilot:
        screen = await settled(pilot)
        screen.edit.editor.move_cursor(screen.edit.editor.document.end)
        await pilot.press(*"Queues:", "f11")
        await until(pilot, lambda: isinstance(app.screen, ConfirmDialog))
        await pilot.press("escape")
        await until(pilot, lambda: app.screen is screen)
        assert screen.edit.editor.text.endswith("Queues:")
        await pilot.press("ctrl+s")
        await until(pilot, lambda: not screen.session.unsaved)
        assert not screen.session.autosaves.all()


async def test_a_restored_template_that_computes_for_ever_is_refused_where_it_stands(make_app, folder):
    body = "user:\n{% for a in range(99999) %}{% for b in range(99999) %}{{ 'x' * 999 }}{% endfor %}{% endfor %}"
    Session(folder / "demo.bench.yaml", NEVER_RESTS).edit_prompt("queues/plain", body)
    app = make_app()
    async with app.run_test(size=WIDE) as pilot:
        screen = await settled(pilot)
        assert [pane.state for pane in screen.panes] == ["failed", "done", "done", "failed"]
        await pilot.press("f11")
        await until(pilot, lambda: [pane.state for pane in screen.panes] == ["done"] * 4)


async def test_quitting_without_saving_leaves_no_draft(make_app):
    app = make_app()
    async with app.run_test(size=WIDE) as pilot:
        screen = await settled(pilot)
        await pilot.press("escape", "D")
        await until(pilot, lambda: len(screen.panes) == 5)
        await pilot.press("ctrl+q")
        await until(pilot, lambda: isinstance(app.screen, ConfirmDialog))
        await pilot.click("#answer-quit")
        await until(pilot, lambda: not app.is_running or not screen.session.autosaves.all())
    assert not screen.session.autosaves.all()


async def test_a_draft_that_cannot_be_written_is_told(make_app, folder, monkeypatch):
    monkeypatch.setattr(bench_module, "WATCH_SECONDS", 0.02)
    app = make_app()
    async with app.run_test(size=WIDE) as pilot:
        screen = await settled(pilot)
        screen.session.autosaves.folder.write_text("in the way")
        await pilot.press("ctrl+l")
        await until(pilot, lambda: "Unsaved changes are not kept" in notices(app))


def test_a_time_names_its_day_where_that_is_not_today():
    import time

    assert re.fullmatch(r"\d\d:\d\d", format_moment(time.time()))
    assert re.fullmatch(r"9 Sep 0\d:\d\d|8 Sep \d\d:\d\d|9 Sep \d\d:\d\d", format_moment(1_000_000_000))
