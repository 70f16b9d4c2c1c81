"""The history of a prompt: its versions and verdicts, what changed, and a version restored as an edit."""

from __future__ import annotations

import math

import msgspec
import pytest
from conftest import bench_of, settled, until
from stored_run import answer, make_cases, store_run
from textual.widgets import Input, OptionList, Static

from workbench import paths
from workbench.library.library import Library
from workbench.library.prompt_renames import NameSpan
from workbench.runs.bench import Variant
from workbench.store.runs import change_run
from workbench.tui.dialogs.prompt_picker import PromptPicker
from workbench.tui.screens.history import HistoryScreen

WIDE, NARROW = (160, 45), (80, 24)
NAME = "queues/plain"


@pytest.fixture
def evaluated(folder, app):
    """The current text and an earlier, better one were run; a third on another bench alone."""
    present = Library(folder, trash=folder / "trash").open(NAME).prompt
    keep_run(folder, present, right=12, day=2)
    keep_run(folder, reword(present, "Name the queue"), right=36, day=1)
    keep_run(folder, reword(present, "Say where it goes"), right=30, day=0, bench="other")
    keep_run(folder, present, right=20, day=4, bench="later")  # the open bench is shown first all the same
    return app


def reword(prompt, words):
    return msgspec.structs.replace(prompt, body=prompt.body.replace("Route the message", words))


def keep_run(folder, prompt, right, day, bench="demo"):
    cases = make_cases(40)
    cells = [
        answer("plain", case, case.expected if at < right else "no", tokens=20 + day) for at, case in enumerate(cases)
    ]
    path = paths.data_folder() / "workbench.sqlite"
    started = 1_795_000_000.0 + day * 86_400
    variants = [Variant("plain", NAME, "desk")]
    view = store_run(path, variants, cases, cells, prompt=lambda _: prompt, started=started, bench=bench)
    change_run(view.store, view.run.key, folder=str(folder))
    view.store.close()


async def open_history(pilot) -> HistoryScreen:
    await settled(pilot)
    await pilot.press("escape", "H")
    await until(pilot, lambda: isinstance(pilot.app.screen, HistoryScreen))
    screen = pilot.app.screen
    await until(pilot, lambda: screen.history is not None and screen.list.option_count > 0)
    return screen


def page(screen) -> str:
    return str(screen.query_one("#history-text", Static).visual)


def lines(screen) -> list[str]:
    listed = screen.query_one(OptionList)
    return [str(listed.get_option_at_index(index).prompt) for index in range(listed.option_count)]


@pytest.mark.parametrize("size", [WIDE, NARROW])
async def test_versions_stand_with_score_interval_cases_tokens_and_verdict(evaluated, size):
    async with evaluated.run_test(size=size) as pilot:
        screen = await open_history(pilot)
        now, better, other = lines(screen)
        assert now.startswith("● ") and "0.30" in now and "compared with" in now
        assert "0.90" in better and "0.77–0.96" in better and "40" in better and "21" in better
        assert "better +0.60" in better
        assert "not run here" in other
        await pilot.press("down")
        await until(pilot, lambda: "better +0.600" in page(screen))
        assert "[-Name-]{+Route+} the [-queue-]{+message+}" in page(screen)
        await pilot.press("s")
        await until(pilot, lambda: "0.90" in lines(screen)[0])
        await pilot.press("b")
        await until(pilot, lambda: "other · plain" in str(screen.query_one("#history-title", Static).visual))
        assert "0.75" in "".join(lines(screen))


async def test_another_version_is_compared_with(evaluated):
    async with evaluated.run_test(size=WIDE) as pilot:
        screen = await open_history(pilot)
        await pilot.press("down", "space")
        await until(pilot, lambda: "worse -0.60" in lines(screen)[0])
        assert "compared with" in lines(screen)[1]
        await pilot.press("down", "space")  # it was not run here
        await until(pilot, lambda: "was not run as" in " ".join(one.message for one in pilot.app._notifications))


