"""The file picker: names of folders and files are only text, and nothing that the file system says ends the app."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from conftest import settled, until
from hostile_bench import MARKUP, STEERING
from textual.app import App
from textual.pilot import Pilot
from textual_fspicker.parts import DirectoryNavigation

from workbench.sanitize import is_safe_line, sanitize_line
from workbench.tui.dialogs.file_picker import FilePicker, FolderPath
from workbench.tui.sanitize_filter import SanitizeFilter
from workbench.tui.widgets.editing import Input

NAMES = (
    *MARKUP,
    "x [@click=app.bell]C",
    f"x {STEERING}",
    "two\nrows",
    b"bytes \xff".decode("utf-8", "surrogateescape"),
)


def as_file_name(text: str) -> str:
    return text.replace("/", "÷")


class Host(App[None]):
    def get_line_filters(self):
        return [*super().get_line_filters(), SanitizeFilter()]


def read_rows(app: App[None]) -> list[str]:
    rows = [[segment.text for segment in strip] for strip in app.screen._compositor.render_strips()]
    return ["".join("".join(parts) for parts in row) for row in rows]


async def listed(pilot: Pilot[None], picker: FilePicker, name: str) -> None:
    """Wait until the list holds a name."""
    await until(
        pilot,
        lambda: any(
            entry.location.name == name for entry in picker.query_one(DirectoryNavigation).options  # type: ignore
        ),
    )  # fmt: skip


async def opened(pilot: Pilot[None], folder: Path) -> tuple[FilePicker, list[Path | None]]:
    chosen: list[Path | None] = []
    picker = FilePicker(folder, "Choose a [/red] model", (".gguf",))
    pilot.app.push_screen(picker, chosen.append)
    await until(pilot, lambda: picker.is_mounted and bool(picker.query(DirectoryNavigation)))
    return picker, chosen


@pytest.mark.parametrize("name", NAMES, ids=range(len(NAMES)))
async def test_a_hostile_folder_and_file_are_shown_as_they_are_and_chosen(tmp_path, name):
    name = as_file_name(name)
    folder = tmp_path / f"f {name}"
    (folder / f"below {name}").mkdir(parents=True)
    file = folder / f"m {name}.gguf"
    file.touch()
    app = Host()
    async with app.run_test(size=(200, 40)) as pilot:
        picker, chosen = await opened(pilot, folder)
        await listed(pilot, picker, file.name)
        shown = sanitize_line(f"f {name}")
        await until(pilot, lambda: shown in str(picker.query_one(FolderPath).render()))
        rows = "\n".join(read_rows(app))
        for part in (shown, sanitize_line(f"below {name}"), sanitize_line(file.name), "a [/red] model"):
            assert part in rows
        assert all(is_safe_line(row) for row in rows.split("\n"))
        navigation = picker.query_one(DirectoryNavigation)
        navigation.highlighted = next(
            index for index, entry in enumerate(navigation.options) if entry.location.name == file.name
        )
        await pilot.press("enter")  # into the line
        await until(pilot, lambda: picker.query_one(Input).value == file.name)
        await pilot.press("enter")
        await until(pilot, lambda: bool(chosen))
    assert chosen == [file]


async def test_the_end_of_a_long_path_is_shown_in_cells(tmp_path):
    folder = tmp_path / ("wide " + "字" * 60) / "last"
    folder.mkdir(parents=True)
    app = Host()
    async with app.run_test(size=(80, 24)) as pilot:
        picker, _ = await opened(pilot, folder)
        path = picker.query_one(FolderPath)
        await until(pilot, lambda: str(path.render()).endswith("字/last"))
        row = next(row for row in read_rows(app) if "字/last" in row)
        assert "…" in row


async def test_a_folder_that_is_gone_is_said(tmp_path):
    app = Host()
    async with app.run_test(size=(100, 30)) as pilot:
        await opened(pilot, tmp_path / "gone")
        await until(pilot, lambda: "This folder cannot be read" in "\n".join(read_rows(app)))
        await pilot.press("escape")


async def test_a_time_past_the_last_year_is_left_out(tmp_path):
    file = tmp_path / "late.gguf"
    file.touch()
    os.utime(file, (2**38, 2**38))
    if file.stat().st_mtime < 2**38:
        pytest.skip("this file system holds no such time")
    app = Host()
    async with app.run_test(size=(100, 30)) as pilot:
        picker, _ = await opened(pilot, tmp_path)
        await listed(pilot, picker, "late.gguf")
        assert any("late.gguf" in row for row in read_rows(app))


@pytest.mark.parametrize("typed", ["**a", "a" * 5000, "nul\0", "~no-such-user/x", "[", "loop/x"])
async def test_what_is_no_path_is_refused(tmp_path, typed):
    (tmp_path / "loop").symlink_to(tmp_path / "loop")
    app = Host()
    async with app.run_test(size=(100, 30)) as pilot:
        picker, chosen = await opened(pilot, tmp_path)
        line = picker.query_one(Input)
        line.focus()
        line.value = typed
        await pilot.pause()
        await pilot.press("enter")
        await until(pilot, lambda: bool(str(picker.query("Dialog").first().border_subtitle)))
        assert app.screen is picker
        assert not chosen


async def test_the_bench_opens_it_in_a_hostile_home(app, tmp_path, monkeypatch):
    """Where the app once ended: the header of the picker, in a home folder that reads as markup."""
    home = tmp_path / "x [" / "red]"
    home.mkdir(parents=True)
    monkeypatch.setattr(Path, "home", lambda: home)
    async with app.run_test(size=(120, 40)) as pilot:
        screen = await settled(pilot)
        screen.panes[0].focus()
        await pilot.press("m")
        await until(pilot, lambda: type(app.screen).__name__ == "Picker")
        await pilot.press("ctrl+f")
        await until(pilot, lambda: isinstance(app.screen, FilePicker) and bool(app.screen.query(FolderPath)))
        await until(pilot, lambda: "x [/red]" in str(app.screen.query_one(FolderPath).render()))
        await pilot.press("escape")
        await until(pilot, lambda: app.screen is screen)
