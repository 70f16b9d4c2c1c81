"""Questions: the whole sentence is seen, and a stray enter destroys nothing."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest
from textual.app import App

from workbench.tui.dialogs.confirm import ConfirmDialog
from workbench.tui.dialogs.name_input import NameInput
from workbench.tui.theme import DARK

ACTIONS = Path(__file__).parents[2] / "workbench/tui/actions"
SENTENCE = "queues/plain was changed by another program since it was opened here; [b]nothing[/] is overwritten unasked."
DESTROYING = {"delete", "discard", "drop", "quit", "overwrite", "reload", "revert", "test", "trust"}


class Dialogs(App[None]):
    CSS_PATH = ACTIONS.parent / "app.tcss"

    def on_mount(self) -> None:
        self.register_theme(DARK)
        self.theme = DARK.name


KINDS = [lambda text: ConfirmDialog("T", text, [("stay", "Stay")]), lambda text: NameInput("T", text)]


async def shown(app: App[None], question, size) -> str:
    async with app.run_test(size=size) as pilot:
        app.push_screen(question)
        await pilot.pause()
        rows = [[segment.text for segment in strip] for strip in app.screen._compositor.render_strips()]
        return " ".join("".join(row) for row in map("".join, rows)).replace("│", " ")


@pytest.mark.parametrize("size", [(80, 24), (50, 24), (160, 45)])
@pytest.mark.parametrize("kind", KINDS)
async def test_the_whole_sentence_is_shown(size, kind):
    text = await shown(Dialogs(), kind(SENTENCE), size)
    assert SENTENCE in " ".join(text.split())


async def test_the_answers_of_a_long_question_are_on_the_screen():
    text = await shown(
        App(), ConfirmDialog("T", "\n".join(map(str, range(60))), [("write", "Write it"), ("stay", "No")]), (80, 24)
    )
    assert "Write it" in text


@pytest.mark.parametrize(
    ("answers", "destructive", "enter", "escape"),
    [
        ([("overwrite", "O"), ("reload", "R"), ("stay", "S")], ("overwrite", "reload"), "stay", "stay"),
        ([("save", "S"), ("quit", "Q"), ("stay", "T")], ("quit",), "save", "stay"),
        ([("delete", "D"), ("stay", "K")], ("delete",), "stay", "stay"),
        ([("write", "W"), ("stay", "K")], (), "write", "stay"),
    ],
)
@pytest.mark.parametrize("key", ["enter", "escape"])
async def test_what_a_stray_key_means(answers, destructive, enter, escape, key):
    said: list[str | None] = []
    app = App()
    async with app.run_test() as pilot:
        app.push_screen(ConfirmDialog("T", "?", answers, destructive), said.append)
        await pilot.pause()
        await pilot.press(key)
        await pilot.pause()
    assert said == [enter if key == "enter" else escape]


def test_every_answer_that_destroys_is_named_so():
    """Each action that asks says which of its answers destroy something."""
    found: set[str] = set()
    for path in sorted(ACTIONS.glob("*.py")):
        for action in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if not isinstance(action, ast.AsyncFunctionDef):
                continue
            calls = [one for one in ast.walk(action) if isinstance(one, ast.Call) and ast.unparse(one.func) == "ui.ask"]
            given = {one.elts[0].value for one in ast.walk(action) if isinstance(one, ast.Tuple) and _is_answer(one)}
            named = " ".join(ast.unparse(word.value) for call in calls for word in call.keywords)
            if calls:
                found |= given & DESTROYING
                assert {name for name in given & DESTROYING if repr(name) not in named} == set(), action.name
    assert found == DESTROYING


def _is_answer(pair: ast.Tuple) -> bool:
    id_, title = pair.elts if len(pair.elts) == 2 else (None, None)
    return isinstance(id_, ast.Constant) and isinstance(title, ast.Constant | ast.JoinedStr)
