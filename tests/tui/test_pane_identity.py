"""What is typed stays with the prompt and the case it was typed into, whatever happens to the panes meanwhile."""

from __future__ import annotations

import asyncio
import random
import threading
from pathlib import Path

import pytest
from conftest import settled, until
from textual.widgets import OptionList

from workbench.runs.bench import load_bench
from workbench.settings import Settings
from workbench.tui.actions import bench as bench_actions
from workbench.tui.actions import cases as case_actions
from workbench.tui.actions import panes as pane_actions
from workbench.tui.dialogs.confirm import ConfirmDialog
from workbench.tui.dialogs.name_input import NameInput
from workbench.tui.widgets.case_view import CaseField
from workbench.tui.widgets.output_pane import OutputPane

WIDE = (160, 45)
QUIET = Settings(live=False, live_delay_ms=60_000)
"""nothing is gathered by a timer: what is kept was kept by the action itself"""
EIGHT = "variants:\n" + "".join(
    f"  - {{name: v{number}, prompt: p{number}, model: desk.script.json}}\n" for number in range(8)
)


@pytest.fixture
def eight(folder: Path) -> Path:
    """Eight panes, each with a prompt of its own that names itself."""
    for number in range(8):
        (folder / f"p{number}.prompty").write_text(
            f"---\nname: p{number}\n---\nuser:\nprompt {number}: {{{{ message }}}}\n"
        )
    (folder / "eight.bench.yaml").write_text(f"dataset: {{path: cases.jsonl}}\n{EIGHT}")
    return folder


def check(screen) -> None:
    """Panes and variants match, and every prompt reads as its own."""
    assert [pane.index for pane in screen.panes] == list(range(len(screen.session.variants)))
    for variant in screen.session.variants:
        body = screen.session.prompt(variant.prompt).body
        assert f"prompt {variant.prompt.removeprefix('p')[0]}:" in body, (variant.prompt, body)
    assert screen.edit.editor.prompt == screen.session.variants[screen.controller.chosen].prompt
    assert screen.edit.editor.text == screen.session.prompt(screen.edit.editor.prompt).body


async def quiet(pilot, screen) -> None:
    """Until no action and no dialog is left."""
    await until(pilot, lambda: not [one for one in screen.workers if one.group == "action" and one.is_running])
    await pilot.pause()


@pytest.mark.parametrize("digit", [1, 5, 8])
async def test_closing_a_pane_writes_no_prompt_over_another(make_app, eight, digit):
    app = make_app(QUIET, "eight.bench.yaml")
    async with app.run_test(size=WIDE) as pilot:
        screen = await settled(pilot)
        for key in ("escape", str(digit), "x"):
            await pilot.press(key)
            await pilot.pause(0.01)
        await until(pilot, lambda: len(screen.panes) == 7)
        await quiet(pilot, screen)
        check(screen)
        assert not screen.session.prompts.edited
        assert f"v{digit - 1}" not in [variant.name for variant in screen.session.variants]


async def test_what_was_typed_just_before_goes_with_its_prompt(make_app, eight):
    app = make_app(QUIET, "eight.bench.yaml")
    async with app.run_test(size=WIDE) as pilot:
        screen = await settled(pilot)
        screen.edit.editor.focus()
        await pilot.press("M", "I", "N", "E", "escape", "3")
        await until(pilot, lambda: screen.controller.chosen == 2)
        assert screen.session.prompt("p0").body.startswith("user:\nMINE")
        assert screen.session.prompts.edited == ("p0",)
        assert "MINE" not in screen.edit.editor.text


