"""ContextMeter: what the prompt takes of the model's context, part by part."""

from __future__ import annotations

from textual.content import Content

from workbench.prompting.context_fit import Budget
from workbench.tui.widgets.plain import Static

_PARTS = (
    ("system", "sys", "$primary", "█"),
    ("examples", "ex", "$secondary", "▓"),
    ("input", "in", "$accent", "▒"),
    ("output", "out", "$border", "░"),
)
"""a field of the budget, its short name, its colour, and its pattern where colours are few"""


class ContextMeter(Static):
    """Two rows: a bar in the colours of its parts, and their token counts."""

    def __init__(self) -> None:
        super().__init__(id="meter")
        self._budget: Budget | None = None
        self._problem = ""

    @property
    def known(self) -> bool:
        """Whether there is a budget to show."""
        return self._budget is not None

    def show(self, budget: Budget | None, problem: str = "") -> None:
        """Show a budget; None while it is not known, because of a `problem` or because the model is still loading."""
        if (budget, problem) != (self._budget, self._problem):
            self._budget, self._problem = budget, problem
            self._draw()

    def on_mount(self) -> None:
        self._draw()

    def on_resize(self) -> None:
        self._draw()

    def _draw(self) -> None:
        budget = self._budget
        if budget is None:
            waits = "waiting for a valid prompt" if self._problem else "waiting for the model"
            self.update(Content.assemble((f"context  {waits}", "$foreground 60%")))
            return
        if not budget.counted or not budget.limit:
            reason = "the server does not tell " + ("its size" if budget.counted else "how many tokens a prompt has")
            self.update(Content.assemble((f"context  {reason}", "$foreground 60%")))
            return
        figure = f" {budget.used}/{budget.limit}"
        if budget.over:
            figure += " over"
        width = max(self.content_size.width - len("context ▕▏") - len(figure), 4)
        cells = _share([getattr(budget, part) for part, *_ in _PARTS], budget.limit, width)
        few = getattr(self.app, "few_colors", False)
        bar: list[tuple[str, str]] = []
        legend: list[tuple[str, str]] = []
        roomy = self.content_size.width >= 56
        for count, (part, short, colour, pattern) in zip(cells, _PARTS, strict=True):
            bar.append((pattern * count, "") if few else ("█" * count, colour))
            legend.append((f"{pattern} ", "") if few else ("■ ", colour))
            legend.append((f"{part if roomy else short} {getattr(budget, part)}  ", "$foreground 60%"))
        rest = " " * (width - sum(cells))
        self.update(
            Content.assemble(
                "context ▕", *bar, rest, "▏", (figure, "$text-error" if budget.over else ""), "\n", *legend
            )
        )


def _share(parts: list[int], limit: int, width: int) -> list[int]:
    """Cells for each part: never more than `width` together, one at least for what is not nothing."""
    cells: list[int] = []
    for part in parts:
        left = width - sum(cells)
        cells.append(min(max(round(part * width / max(limit, 1)), 1 if part else 0), left))
    return cells
