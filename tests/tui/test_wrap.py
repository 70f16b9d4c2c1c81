"""Wrapping in cells, whole and piece by piece."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st
from rich.cells import cell_len

from workbench.tui.widgets.stream_text import wrap_line

TEXT = st.text(alphabet="ab é漢🙂 -\u0301", max_size=80)


@given(TEXT, st.integers(2, 20))
def test_rows_join_back_to_the_line(line: str, width: int) -> None:
    assert "".join(wrap_line(line, width)) == line


@given(TEXT, st.integers(2, 20))
def test_no_row_is_wider_than_the_pane_but_for_spaces_at_its_end(line: str, width: int) -> None:
    assert all(cell_len(row.rstrip()) <= width for row in wrap_line(line, width))


@given(st.lists(st.text(alphabet="ab é漢 -", max_size=7), max_size=12), st.integers(2, 20))
def test_wrapping_the_last_row_again_equals_wrapping_the_whole(pieces: list[str], width: int) -> None:
    rows = [""]
    for piece in pieces:
        rows[-1:] = wrap_line(rows[-1] + piece, width)
    assert rows == wrap_line("".join(pieces), width)


def test_a_tab_takes_four_cells() -> None:
    assert wrap_line("a\tb", 20) == ["a    b"]