async def test_a_pane_that_comes_by_itself_takes_no_key(make_app, eight):
    """A training ends while somebody types: its pane appears, the editor stays with its prompt."""
    (eight / "two.bench.yaml").write_text("dataset: {path: cases.jsonl}\n" + "".join(EIGHT.splitlines(True)[:3]))
    app = make_app(QUIET, "two.bench.yaml")
    async with app.run_test(size=WIDE) as pilot:
        screen = await settled(pilot)
        screen.edit.editor.focus()
        await pilot.press("a", "b")
        adding = bench_actions.add_adapter_pane(screen.controller, screen.ui, eight / "routes", choose=False)
        coming = asyncio.ensure_future(adding)
        await pilot.press("c", "d")
        await coming
        await pilot.press("e")
        await until(pilot, lambda: len(screen.panes) == 3)
        screen.controller.typed.commit()
        assert screen.session.prompt("p0").body.startswith("user:\nabcde")
        assert screen.session.prompts.edited == ("p0",)
        assert screen.controller.chosen == 0
        assert screen.focused is screen.edit.editor


async def test_an_action_acts_on_the_pane_it_was_started_for(make_app, eight):
    """The dialog of one pane is open while another one before it is closed."""
    app = make_app(QUIET, "eight.bench.yaml")
    async with app.run_test(size=WIDE) as pilot:
        screen = await settled(pilot)
        await screen.controller.choose(screen.panes[4])
        screen.ui.start(pane_actions.rename(screen.controller, screen.ui))
        await until(pilot, lambda: isinstance(pilot.app.screen, NameInput))
        dialog = pilot.app.screen
        first = screen.panes[0]
        screen.session.close_variant(0)
        screen.controller.lay_out_panes(
            [pane for pane in screen.panes if pane is not first], screen.controller.chosen_pane
        )
        dialog.dismiss("renamed")
        await quiet(pilot, screen)
        assert [variant.name for variant in screen.session.variants] == [
            "v1", "v2", "v3", "renamed", "v5", "v6", "v7",
        ]  # fmt: skip
        check(screen)


async def test_an_action_for_a_pane_that_was_closed_says_so(make_app, eight):
    app = make_app(QUIET, "eight.bench.yaml")
    async with app.run_test(size=WIDE) as pilot:
        screen = await settled(pilot)
        await screen.controller.choose(screen.panes[7])
        screen.ui.start(pane_actions.rename(screen.controller, screen.ui))
        await until(pilot, lambda: isinstance(pilot.app.screen, NameInput))
        dialog, last = pilot.app.screen, screen.panes[7]
        screen.session.close_variant(7)
        screen.controller.lay_out_panes(screen.panes[:7], screen.panes[0])
        assert last not in screen.panes
        dialog.dismiss("renamed")
        await quiet(pilot, screen)
        assert "renamed" not in [variant.name for variant in screen.session.variants]
        assert any("closed" in toast.title for toast in pilot.app._notifications)


async def test_a_field_belongs_to_the_case_it_was_typed_into(make_app, folder):
    app = make_app(QUIET)
    async with app.run_test(size=WIDE) as pilot:
        screen = await settled(pilot)
        field = screen.query(CaseField).first()
        field.focus()
        await pilot.press("O", "N", "E", "ctrl+down", "T", "W", "O", "ctrl+down")
        screen.controller.typed.commit()
        assert screen.session.number == 3
        await screen.controller.go_to_case(1)
        assert screen.session.case.variables["message"].startswith("ONE")
        await screen.controller.go_to_case(2)
        assert screen.session.case.variables["message"].startswith("TWO")
        await screen.controller.go_to_case(3)
        assert screen.session.case.variables["message"] == "Good morning."


async def test_another_dataset_gets_nothing_of_what_was_typed_into_the_old_one(make_app, folder, monkeypatch):
    """Reading it takes a while, and keys go on."""
    (folder / "other.jsonl").write_text('{"message": "Other one.", "expected": "x"}\n')
    app = make_app(QUIET)
    async with app.run_test(size=WIDE) as pilot:
        screen = await settled(pilot)
        reading, go_on = threading.Event(), threading.Event()
        real = case_actions.load_cases

        def slow(*arguments):
            reading.set()
            go_on.wait(120)
            return real(*arguments)

        monkeypatch.setattr(case_actions, "load_cases", slow)
        monkeypatch.setattr(screen.ui, "ask", lambda *_: asyncio.sleep(0, "edit"))
        chosen = screen.session.bench.dataset.__class__("other.jsonl")
        monkeypatch.setattr(type(pilot.app), "push_screen_wait", lambda *_: asyncio.sleep(0, chosen))
        screen.ui.start(case_actions.choose_dataset(screen.controller, screen.ui))
        await until(pilot, reading.is_set)
        screen.query(CaseField).first().focus()
        await pilot.press("O", "L", "D")
        go_on.set()
        await until(pilot, lambda: screen.session.case.variables["message"] == "Other one.")
        await quiet(pilot, screen)
        assert not screen.session.case_is_typed
        assert screen.query(CaseField).first().text == "Other one."


