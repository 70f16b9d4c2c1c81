"""FilteredList: a list of names that a query narrows; those in use are marked."""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar

from textual.binding import Binding, BindingType
from textual.content import Content

from workbench.sanitize import sanitize
from workbench.tui.widgets.plain import Option, OptionList, plain_line


class FilteredList(OptionList):
    """A list under a title that counts."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("enter", "select", "use", id="models.use", tooltip="Use it in the pane"),
    ]

    def __init__(self, id: str, title: str) -> None:
        super().__init__(id=id)
        self._title = title

    def fill(self, names: Sequence[tuple[str, bool]], query: str) -> None:
        """Show the names in which every word of the query stands; the second of each pair says it is in use."""
        words = query.lower().split()
        found = [(name, used) for name, used in names if all(word in name.lower() for word in words)]
        self.border_title = plain_line(f"{self._title}  {len(found)}" + (f" of {len(names)}" if words else ""))
        rows = [
            Option(Content.assemble(sanitize(name), ("  loaded" if used else "", "$text-success")), id=name)
            for name, used in found
        ]
        nothing = "No matches." if names else "None found. `workbench models` lists the folders searched."
        self.set_options(rows or [Option(Content(nothing), disabled=True)])
        if rows:
            self.highlighted = 0

    @property
    def highlighted_id(self) -> str:
        """The highlighted name; "" where none is."""
        index = self.highlighted
        return (self.get_option_at_index(index).id or "") if index is not None else ""

    def select(self, name: str) -> None:
        """Highlight a name, if it is listed."""
        for index, option in enumerate(self.options):
            if option.id == name:
                self.highlighted = index
