"""TitleBar: which bench is open, which case is shown, what the engines do; and a slim progress line under it."""

from __future__ import annotations

from typing import NamedTuple

from rich.cells import cell_len, set_cell_size
from textual.content import Content

from workbench.sanitize import sanitize
from workbench.tui.widgets.plain import Static

_LIVE = Content.from_markup("[@click=screen.live]live ◉[/]")
_NOT_LIVE = Content.from_markup("[@click=screen.live]live ○[/]")


class Title(NamedTuple):
    """What the title bar shows.

    done and total: panes of the current run; total 0 when nothing runs. speed: all panes together, tokens/s.
    bandwidth: the share of the memory's speed that the engine reads weights with, where that is known.
    cached: the share of all prompt tokens that was not evaluated again; None where none was taken over.
    """

    bench: str = ""
    unsaved: bool = False
    case: int = 1
    cases: int = 0
    live: bool = True
    model: str = ""
    speed: float = 0.0
    bandwidth: float | None = None
    cached: float | None = None
    done: int = 0
    total: int = 0


class TitleBar(Static):
    """One row of facts, one row of progress."""

    def __init__(self) -> None:
        super().__init__(id="title")
        self._title = Title()

    def show(self, title: Title) -> None:
        if title != self._title:
            self._title = title
            self._draw()

    def on_mount(self) -> None:
        self._draw()

    def on_resize(self) -> None:
        self._draw()

    def _draw(self) -> None:
        title = self._title
        width = self.size.width
        if width < 20:
            return
        steps = Content.from_markup(" [@click=screen.previous_case]◂[/] [@click=screen.next_case]▸[/]")
        case = f"case {title.case}/{title.cases}" if title.cases else "typed case"
        live = _LIVE if title.live else _NOT_LIVE
        for engine in (*describe_engine(title), ""):
            status = Content.assemble("  ", (engine, "$foreground 60%")) if engine else Content("")
            right = Content.assemble(case, steps, "   ", live, " ", status, " " if engine else "")
            if right.cell_length <= width - 24:
                break
        name = sanitize(title.bench) + (" ●" if title.unsaved else "")
        left = Content.assemble((" workbench  ", "bold $primary"), _cut(name, width - right.cell_length - 13))
        gap = " " * max(width - left.cell_length - right.cell_length, 1)
        self.update(Content.assemble(left, gap, right, "\n", self._progress(width)), layout=False)

    def _progress(self, width: int) -> Content:
        title = self._title
        if not title.total:
            return Content.assemble(("─" * width, "$border-blurred"))
        filled = width * title.done // title.total
        return Content.assemble(("━" * filled, "$primary"), ("─" * (width - filled), "$primary 40%"))


def describe_engine(title: Title) -> tuple[str, ...]:
    """The model and how fast it is: in full, and shorter for where that does not fit."""
    texts = [sanitize(title.model)]
    if title.speed >= 1:
        texts.append(f"{texts[0]}  {title.speed:.0f} tok/s")
        if title.bandwidth is not None:
            texts.append(f"{texts[-1]}  {title.bandwidth:.0%} bw")
        if title.cached is not None:
            texts.append(f"{texts[-1]}  {title.cached:.0%} cached")
    return tuple(reversed(texts))


def _cut(text: str, width: int) -> str:
    return text if cell_len(text) <= width else set_cell_size(text, max(width - 1, 1)) + "…"