async def test_a_reloaded_bench_keeps_each_pane_with_its_variant(make_app, eight):
    app = make_app(QUIET, "eight.bench.yaml")
    async with app.run_test(size=WIDE) as pilot:
        screen = await settled(pilot)
        before = {variant.name: pane for variant, pane in zip(screen.session.variants, screen.panes, strict=True)}
        screen.session.change_variant(0, name="changed here")
        lines = EIGHT.splitlines(True)
        other = "dataset: {path: cases.jsonl}\n" + lines[0] + lines[6] + lines[3] + lines[3].replace("v2", "new")
        (eight / "eight.bench.yaml").write_text(other)
        await pilot.press("ctrl+s")
        await until(pilot, lambda: isinstance(pilot.app.screen, ConfirmDialog))
        await pilot.press("escape")
        await until(pilot, lambda: pilot.app.screen is screen)
        assert len(screen.panes) == 8
        await pilot.press("ctrl+s")
        await until(pilot, lambda: isinstance(pilot.app.screen, ConfirmDialog))
        pilot.app.screen.dismiss("reload")
        await until(pilot, lambda: len(screen.panes) == 3)
        await quiet(pilot, screen)
        assert screen.panes[:2] == [before["v5"], before["v2"]]
        check(screen)


KEYS = [
    "escape",
    *map(str, range(1, 9)),
    "x",
    "x",
    "D",
    "left",
    "right",
    "tab",
    "f7",
    "f8",
    "ctrl+down",
    "ctrl+up",
    "z",
]


@pytest.mark.parametrize("seed", range(4))
async def test_random_keys_never_mix_prompts(make_app, eight, seed):
    """Keys come faster than panes are rebuilt; whatever they do, prompts stay apart and panes match variants."""
    keys = random.Random(seed)
    app = make_app(QUIET, "eight.bench.yaml")
    async with app.run_test(size=WIDE) as pilot:
        screen = await settled(pilot)
        for _ in range(25):
            pressed = keys.choice(KEYS)
            if pressed == "z" and not isinstance(screen.focused, OutputPane | OptionList):
                screen.edit.editor.insert("z")  # typed, and not gathered yet
            elif pressed != "z" and (len(pressed) > 1 or isinstance(screen.focused, OutputPane)):
                await pilot.press(pressed)
            if isinstance(pilot.app.screen, ConfirmDialog):
                await pilot.press("escape")
            if keys.random() < 0.3:
                await pilot.pause()
        await quiet(pilot, screen)
        screen.controller.typed.commit()
        check(screen)


async def test_saving_afterwards_writes_each_prompt_into_its_own_file(make_app, eight):
    app = make_app(QUIET, "eight.bench.yaml")
    async with app.run_test(size=WIDE) as pilot:
        screen = await settled(pilot)
        for number in (6, 2):
            await screen.controller.choose(screen.panes[number])
            screen.edit.editor.insert(f"typed {number} ")
        await pilot.press("escape", "1", "x")
        await until(pilot, lambda: len(screen.panes) == 7)
        await pilot.press("ctrl+s")
        await until(pilot, lambda: not screen.session.unsaved)
        for number in range(8):
            text = (eight / f"p{number}.prompty").read_text()
            assert f"prompt {number}:" in text
            assert ("typed" in text) is (number in (6, 2))
        assert [variant.name for variant in load_bench(eight / "eight.bench.yaml").variants] == [
            f"v{number}" for number in range(1, 8)
        ]
