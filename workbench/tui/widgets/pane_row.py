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
    """The right side of the bench screen."""

    def __init__(self) -> None:
        super().__init__(id="answers")
        self.tabs, self.grid = PaneTabs(), Container(id="panes")
        self.panes: list[OutputPane] = []

    def compose(self) -> ComposeResult:
        yield self.tabs
        yield self.grid

    async def rebuild(self, count: int, kept: Sequence[OutputPane]) -> None:
        """Have `count` panes, those in `kept` first and in that order; new ones are made for the rest."""
        panes = [*kept, *(OutputPane(index) for index in range(len(kept), count))]
        for pane in self.panes:
            if pane not in panes:
                await pane.remove()
        for index, pane in enumerate(panes):
            pane.index = index
            if not pane.is_mounted:
                await self.grid.mount(pane, before=index if index < len(self.grid.children) else None)
        self.panes = panes
        self.grid.set_classes(f"panes-{len(panes)}")

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
