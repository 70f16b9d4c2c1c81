"""The screen of trained adapters: what is kept of each, two side by side, one asked anew, the trash."""

from __future__ import annotations

import pytest
from arena import add_adapter, build_arena
from conftest import bench_of, settled, until
from textual.widgets import Input, Static

from workbench.training.manifest import read_manifest
from workbench.training.registry import Registry
from workbench.tui.dialogs.confirm import ConfirmDialog
from workbench.tui.dialogs.name_input import NameInput
from workbench.tui.screens.adapters import AdaptersScreen
from workbench.tui.widgets.picker import Picker

WIDE, NARROW = (160, 45), (80, 24)


@pytest.fixture
def arena(folder, make_app):
    """The app on a bench with splits, and two adapters: `worn` is newer, and was good once."""
    build_arena(folder)
    add_adapter("mine", 1.7e9, 1.0)
    add_adapter("worn", 1.8e9, 0.97, width=16)
    return make_app(bench="arena.bench.yaml")


async def open_adapters(pilot) -> AdaptersScreen:
    await settled(pilot)
    await pilot.press("f12")
    await until(pilot, lambda: isinstance(pilot.app.screen, AdaptersScreen))
    screen = pilot.app.screen
    await until(pilot, lambda: screen._known)
    return screen


def page(screen: AdaptersScreen) -> str:
    return str(screen.query_one("#registry-text", Static).visual)


async def answer(pilot, text: str) -> None:
    await until(pilot, lambda: isinstance(pilot.app.screen, NameInput))
    pilot.app.screen.query_one(Input).value = text
    await pilot.press("enter")


@pytest.mark.parametrize("size", [WIDE, NARROW])
async def test_the_newest_stands_first_with_where_it_comes_from(arena, size):
    async with arena.run_test(size=size) as pilot:
        screen = await open_adapters(pilot)
        assert [entry.name for entry in screen.entries] == ["worn", "mine"]
        await until(pilot, lambda: "exact match 0.970 on 100 cases; the base 0.100" in page(screen))
        assert "400 rows of data/train.jsonl" in page(screen)
        await pilot.press("down")
        await until(pilot, lambda: page(screen).startswith("mine"))


async def test_notes_tags_and_standing_are_kept(arena):
    registry = Registry()
    async with arena.run_test(size=WIDE) as pilot:
        screen = await open_adapters(pilot)
        await pilot.press("n")
        await answer(pilot, "the good [b]one[/b]")
        await until(pilot, lambda: "the good [b]one[/b]" in page(screen))
        await pilot.press("t")
        await answer(pilot, "friday mine")
        await until(pilot, lambda: "friday mine" in page(screen))
        await pilot.press("t")
        await answer(pilot, "mine")
        await until(pilot, lambda: read_manifest(registry.folder / "worn").tags == ("mine",))
        for key, rank in (("p", "promoted"), ("p", "candidate"), ("r", "retired"), ("r", "candidate")):
            await pilot.press(key)
            await until(
                pilot, lambda rank=rank: screen.highlighted_entry is not None and screen.highlighted_entry.rank == rank
            )
        assert read_manifest(registry.folder / "worn").notes == "the good [b]one[/b]"


async def test_two_are_held_side_by_side(arena):
    async with arena.run_test(size=WIDE) as pilot:
        screen = await open_adapters(pilot)
        await pilot.press("space", "down", "c")
        await until(pilot, lambda: "differences of the recipes" in page(screen))
        told = page(screen)
        line = next(line for line in told.splitlines() if line.startswith("method.rank"))
        assert line.split() == ["method.rank", "16", "8"]
        assert "not significant" in told
        await pilot.press("escape")
        await until(pilot, lambda: page(screen).startswith("mine"))


async def test_an_adapter_that_fell_beyond_noise_is_told_and_what_it_scored_recorded(arena):
    async with arena.run_test(size=WIDE) as pilot:
        screen = await open_adapters(pilot)
        await pilot.press("f")
        await answer(pilot, "arena.bench.yaml")
        await until(pilot, lambda: "has regressed" in page(screen))
        assert read_manifest(Registry().folder / "worn").later[0].scores["exact_match"] == pytest.approx(0.2)


async def test_a_deleted_one_can_be_put_back(arena):
    async with arena.run_test(size=NARROW) as pilot:
        screen = await open_adapters(pilot)
        await pilot.press("x")
        await until(pilot, lambda: isinstance(pilot.app.screen, ConfirmDialog))
        await pilot.press("enter")  # a stray one
        await until(pilot, lambda: pilot.app.screen is screen)
        assert [entry.name for entry in screen.entries] == ["worn", "mine"]
        await pilot.press("x")
        await until(pilot, lambda: isinstance(pilot.app.screen, ConfirmDialog))
        await pilot.click("#answer-delete")
        await until(pilot, lambda: [entry.name for entry in screen.entries] == ["mine"])
        await pilot.press("u")
        await until(pilot, lambda: isinstance(pilot.app.screen, Picker))
        await pilot.press("enter")
        await until(pilot, lambda: [entry.name for entry in screen.entries] == ["worn", "mine"])


async def test_retired_ones_can_be_hidden(arena):
    Registry().retire("worn")
    async with arena.run_test(size=WIDE) as pilot:
        screen = await open_adapters(pilot)
        await pilot.press("h")
        await until(pilot, lambda: screen.list.option_count == 1)
        assert "1 retired hidden" in str(screen.list.border_title)


async def test_one_opens_as_a_pane(arena):
    async with arena.run_test(size=WIDE) as pilot:
        await open_adapters(pilot)
        await pilot.press("enter")
        await until(pilot, lambda: pilot.app.screen is bench_of(pilot.app))
        await until(pilot, lambda: len(bench_of(pilot.app).panes) == 4)
        assert bench_of(pilot.app).session.variants[1].adapters[0].adapter.endswith("worn")


async def test_without_any_it_says_how_to_train_one(app):
    async with app.run_test(size=NARROW) as pilot:
        screen = await open_adapters(pilot)
        await until(pilot, lambda: "trains one" in page(screen))
        assert "registry.delete" not in {one.binding.id for one in screen.active_bindings.values()}


async def test_both_screens_are_reached_by_their_names(arena):
    from workbench.tui.actions.palette import ACTIONS
    from workbench.tui.commands import list_commands

    async with arena.run_test(size=WIDE) as pilot:
        await settled(pilot)
        titles = [entry.title for entry in list_commands(pilot.app)]
        assert {ACTIONS["judge"].title, ACTIONS["registry"].title} <= set(titles)
        await open_adapters(pilot)
        titles = [entry.title for entry in list_commands(pilot.app)]
        assert {"Compare with the marked adapter", "Restore an adapter from the trash"} <= set(titles)
