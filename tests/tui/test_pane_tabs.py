"""The tabs of a narrow screen: every pane has one, whatever the width."""

from __future__ import annotations

import pytest

from workbench.tui.widgets.pane_row import write_tabs


@pytest.mark.parametrize("width", [8, 16, 24, 32, 39, 40, 47, 80])
@pytest.mark.parametrize("count", [1, 4, 8])
def test_every_pane_has_a_tab(width, count):
    row = write_tabs("✗" * count, count - 1, width)
    assert row.cell_length <= width or width < count
    assert [char for char in row.plain if char in "ABCDEFGH"] == list("ABCDEFGH"[:count])


def test_eight_panes_at_80_columns():
    assert write_tabs("✗" * 8, 7, 38).plain.endswith(" H ✗")
