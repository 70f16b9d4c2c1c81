"""MatrixTable and Pages: what is drawn, what is fetched, and where the cursor goes."""

from __future__ import annotations

from concurrent.futures import Future
from threading import Event

import pytest
from conftest import until
from rich.cells import cell_len
from textual.app import App, ComposeResult

from workbench.tui.paginated_source import KEPT, PAGE, PaginatedSource
from workbench.tui.widgets.matrix_table import NARROWEST, CellMark, MatrixLine, MatrixTable, fit_cells, share_width

NAMES = ("plain", "described", "few-shot")


def line(index: int) -> MatrixLine:
    marks = (CellMark("✗", "Refunds", "bad"), CellMark("✓", "Lantern", "good"), CellMark("!", "out of ink", "error"))
    return MatrixLine(index + 1, f"message {index + 1}", "Lantern", marks)


class Frame(App[None]):
    def __init__(self, count: int) -> None:
        super().__init__()
        self.table = MatrixTable(line)
        self.opened: list[tuple[int, int]] = []
        self._count = count

    def compose(self) -> ComposeResult:
        yield self.table

    def on_mount(self) -> None:
        self.table.show(NAMES, self._count)
        self.table.focus()

    def on_matrix_table_cell_opened(self, event: MatrixTable.CellOpened) -> None:
        self.opened.append((event.row, event.column))


def drawn(table: MatrixTable) -> list[str]:
    return [table.render_line(y).text for y in range(table.size.height)]


async def test_the_head_stays_and_only_what_is_seen_is_drawn():
    app = Frame(100_000)
    async with app.run_test(size=(120, 20)) as pilot:
        await pilot.press("end")
        rows = drawn(app.table)
        assert rows[0].split() == ["case", "asked", "expected", *NAMES]
        assert rows[-1].split()[0] == "100000"
        assert "✗ Refunds" in rows[-1]


@pytest.mark.parametrize(
    ("keys", "row", "column"),
    [
        (("down", "down", "right"), 2, 1),
        (("left", "up"), 0, 0),
        (("end", "down"), 99, 0),
        (("end", "home", "right", "right", "right"), 0, 2),
        (("pagedown",), 18, 0),
    ],
)
async def test_keys_move_the_cursor_within_the_table(keys, row, column):
    app = Frame(100)
    async with app.run_test(size=(120, 20)) as pilot:
        await pilot.press(*keys, "enter")
        await until(pilot, lambda: app.opened == [(row, column)])


async def test_a_click_chooses_a_cell_and_a_second_one_opens_it():
    app = Frame(10)
    async with app.run_test(size=(120, 20)) as pilot:
        columns = app.table.columns
        x = 7 + columns.preview + columns.expected + columns.cell + 2
        await pilot.click(app.table, offset=(x, 4))
        assert (app.table.row, app.table.column) == (3, 1)
        await pilot.click(app.table, offset=(x, 4))
        await until(pilot, lambda: (3, 1) in app.opened)


async def test_an_empty_table_opens_nothing():
    app = Frame(0)
    async with app.run_test(size=(80, 10)) as pilot:
        await pilot.press("down", "enter", "end")
        assert app.opened == []
        assert app.table.row == 0


@pytest.mark.parametrize("width", [20, 40, 79, 80, 112, 160, 300])
@pytest.mark.parametrize("variants", [1, 2, 5, 8])
@pytest.mark.parametrize("at", [0, 7])
def test_columns_fill_the_width_and_the_chosen_one_is_among_them(width, variants, at):
    at = min(at, variants - 1)
    columns = share_width(width, variants, at)
    assert columns.first <= at < columns.first + columns.shown
    assert columns.cell >= NARROWEST
    assert 7 + columns.preview + columns.expected + columns.cell * columns.shown <= max(width, 7 + 8 + NARROWEST)


@pytest.mark.parametrize(
    ("text", "width", "fitted"),
    [
        ("Refunds", 8, "Refunds "),
        ("Refunds", 7, "Refun… "),
        ("one two", 6, "one… "),
        ("a\nb", 5, "a␤b  "),
        ("港湾港湾", 6, "港湾… "),
        ("港湾港湾", 5, "港…  "),
        ("Refunds", 1, " "),
        ("Refunds", 0, ""),
    ],
)
def test_a_text_that_is_cut_ends_in_an_ellipsis(text, width, fitted):
    assert fit_cells(text, width).rstrip() == fitted.rstrip()
    assert cell_len(fit_cells(text, width)) == width


def test_pages_fetch_what_is_asked_for_once_and_forget_the_oldest():
    asked: list[int] = []
    came, gate = Event(), Event()

    def fetch(offset: int, limit: int) -> list[int]:
        assert gate.wait(120)
        asked.append(offset)
        return list(range(offset, offset + limit))

    pages = PaginatedSource(fetch, came.set, lambda error: None)
    assert pages.get(3) is None
    assert pages.get(4) is None
    gate.set()
    assert came.wait(120)
    assert (pages.get(3), pages.get(4)) == (3, 4)
    assert asked == [0]
    for number in range(1, KEPT + 2):
        came.clear()
        pages.get(number * PAGE)
        assert came.wait(120)
    assert pages.get(3) is None
    pages.close()


def test_refreshed_pages_show_the_old_rows_until_the_new_ones_come():
    answers: list[Future[list[str]]] = [Future(), Future()]
    came = Event()
    calls = iter(answers)
    pages = PaginatedSource(lambda offset, limit: next(calls).result(120), came.set, lambda error: None)
    pages.get(0)
    answers[0].set_result(["old"])
    assert came.wait(120)
    came.clear()
    pages.refresh()
    assert pages.get(0) == "old"
    answers[1].set_result(["new"])
    assert came.wait(120)
    assert pages.get(0) == "new"
    pages.close()


def test_a_page_that_cannot_be_fetched_is_told():
    told: list[Exception] = []
    heard = Event()

    def fetch(offset: int, limit: int) -> list[str]:
        raise OSError("the disk is gone")

    pages = PaginatedSource(fetch, heard.set, lambda error: (told.append(error), heard.set()))
    pages.get(0)
    assert heard.wait(120)
    assert str(told[0]) == "the disk is gone"
    pages.close()
