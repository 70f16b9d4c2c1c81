"""The file dialog: typing filters and completes, a pasted path works, and nothing the file system says ends the app."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from conftest import settled, until
from hostile_bench import MARKUP, STEERING
from textual.app import App
from textual.pilot import Pilot

from workbench import paths
from workbench.runs.recent import list_recent, remember_file
from workbench.sanitize import is_safe_line, sanitize_line
from workbench.tui.app import WorkbenchApp
from workbench.tui.dialogs.file_picker import FilePicker
from workbench.tui.sanitize_filter import SanitizeFilter
from workbench.tui.themed_app import ThemedApp
from workbench.tui.widgets.picker import Picker

NAMES = (
    *MARKUP,
    "x [@click=app.bell]C",
    f"x {STEERING}",
    "two\nrows",
    b"bytes \xff".decode("utf-8", "surrogateescape"),
)


def as_file_name(text: str) -> str:
    return text.replace("/", "÷")


class PickerHost(ThemedApp):
    CSS_PATH = WorkbenchApp.CSS_PATH

    def __init__(self):
        super().__init__("auto", False)

    def get_line_filters(self):
        return [*super().get_line_filters(), SanitizeFilter()]


def read_rows(app: App[None]) -> list[str]:
    rows = [[segment.text for segment in strip] for strip in app.screen._compositor.render_strips()]
    return ["".join("".join(parts) for parts in row) for row in rows]


def shows(app: App[None], text: str) -> bool:
    return text in "\n".join(read_rows(app))


def names(picker: FilePicker) -> list[str]:
    return [entry.name for entry in picker.shown]


async def opened(pilot: Pilot[None], folder: Path, recent=()) -> tuple[FilePicker, list[Path | None]]:
    chosen: list[Path | None] = []
    picker = FilePicker(folder, "Choose a [/red] model", (".gguf",), recent)
    pilot.app.push_screen(picker, chosen.append)
    await until(pilot, lambda: (picker.is_mounted and picker.rows.option_count > 0) or picker_says(picker))
    return picker, chosen


def picker_says(picker: FilePicker) -> str:
    return str(picker.query_one("#file-problem").render()) if picker.is_mounted else ""


@pytest.fixture
def models(tmp_path: Path) -> Path:
    """Two models, another file, a folder with a model, and a hidden file."""
    folder = tmp_path / "models"
    (folder / "old").mkdir(parents=True)
    for name in ("qwen-small.gguf", "qwen-large.gguf", "notes.txt", ".hidden.gguf", "old/first one.gguf"):
        (folder / name).touch()
    return folder


async def test_folders_come_first_then_wanted_files_then_others(models):
    async with PickerHost().run_test(size=(80, 24)) as pilot:
        picker, _ = await opened(pilot, models)
        assert names(picker) == ["old/", "qwen-large.gguf", "qwen-small.gguf", "notes.txt"]


async def test_typing_filters_and_enter_opens_the_highlighted_file(models):
    async with PickerHost().run_test(size=(80, 24)) as pilot:
        picker, chosen = await opened(pilot, models)
        await pilot.press(*"qwen")
        await until(pilot, lambda: names(picker) == ["qwen-large.gguf", "qwen-small.gguf"])
        await pilot.press("down", "enter")
        await until(pilot, lambda: bool(chosen))
    assert chosen == [models / "qwen-small.gguf"]


async def test_tab_completes_as_far_as_names_agree(models):
    async with PickerHost().run_test(size=(80, 24)) as pilot:
        picker, chosen = await opened(pilot, models)
        for typed, completed in (("q", "qwen-"), ("s", "qwen-small.gguf")):
            await pilot.press(typed)
            await until(pilot, lambda: bool(names(picker)) and "old/" not in names(picker))
            await pilot.press("tab")
            await until(pilot, lambda completed=completed: picker.line.value == completed)
        await pilot.press("enter")
        await until(pilot, lambda: bool(chosen))
    assert chosen == [models / "qwen-small.gguf"]


async def test_enter_goes_into_a_folder_and_shift_tab_out_of_it(models):
    async with PickerHost().run_test(size=(80, 24)) as pilot:
        picker, chosen = await opened(pilot, models)
        await pilot.press("enter")
        await until(pilot, lambda: names(picker) == ["first one.gguf"] and picker.folder == models / "old")
        await pilot.press("shift+tab")
        await until(pilot, lambda: "old/" in names(picker) and picker.folder == models)
        await pilot.press("escape")
        await until(pilot, lambda: bool(chosen))
    assert chosen == [None]


@pytest.mark.parametrize("form", ["{}", "'{}'", '"{}"', "  {} ", "file://{url}", "{escaped}", "~/{relative}"])
async def test_a_pasted_path_is_opened(models, monkeypatch, form):
    file = models / "old/first one.gguf"
    monkeypatch.setenv("HOME", str(models))
    forms = {"url": str(file).replace(" ", "%20"), "escaped": str(file).replace(" ", "\\ ")}
    text = form.format(file, **forms, relative=file.relative_to(models))
    async with PickerHost().run_test(size=(80, 24)) as pilot:
        picker, chosen = await opened(pilot, models.parent)
        picker.line.value = text
        await pilot.press("enter")
        await until(pilot, lambda: bool(chosen))
    assert chosen == [file]


async def test_recent_files_are_on_top_until_something_is_typed(models):
    recent = models / "old/first one.gguf"
    async with PickerHost().run_test(size=(80, 24)) as pilot:
        picker, chosen = await opened(pilot, models, [recent])
        assert names(picker)[:2] == ["first one.gguf", "old/"]
        await pilot.press("n")
        await until(pilot, lambda: "first one.gguf" not in names(picker))
        await pilot.press("backspace")
        await until(pilot, lambda: names(picker)[0] == "first one.gguf")
        await pilot.press("enter")
        await until(pilot, lambda: bool(chosen))
    assert chosen == [recent]


async def test_what_does_not_fit_is_counted(tmp_path, monkeypatch):
    monkeypatch.setattr("workbench.tui.dialogs.file_picker._MOST_ROWS", 3)
    for number in range(10):
        (tmp_path / f"{number}.gguf").touch()
    async with PickerHost().run_test(size=(80, 24)) as pilot:
        picker, _ = await opened(pilot, tmp_path)
        assert len(picker.shown) == 3
        assert picker_says(picker) == "7 more; type to narrow."


@pytest.mark.parametrize("name", NAMES, ids=range(len(NAMES)))
async def test_a_hostile_folder_and_file_are_shown_as_they_are_and_chosen(tmp_path, name):
    name = as_file_name(name)
    folder = tmp_path / f"f {name}"
    (folder / f"below {name}").mkdir(parents=True)
    file = folder / f"m {name}.gguf"
    file.touch()
    app = PickerHost()
    async with app.run_test(size=(200, 40)) as pilot:
        picker, chosen = await opened(pilot, folder)
        shown = sanitize_line(f"f {name}")
        await until(pilot, lambda: shows(app, shown))
        rows = "\n".join(read_rows(app))
        for part in (sanitize_line(f"below {name}"), sanitize_line(file.name), "a [/red] model"):
            assert part in rows
        assert all(is_safe_line(row) for row in rows.split("\n"))
        picker.rows.highlighted = [entry.path for entry in picker.shown].index(file)
        await pilot.press("enter")
        await until(pilot, lambda: bool(chosen))
    assert chosen == [file]


async def test_the_end_of_a_long_path_is_shown_in_cells(tmp_path):
    folder = tmp_path / ("wide " + "字" * 60) / "last"
    folder.mkdir(parents=True)
    app = PickerHost()
    async with app.run_test(size=(80, 24)) as pilot:
        await opened(pilot, folder)
        await until(pilot, lambda: shows(app, "字/last"))
        assert "…" in next(row for row in read_rows(app) if "字/last" in row)


async def test_a_folder_that_is_gone_is_said(tmp_path):
    app = PickerHost()
    async with app.run_test(size=(100, 30)) as pilot:
        await opened(pilot, tmp_path / "gone")
        await until(pilot, lambda: shows(app, "No such folder"))
        await pilot.press("escape")


async def test_a_time_past_the_last_year_is_left_out(tmp_path):
    file = tmp_path / "late.gguf"
    file.touch()
    os.utime(file, (2**38, 2**38))
    if file.stat().st_mtime < 2**38:
        pytest.skip("this file system holds no such time")
    app = PickerHost()
    async with app.run_test(size=(100, 30)) as pilot:
        await opened(pilot, tmp_path)
        await until(pilot, lambda: shows(app, "late.gguf"))


@pytest.mark.parametrize("typed", ["**a", "a" * 5000, "nul\0", "~no-such-user/x", "[", "loop/x", "gone/x", "x/" * 3000])
async def test_what_is_no_path_is_refused_in_words(tmp_path, typed):
    (tmp_path / "loop").symlink_to(tmp_path / "loop")
    app = PickerHost()
    async with app.run_test(size=(100, 30)) as pilot:
        picker, chosen = await opened(pilot, tmp_path)
        picker.line.value = typed
        await pilot.press("enter")
        await until(pilot, lambda: len(picker_says(picker)) > len("No matches."))
        assert app.screen is picker
        assert not chosen


async def test_a_picker_with_files_opens_a_pasted_path_and_remembers_browsed_ones(app, folder):
    model = folder / "second model.script.json"
    model.write_text((folder / "desk.script.json").read_text())
    async with app.run_test(size=(120, 40)) as pilot:
        screen = await settled(pilot)
        screen.panes[0].focus()
        await pilot.press("m")
        await until(pilot, lambda: isinstance(app.screen, Picker) and app.screen.is_mounted)
        app.screen.query_one("Input").value = f"'{model}'"
        await until(pilot, lambda: shows(app, "json  open"))
        await pilot.press("enter")
        await until(pilot, lambda: screen.session.variants[0].model != "desk.script.json")
        chosen = screen.session.bench.models[screen.session.variants[0].model]
        assert (folder / chosen.path).samefile(model)


async def test_browsing_starts_beside_the_bench_and_then_where_a_file_was_opened_last(app, folder):
    elsewhere = folder.parent / "elsewhere"
    elsewhere.mkdir()
    (elsewhere / "tiny.gguf").touch()
    async with app.run_test(size=(120, 40)) as pilot:
        screen = await settled(pilot)
        for expected in (folder, elsewhere):
            screen.panes[0].focus()
            await pilot.press("m")
            await until(pilot, lambda: isinstance(app.screen, Picker) and app.screen.is_mounted)
            await pilot.press("ctrl+o")
            await until(pilot, lambda: isinstance(app.screen, FilePicker) and bool(app.screen.shown))
            assert app.screen.folder == expected
            await pilot.press("escape")
            await until(pilot, lambda: app.screen is screen)
            remember_file(elsewhere / "tiny.gguf", "models")
        assert list_recent("models") == (elsewhere / "tiny.gguf",)
        assert paths.data_folder().joinpath("recent-models.json").exists()
