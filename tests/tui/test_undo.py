"""ctrl+z outside a text undoes any change of the bench, and the screen shows what the session is."""

from __future__ import annotations

import json

from conftest import settled, until

from workbench.settings import Settings
from workbench.tui.actions.palette import make_title
from workbench.tui.bench_controller import BenchController
from workbench.tui.dialogs.confirm import ConfirmDialog
from workbench.tui.dialogs.example_editor import ExampleEditor
from workbench.tui.widgets.case_view import CaseField

WIDE = (160, 45)


def names(screen) -> list[str]:
    return [variant.name for variant in screen.session.variants]


def check(screen) -> None:
    """Panes match the variants, and the editor holds the chosen one's prompt."""
    bench: BenchController = screen.controller
    assert all(name in str(pane.border_title) for name, pane in zip(names(screen), bench.panes, strict=True))
    assert screen.edit.editor.text == screen.session.prompt(bench.variant.prompt).body


def notices(app) -> str:
    return " ".join(f"{notice.title} {notice.message}" for notice in app._notifications)


async def test_a_closed_pane_comes_back_where_it_was_with_its_unsaved_text_and_answers(make_app):
    app = make_app(Settings(live=False))
    async with app.run_test(size=WIDE) as pilot:
        screen = await settled(pilot)
        screen.controller.focus_pane(screen.panes[0])
        await pilot.press("D")  # a prompt of its own, in no file
        await until(pilot, lambda: len(screen.panes) == 5)
        screen.edit.editor.load_text("user:\nThe parcel, {{ message }}")
        fork = screen.controller.variant.prompt
        await until(pilot, lambda: screen.controller.typed.waiting or fork in screen.session.prompts.edited)
        screen.panes[1].focus()
        await pilot.press("x")
        await until(pilot, lambda: isinstance(app.screen, ConfirmDialog) and app.focused is not None)
        app.screen.dismiss("drop")
        await until(pilot, lambda: len(screen.panes) == 4)
        assert fork not in screen.session.prompts.edited
        assert make_title("undo", screen.session) == "Undo: close pane plain 2"
        await pilot.press("ctrl+z")
        await until(pilot, lambda: len(screen.panes) == 5 and "Undone" in notices(app))
        assert screen.session.prompt(fork).body == "user:\nThe parcel, {{ message }}"
        assert screen.controller.chosen == 1
        check(screen)
        await until(pilot, lambda: screen.panes[1].state == "done")
        await pilot.press("ctrl+y")
        await until(pilot, lambda: len(screen.panes) == 4 and "Redone" in notices(app))
        check(screen)


async def test_a_deleted_example_and_a_switched_one_come_back(app):
    async with app.run_test(size=WIDE) as pilot:
        screen = await settled(pilot)
        await screen.controller.choose(screen.panes[1])
        screen.edit.examples.focus()
        await pilot.press("space")
        await until(pilot, lambda: screen.session.variants[1].examples_off == ("e1",))
        await pilot.press("delete")
        await until(pilot, lambda: len(screen.session.prompt("queues/listed").examples) == 2)
        await until(pilot, lambda: make_title("undo", screen.session) == "Undo: delete example e1 of queues/listed")
        await pilot.press("ctrl+z")
        await until(pilot, lambda: len(screen.session.prompt("queues/listed").examples) == 3)
        assert screen.session.variants[1].examples_off == ("e1",)
        await until(pilot, lambda: screen.edit.examples.option_count == 3)
        await pilot.press("ctrl+z")
        await until(pilot, lambda: screen.session.variants[1].examples_off == ())
        assert not screen.session.unsaved


async def test_ctrl_z_inside_a_text_is_the_texts_own(app):
    async with app.run_test(size=WIDE) as pilot:
        screen = await settled(pilot)
        await pilot.press("escape", "D")
        await until(pilot, lambda: len(screen.panes) == 5)
        screen.edit.editor.focus()
        screen.edit.editor.move_cursor(screen.edit.editor.document.end)
        await pilot.press("Q", "ctrl+z")
        assert len(screen.panes) == 5
        assert not screen.edit.editor.text.endswith("Q")


async def test_a_renamed_pane_keeps_its_answer_when_the_name_is_undone(app):
    async with app.run_test(size=WIDE) as pilot:
        screen = await settled(pilot)
        pane = screen.panes[2]
        screen.session.change_variant(2, name="new name")
        await screen.controller.show_chosen()
        pane.focus()
        await pilot.press("ctrl+z")
        await until(pilot, lambda: names(screen)[2] == "bare")
        assert screen.panes[2] is pane
        check(screen)


async def test_without_a_change_it_says_so(app):
    async with app.run_test(size=WIDE) as pilot:
        screen = await settled(pilot)
        screen.panes[0].focus()
        await pilot.press("ctrl+z")
        await until(pilot, lambda: "nothing to undo" in notices(app))
        assert make_title("undo", screen.session) == "Undo"


async def test_keys_in_a_hurry_undo_everything(app):
    async with app.run_test(size=WIDE) as pilot:
        screen = await settled(pilot)
        screen.panes[0].focus()
        before = screen.session.bench
        await pilot.press("D", "D")
        await until(pilot, lambda: len(screen.panes) == 6)
        await pilot.press(*["ctrl+z"] * 4)
        await until(pilot, lambda: len(screen.panes) == 4 and "nothing to undo" in notices(app))
        assert screen.session.bench == before
        check(screen)
        await pilot.press(*["ctrl+y"] * 2)
        await until(pilot, lambda: len(screen.panes) == 6)
        check(screen)


async def test_scores_of_an_edited_case_are_dimmed_until_its_expected_answer_is_edited(app):
    async with app.run_test(size=WIDE) as pilot:
        screen = await settled(pilot)
        badge = screen.panes[0].query_one("#pane-meta")
        bright = badge.styles.text_opacity
        screen.query(CaseField).first().load_text("My parcel is wet.")
        await until(pilot, lambda: "check expected" in str(screen.edit.case.border_title))
        await pilot.pause()
        assert badge.styles.text_opacity < bright
        screen.query(CaseField).last().load_text("Harbour")
        await until(pilot, lambda: str(screen.edit.case.border_title) == "Case 1  (edited)")
        await pilot.pause()
        assert badge.styles.text_opacity == bright


async def test_an_example_that_is_a_case_warns(app, folder):
    message = json.loads((folder / "cases.jsonl").read_text().splitlines()[1])["message"]
    async with app.run_test(size=WIDE) as pilot:
        screen = await settled(pilot)
        await screen.controller.choose(screen.panes[1])
        await screen.controller.go_to_case(2)
        screen.edit.examples.focus()
        await pilot.press("a")  # a new example starts from the current case
        await until(pilot, lambda: isinstance(app.screen, ExampleEditor) and app.screen.is_mounted)
        await pilot.press("ctrl+s")
        await until(pilot, lambda: "Example e4 is case 2 (exact)" in notices(app))
        assert screen.session.prompt("queues/listed").examples[3].variables["message"] == message
