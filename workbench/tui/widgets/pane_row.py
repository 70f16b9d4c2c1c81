"""PaneRow: the panes side by side, lettered in order; on a narrow screen one of them, the others as tabs."""

from __future__ import annotations

from collections.abc import Collection, Sequence

from textual.app import ComposeResult
from textual.containers import Container, Vertical

from workbench.evaluation.bench import Variant
from workbench.tui.constraints import show_constraints
from workbench.tui.figures import show_adapters, show_sampling
from workbench.tui.widgets.output_pane import OutputPane
from workbench.tui.widgets.pane_tabs import PaneTabs


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
        for index, pane in enumerate(self.panes):
            pane.index = index
            pane.remove_class("-spare")
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
        """Names, prompts, models and adapters on the panes; which one is edited.

        unsupported: for each variant, the fields of Sampling that its engine is known not to follow.
        """
        for pane, variant, ignored in zip(self.panes, variants, unsupported, strict=True):
            mark = " ●" if variant.prompt in edited else ""
            facts = (variant.model, show_sampling(variant.sampling), show_constraints(variant, ignored))
            runs_on = " · ".join(filter(None, facts))
            pane.show_variant(variant.name, f"{variant.prompt}{mark}", runs_on, show_adapters(variant.adapters))
            pane.set_class(pane.index == chosen, "-chosen")
        self.grid.set_class(any(variant.adapters for variant in variants), "-adapted")

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
