"""Matrix rows: a row of a run as the table draws it: a sign for each score and the beginning of each answer."""

from __future__ import annotations

from workbench.runs.matrix_rows import CellPreview, MatrixRow
from workbench.tui.widgets.matrix_table import CellMark, MatrixLine


def make_matrix_line(
    row: MatrixRow, metric: str, binary: bool, lower_is_better: bool = False, asked: str = ""
) -> MatrixLine:
    """The row of one case by one metric. asked: the variable to show; where the case has none such, its longest."""
    preview = row.variables.get(asked) or max(row.variables.values(), key=len, default="")
    marks = tuple(make_cell_mark(cell, metric, binary, lower_is_better) for cell in row.cells)
    return MatrixLine(row.number, preview, row.expected or "", marks)


def make_cell_mark(cell: CellPreview, metric: str, binary: bool, lower_is_better: bool = False) -> CellMark:
    """One cell. Right and wrong have a sign and a colour; what lies between shows its value as well."""
    if cell.state == "failed":
        return CellMark("!", cell.error, "error")
    if cell.state == "waiting" and not cell.done:
        return CellMark("·", "", "wait")
    value = cell.scores.get(metric)
    if value is None:
        return CellMark(" ", cell.text, "plain")
    if value == (0.0 if lower_is_better else 1.0):
        return CellMark("✓", cell.text, "good")
    if binary and value == 0.0:
        return CellMark("✗", cell.text, "bad")
    if 0.0 <= value <= 1.0 and not lower_is_better:
        return CellMark("✗" if value == 0.0 else "≈", f"{value:.2f} {cell.text}", "bad" if value < 0.5 else "part")
    return CellMark(" ", f"{value:.4g} {cell.text}", "plain")
