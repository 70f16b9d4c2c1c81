"""PaneRow: the panes side by side, lettered in order; on a narrow screen one of them, the others as tabs."""

from __future__ import annotations

from collections.abc import Collection, Sequence

from textual.app import ComposeResult
from textual.containers import Container, Vertical
from textual.content import Content
from textual.style import Style

from workbench.runs.bench import Variant
from workbench.tui.pane_facts import list_facts
from workbench.tui.pane_letter import name_pane
from workbench.tui.widgets.output_pane import OutputPane
from workbench.tui.widgets.plain import Static

_CHOSEN = Style(bold=True, reverse=True)
_FORMS = ((" {letter} {sign} ", " "), (" {letter} {sign}", ""), ("{letter}{sign}", ""), ("{letter}", ""))
"""forms of a tab and the gap between two; the first that fits is used"""


_SPANS = (1, 2, 3, 4)
"""columns of the grid that a pane may take"""


def span_columns(count: int) -> tuple[int, ...]:
    """How many columns of the grid each pane takes, so that the last row is as wide as the first.

    Up to four panes stand in one row, more of them in two; with five or seven, those of the second row are wider.
    """
    first = (count + 1) // 2
    if count <= 4 or count % 2 == 0:
        return (1,) * count
    return (first - 1,) * first + (first,) * (count - first)


class PaneTabs(Static):
    """One row, such as ` A ✗  B ✗  C ✓ `; a click chooses."""

    def __init__(self) -> None:
        super().__init__(id="tabs")
        self._signs: tuple[str, ...] = ()
        self._chosen = 0

    def show(self, signs: Sequence[str], chosen: int) -> None:
        """signs: one character a pane, in order."""
        if (tuple(signs), chosen) != (self._signs, self._chosen):
            self._signs, self._chosen = tuple(signs), chosen
            self._draw()

    def on_resize(self) -> None:
        self._draw()

    def _draw(self) -> None:
        self.update(write_tabs(self._signs, self._chosen, self.size.width), layout=False)


def write_tabs(signs: Sequence[str], chosen: int, width: int) -> Content:
    """All tabs in a row of so many cells, the chosen one reversed."""
    for form, gap in _FORMS:
        tabs = [
            Content.assemble((form.format(letter=name_pane(index), sign=sign), _style(index, index == chosen)))
            for index, sign in enumerate(signs)
        ]
        row = Content(gap).join(tabs)
        if row.cell_length <= width:
            break
    return row


def _style(index: int, chosen: bool) -> Style:
    click = Style.from_meta({"@click": f"screen.choose({index})"})
    return click + _CHOSEN if chosen else click


class PaneRow(Vertical):
    """The right side of the bench screen.

    Which panes there are changes in one step, without waiting: a pane is made ready before it is taken in, and gone
    from `panes` before its widget is removed. So there is never a moment in which panes and variants do not match.
    """

    def __init__(self) -> None:
        super().__init__(id="answers")
        self.tabs, self.grid = PaneTabs(), Container(id="panes")
        self.panes: list[OutputPane] = []

    def compose(self) -> ComposeResult:
        yield self.tabs
        yield self.grid

    async def make_panes(self, count: int) -> list[OutputPane]:
        """So many panes, ready but not shown."""
        made = [OutputPane() for _ in range(count)]
        for pane in made:
            pane.add_class("-spare")
        if made:
            await self.grid.mount_all(made)
        return made

    def lay_out(self, panes: Sequence[OutputPane]) -> list[OutputPane]:
        """Show exactly these panes, in this order; those that were shown and are not any more, for the caller to end.

        All of them come from `make_panes`.
        """
        gone = [pane for pane in self.panes if pane not in panes]
        self.panes = list(panes)
        for pane in gone:
            pane.add_class("-spare").remove_class("-chosen")
        spans = span_columns(len(self.panes))
        for index, pane in enumerate(self.panes):
            pane.index = index
            pane.remove_class("-spare")
            for span in _SPANS:
                pane.set_class(spans[index] == span, f"-span-{span}")
            if self.grid.children[index] is not pane:
                self.grid.move_child(pane, before=index)
        self.grid.set_classes(f"panes-{len(self.panes)}")
        return gone

    def show_variants(
        self,
        variants: Sequence[Variant],
        edited: Collection[str],
        chosen: int,
        unsupported: Sequence[Collection[str]],
    ) -> None:
        """Names on the panes, and what of their settings differs; which one is edited.

        unsupported: for each variant, the fields of Sampling that its engine is known not to follow.
        """
        for pane, variant, facts in zip(self.panes, variants, list_facts(variants, unsupported), strict=True):
            pane.show_variant(variant.name, variant.prompt in edited, facts)
            pane.set_class(pane.index == chosen, "-chosen")

    def show_signs(self, chosen: int) -> None:
        """The tabs, for a narrow screen."""
        self.tabs.show([pane.sign for pane in self.panes], chosen)

    def mark_differences(self, chosen: int) -> None:
        """Say on each pane whether it answers the same as the chosen one."""
        reference = self.panes[chosen]
        for pane in self.panes:
            comparable = pane is not reference and pane.state == "done" and reference.state == "done"
            sign = "=" if pane.output.text == reference.output.text else "≠"
            pane.mark = f"{sign} {reference.letter}" if comparable else ""
