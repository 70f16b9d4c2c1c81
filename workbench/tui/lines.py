"""Lines: a run's row as the matrix shows it: a sign for the score, the beginning of the answer.

Knows nothing of widgets but the values they draw.
"""

from __future__ import annotations

from workbench.evaluation.view import Preview, Row
from workbench.tui.widgets.matrix_table import Line, Mark


def make_line(row: Row, metric: str, binary: bool, lower_is_better: bool = False, asked: str = "") -> Line:
    """The row of one case by one metric. asked: the variable to show; where the case has none such, its longest."""
    preview = row.variables.get(asked) or max(row.variables.values(), key=len, default="")
    marks = tuple(make_mark(cell, metric, binary, lower_is_better) for cell in row.cells)
    return Line(row.number, preview, row.expected or "", marks)


def make_mark(cell: Preview, metric: str, binary: bool, lower_is_better: bool = False) -> Mark:
    """One cell. Right and wrong have a sign and a colour; what lies between shows its value as well."""
    if cell.state == "failed":
        return Mark("!", cell.error, "error")
    if cell.state == "waiting" and not cell.done:
        return Mark("·", "", "wait")
    value = cell.scores.get(metric)
    if value is None:
        return Mark(" ", cell.text, "plain")
    if value == (0.0 if lower_is_better else 1.0):
        return Mark("✓", cell.text, "good")
    if binary and value == 0.0:
        return Mark("✗", cell.text, "bad")
    if 0.0 <= value <= 1.0 and not lower_is_better:
        return Mark("✗" if value == 0.0 else "≈", f"{value:.2f} {cell.text}", "bad" if value < 0.5 else "part")
    return Mark(" ", f"{value:.4g} {cell.text}", "plain")