async def test_a_version_is_restored_as_an_edit_that_can_be_undone(evaluated, folder):
    before = (folder / f"{NAME}.prompty").read_text()
    async with evaluated.run_test(size=WIDE) as pilot:
        screen = await open_history(pilot)
        session = bench_of(pilot.app).session
        await pilot.press("down", "enter")
        await until(pilot, lambda: pilot.app.screen is bench_of(pilot.app))
        await until(pilot, lambda: "Name the queue" in bench_of(pilot.app).edit.editor.text)
        assert session.prompts.edited == (NAME,)
        assert "a comment that stays" in session.prompts.header(NAME)
        await pilot.press("escape", "ctrl+z")
        await until(pilot, lambda: "Route the message" in bench_of(pilot.app).edit.editor.text)
        assert session.prompts.edited == ()
        assert (folder / f"{NAME}.prompty").read_text() == before
        assert screen is not pilot.app.screen


async def test_a_prompt_that_was_never_run_says_how_it_gets_a_score(app):
    async with app.run_test(size=NARROW) as pilot:
        screen = await open_history(pilot)
        assert "f6 on the bench scores it" in str(screen.query_one("#history-title", Static).visual)
        await until(pilot, lambda: "Route the message" in page(screen))
        await pilot.press("enter", "escape")
        await until(pilot, lambda: pilot.app.screen is bench_of(pilot.app))


async def test_the_list_of_prompts_is_searched_by_words_tags_and_scores(evaluated, folder):
    tagged = "---\nmetadata: {tags: [routing]}\n---\nuser:\n{{ message }} Other words.\n"
    (folder / "queues/tagged.prompty").write_text(tagged)
    async with evaluated.run_test(size=WIDE) as pilot:
        await settled(pilot)
        await pilot.press("ctrl+o")
        await until(pilot, lambda: isinstance(pilot.app.screen, PromptPicker))
        picker = pilot.app.screen
        await until(pilot, lambda: "exact match 0.50, 40 cases, later" in " ".join(lines(picker)))
        for query, found in (
            ("tag:routing", ["queues/tagged"]),
            ("score>=0.2 queues", [NAME]),
            ("score>0.5", []),
            ("other words", ["queues/tagged"]),
            ("queues score>", ["queues/listed", NAME, "queues/tagged"]),  # still being typed
        ):
            picker.query_one(Input).value = query
            await until(pilot, lambda found=found: own(picker) == found)
        picker.query_one(Input).value = "tag:routing"
        await until(pilot, lambda: own(picker) == ["queues/tagged"])
        await pilot.press("enter")
        await until(pilot, lambda: bench_of(pilot.app).session.variants[0].prompt == "queues/tagged")


def own(picker) -> list[str]:
    """Those of the project, without the shipped ones."""
    return [option.id for option in picker.options.options if option.id in ("queues/listed", NAME, "queues/tagged")]


async def test_a_version_that_a_pane_was_asked_is_in_the_history(app):
    async with app.run_test(size=WIDE) as pilot:
        await settled(pilot)
        editor = bench_of(pilot.app).edit.editor
        editor.load_text(editor.text.replace("Route the message", "Say where it goes"))
        await pilot.press("ctrl+r")
        library = bench_of(pilot.app).session.library
        always = (NameSpan(NAME, -math.inf, math.inf),)
        await until(
            pilot, lambda: any("Say where" in one.prompt.body for one in library.panes.list(library.folder, always))
        )
        editor.load_text(editor.text.replace("Say where", "Tell where"))
        await until(pilot, lambda: "Tell where" in bench_of(pilot.app).session.prompts.prompt(NAME).body)
        screen = await open_history(pilot)
        (asked,) = [one for one in screen.history.versions if "Say where" in one.prompt.body]
        (at,) = [at for at, line in enumerate(lines(screen)) if asked.short in line]
        assert "run in a pane" in lines(screen)[at] and "not run here" in lines(screen)[at]
        screen.list.highlighted = at
        await until(pilot, lambda: "run in a pane, first" in page(screen))
