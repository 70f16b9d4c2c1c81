"""Grammar, JSON schema and reproducibility of a pane: typed, refused where they stand, saved and shown."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from conftest import settled, until
from textual.widgets import Button, Static, TextArea

from workbench.inference.types import Sampling
from workbench.runs.bench import Variant, load_bench
from workbench.tui import catalog
from workbench.tui.constraints import MisplacedError, is_constrained, list_refused, read_constraint, write_constraint
from workbench.tui.dialogs.pane_settings import LINES, PaneSettings

WIDE = (160, 45)
SCHEMA = {"type": "object", "properties": {"queue": {"enum": ["Lantern", "Abacus"]}}, "required": ["queue"]}
GRAMMAR = 'root ::= "Lantern" | "Abacus"\n'


@pytest.fixture
def able(monkeypatch: pytest.MonkeyPatch) -> None:
    """The scripted model, taken for one that can follow a grammar."""
    monkeypatch.setattr(catalog, "find_unsupported", lambda *_args: frozenset())


async def open_panel(pilot) -> PaneSettings:
    await pilot.press("escape", "s")
    await until(pilot, lambda: isinstance(pilot.app.screen, PaneSettings))
    return pilot.app.screen


async def paste(pilot, panel: PaneSettings, name: str, text: str) -> None:
    area = panel.query_one(f"#{name}", TextArea)
    area.focus()
    area.load_text(text)
    await pilot.pause()


def told(panel: PaneSettings) -> str:
    label = panel.query_one("#explanation", Static)
    return str(label.content) if label.has_class("-problem") else ""


def facts(screen, index: int = 0) -> str:
    return str(screen.panes[index].query_one("#pane-meta", Static).content)


async def test_a_typed_schema_is_sent_saved_and_named_on_the_pane(app, folder, able):
    async with app.run_test(size=WIDE) as pilot:
        screen = await settled(pilot)
        await paste(pilot, await open_panel(pilot), "json_schema", json.dumps(SCHEMA, indent=2))
        await pilot.press("ctrl+s")
        await until(pilot, lambda: app.screen is screen)
        assert screen.session.variants[0].sampling.json_schema == SCHEMA
        assert screen.session.spec(0).sampling.json_schema == SCHEMA
        assert "json schema" in facts(screen)
        await pilot.press("ctrl+s")
        await until(pilot, lambda: not screen.session.unsaved)
        assert load_bench(folder / "demo.bench.yaml").variants[0].sampling.json_schema == SCHEMA


async def test_a_broken_schema_is_told_in_the_panel_and_changes_nothing(app, folder, able):
    async with app.run_test(size=WIDE) as pilot:
        screen = await settled(pilot)
        panel = await open_panel(pilot)
        await paste(pilot, panel, "json_schema", '{\n  "type" "object"\n}')
        await pilot.press("ctrl+s")
        assert "JSON schema: line 2, column 10" in told(panel)
        assert panel.query_one("#json_schema", TextArea).cursor_location == (1, 9)
        await paste(pilot, panel, "json_schema", '{"type": "thing"}')
        await pilot.press("ctrl+s")
        assert "$.type" in told(panel)
        await pilot.press("escape", "escape")
        await until(pilot, lambda: app.screen is screen)
        assert screen.session.variants[0].sampling == Sampling()
        assert not screen.session.unsaved


async def test_one_of_grammar_and_schema_at_most(app, able):
    async with app.run_test(size=WIDE) as pilot:
        screen = await settled(pilot)
        panel = await open_panel(pilot)
        await paste(pilot, panel, "grammar", GRAMMAR)
        await paste(pilot, panel, "json_schema", "{}")
        await pilot.press("ctrl+s")
        assert "one of the two" in told(panel)
        await paste(pilot, panel, "json_schema", "")
        await pilot.press("ctrl+s")
        await until(pilot, lambda: app.screen is screen)
        assert screen.session.variants[0].sampling.grammar == GRAMMAR
        assert "grammar" in facts(screen)


async def test_the_switch_saves_reproducible_and_the_answer_is_computed_so(app, folder):
    async with app.run_test(size=WIDE) as pilot:
        screen = await settled(pilot)
        (await open_panel(pilot)).query_one("#deterministic", Button).focus()
        await pilot.press("enter", "ctrl+s")
        await until(pilot, lambda: app.screen is screen)
        await until(pilot, lambda: bool((done := screen.panes[0].completion) and done.deterministic))
        assert "deterministic" in facts(screen)
        await pilot.press("ctrl+s")
        await until(pilot, lambda: not screen.session.unsaved)
        assert "deterministic: true" in (folder / "demo.bench.yaml").read_text()
        panel = await open_panel(pilot)
        assert str(panel.query_one("#deterministic", Button).label) == "on"


async def test_other_settings_leave_a_schema_of_the_bench_as_it_is(app, folder):
    """The scripted model cannot follow it: it can be taken away, and a new one cannot be typed."""
    with (folder / "demo.bench.yaml").open("a") as file:
        file.write("      json_schema: {type: object}\n")
    async with app.run_test(size=WIDE) as pilot:
        screen = await settled(pilot)
        await until(pilot, lambda: "refuses json schema" in facts(screen, 3))
        await pilot.press("escape", "4")
        panel = await open_panel(pilot)
        assert panel.query_one("#grammar", TextArea).disabled
        assert not panel.query_one("#json_schema", TextArea).disabled
        await pilot.press("ctrl+s")
        await until(pilot, lambda: app.screen is screen)
        assert screen.session.variants[3].sampling.json_schema == {"type": "object"}
        await paste(pilot, await open_panel(pilot), "json_schema", "")
        await pilot.press("ctrl+s")
        await until(pilot, lambda: app.screen is screen)
        assert screen.session.variants[3].sampling.json_schema is None
        assert "json schema" not in facts(screen, 3)


async def test_up_and_down_walk_the_lines_and_then_the_fields(app, able):
    async with app.run_test(size=WIDE) as pilot:
        await settled(pilot)
        panel = await open_panel(pilot)
        await paste(pilot, panel, "grammar", 'root ::= a\na ::= "x"')
        await pilot.press("down")
        assert panel.focused is panel.query_one("#grammar")
        await pilot.press("down")
        assert panel.focused is panel.query_one("#regex")
        await pilot.press("up", "up", "up")
        assert panel.focused is panel.query_one(f"#{LINES[-1].name}")


def test_a_file_is_read_from_the_folder_of_the_bench(tmp_path: Path):
    (tmp_path / "queue.json").write_text(json.dumps(SCHEMA))
    (tmp_path / "queue.gbnf").write_text(GRAMMAR)
    (tmp_path / "broken.json").write_text("{")
    assert read_constraint("json_schema", "@queue.json", tmp_path) == SCHEMA
    assert read_constraint("grammar", " @ queue.gbnf\n", tmp_path) == GRAMMAR
    with pytest.raises(ValueError, match=r"broken\.json: line 1, column 2") as refused:
        read_constraint("json_schema", "@broken.json", tmp_path)
    assert not isinstance(refused.value, MisplacedError)  # no place of the field
    for missing in ("@nothing.json", "@", "@a\0b"):
        with pytest.raises(ValueError, match=r"No such|Cannot read|is not a valid path"):
            read_constraint("json_schema", missing, tmp_path)


@pytest.mark.parametrize(
    ("name", "text", "problem"),
    [
        ("json_schema", "[1]", "expected an object"),
        ("json_schema", '{"const": NaN}', "NaN"),
        ("json_schema", '{"a":' * 100_000, "nested too deeply"),
        ("json_schema", '{"required": "queue"}', "required"),
        ("json_schema", '{"items": {"uniqueItems": true}}', r"\$.items: uniqueItems cannot be enforced"),
        ("grammar", 'queue ::= "Lantern"', "expected a rule `root"),
    ],
)
def test_what_cannot_be_used_says_why(name, text, problem, tmp_path: Path):
    with pytest.raises(ValueError, match=problem):
        read_constraint(name, text, tmp_path)


def test_what_is_shown_reads_back():
    assert read_constraint("json_schema", write_constraint(SCHEMA), Path()) == SCHEMA
    assert read_constraint("grammar", write_constraint(GRAMMAR), Path()) == GRAMMAR
    assert read_constraint("json_schema", write_constraint(None), Path()) is None
    assert read_constraint("grammar", " \n", Path()) == ""


def test_what_an_engine_refuses_in_few_words():
    free = Variant("a", "p", "m")
    held = Variant("b", "p", "m", sampling=Sampling(json_schema={}))
    assert (is_constrained(free), is_constrained(held)) == (False, True)
    assert list_refused(held, {"json_schema", "seed"}) == ("refuses json schema",)
    assert list_refused(held, {"seed"}) == ()
