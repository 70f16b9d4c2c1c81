"""PassageList: what the chosen pane retrieved for the case, with sources and scores, to be pinned or dropped."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar, Literal

from rich.cells import cell_len, set_cell_size
from textual import events
from textual.binding import Binding, BindingType
from textual.content import Content
from textual.message import Message

from workbench.retrieval.passage import Passage
from workbench.retrieval.spec import Retrieve
from workbench.sanitize import sanitize
from workbench.tui.widgets.plain import Option, OptionList, plain_line

PassageCommand = Literal["pin", "drop", "show", "method"]

_LONGEST_SOURCE = 28


class PassageList(OptionList):
    """Pinned passages first, as they are sent; below them those that are dropped, so that they can be restored."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("space", "ask('pin')", "pin", id="passages.pin", tooltip="Pin the passage, or unpin it"),
        Binding(
            "delete,backspace", "ask('drop')", "drop", id="passages.drop", tooltip="Drop the passage, or take it back"
        ),
        Binding("enter", "ask('show')", "show", id="passages.show", tooltip="Show the whole passage"),
        Binding("r", "ask('method')", "retrieval", id="passages.method", tooltip="Retrieval of the pane"),
    ]

    @dataclass
    class PassageRequested(Message):
        """A key was pressed on a passage; its id is empty when the list is."""

        command: PassageCommand
        passage: str

    def __init__(self) -> None:
        super().__init__(id="passages", classes="-hidden")
        self.passages: tuple[Passage, ...] = ()
        self._retrieve: Retrieve | None = None
        self._news = ""

    def load(self, retrieve: Retrieve | None, passages: Sequence[Passage] | None, news: str = "") -> None:
        """Show what was retrieved; None: it is not known yet. The list hides where nothing is to be retrieved.

        news: what is being done meanwhile, such as indexing.
        """
        dropped = set(retrieve.drop) if retrieve else set()  # until it is asked again, the pane shows what it was sent
        shown = tuple(one for one in passages or () if one.id not in dropped)
        if passages is None and not news:
            news = "searching"
        if (retrieve, shown, news) == (self._retrieve, self.passages, self._news):
            return
        self._retrieve, self.passages, self._news = retrieve, shown, news
        self.set_class(retrieve is None, "-hidden")
        self._refill()

    def action_ask(self, command: PassageCommand) -> None:
        index = self.highlighted
        ids = self._ids
        self.post_message(self.PassageRequested(command, ids[index] if index is not None and index < len(ids) else ""))

    def on_option_list_option_selected(self, event: OptionList.OptionSelected) -> None:
        """A click."""
        event.stop()
        self.post_message(self.PassageRequested("show", str(event.option.id)))

    def on_resize(self, _event: events.Resize) -> None:
        self._refill()

    @property
    def _ids(self) -> tuple[str, ...]:
        dropped = self._retrieve.drop if self._retrieve else ()
        return (*(one.id for one in self.passages), *dropped)

    def _refill(self) -> None:
        if self._retrieve is None:
            return
        kept = self.highlighted
        width = max(self.scrollable_content_region.width - 2, 12)
        self.border_title = plain_line(" · ".join(filter(None, (f"Passages  {self._retrieve}", self._news))))
        rows = [Option(self._row(one, width), id=one.id) for one in self.passages]
        rows += [Option(_dropped_row(name, width), id=name) for name in self._retrieve.drop]
        words = "Nothing was found." if not self._news else f"{self._news.capitalize()}…"
        empty = "No passages are retrieved. Press r to choose how." if self._retrieve.by == "none" else words
        self.set_options(rows or [Option(Content(empty), disabled=True)])
        if rows:
            self.highlighted = min(kept or 0, len(rows) - 1)

    def _row(self, passage: Passage, width: int) -> Content:
        score = "pinned" if passage.pinned else "" if passage.score is None else f"{passage.score:.3g}"
        source = sanitize(passage.document)
        if cell_len(source) > _LONGEST_SOURCE:
            source = "…" + source[-_LONGEST_SOURCE + 1 :]
        head = f"{'◆' if passage.pinned else '•'} {source}  "
        room = max(width - cell_len(head) - len(score) - 1, 4)
        text = sanitize(" ".join(passage.text.split()))
        if cell_len(text) > room:
            text = set_cell_size(text, room - 1).rstrip() + "…"
        gap = " " * max(width - cell_len(head + text) - len(score), 1)
        return Content.assemble((head, "$foreground 60%"), text, (gap + score, "$foreground 60%"))


def _dropped_row(name: str, width: int) -> Content:
    return Content.assemble((set_cell_size(f"☒ dropped  {sanitize(name)}", width), "$foreground 45%"))
