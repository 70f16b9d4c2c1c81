"""ExampleList: the few-shot examples of the chosen pane, each with its switch and its cost in tokens."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import ClassVar, Literal

from rich.cells import cell_len, set_cell_size
from textual import events
from textual.binding import Binding, BindingType
from textual.content import Content
from textual.geometry import Offset, Region
from textual.message import Message

from workbench.prompting.prompt import Example
from workbench.sanitize import sanitize
from workbench.tui.widgets.plain import Option, OptionList, plain_line

ExampleCommand = Literal["toggle", "edit", "add", "remove", "toggle_all"]


class ExampleList(OptionList):
    """A list of check boxes."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("space", "ask('toggle')", "toggle", id="examples.toggle", tooltip="Switch the example on or off"),
        Binding("enter", "ask('edit')", "edit", id="examples.edit", tooltip="Edit the example"),
        Binding("a", "ask('add')", "add", id="examples.add", tooltip="Add an example"),
        Binding("delete,backspace", "ask('remove')", "remove", id="examples.remove", tooltip="Remove the example"),
        Binding("t", "ask('toggle_all')", "toggle all", id="examples.all", tooltip="Switch all examples on or off"),
    ]

    @dataclass
    class ExampleRequested(Message):
        """A key was pressed on an example of a prompt; its id is empty when the list is."""

        command: ExampleCommand
        prompt: str
        example: str

    def __init__(self) -> None:
        super().__init__(id="examples")
        self._prompt = ""
        self._examples: tuple[Example, ...] = ()
        self._off: frozenset[str] = frozenset()
        self._nearest = 0
        self._total = 0
        self._costs: Mapping[str, int] = {}
        self._dropped: frozenset[str] = frozenset()

    def load(self, prompt: str, examples: Sequence[Example], off: Collection[str], nearest: int = 0) -> None:
        """Show the examples of a prompt, those in `off` unchecked. nearest: how many of them a case is sent; 0: all."""
        self._prompt, self._examples, self._off = prompt, tuple(examples), frozenset(off)
        self._nearest = nearest
        self._refill()

    def show_costs(self, costs: Mapping[str, int], dropped: Collection[str] = (), total: int = 0) -> None:
        """Show what each example costs, in tokens, and which are left out to fit the context. total: of those sent."""
        if (costs, frozenset(dropped), total) != (self._costs, self._dropped, self._total):
            self._costs, self._dropped, self._total = costs, frozenset(dropped), total
            self._refill()

    def find_rows(self, view: Region) -> list[tuple[int, Offset]]:
        """The examples in the part of the screen that shows the list: index and offset of each."""
        region = self.scrollable_content_region
        top, left = region.y - self.scroll_offset.y, region.x
        offsets = [(index, Offset(left, top + index)) for index in range(len(self._examples))]
        return [(index, offset) for index, offset in offsets if view.intersection(region).contains_point(offset)]

    def action_ask(self, command: ExampleCommand) -> None:
        index = self.highlighted
        example = self._examples[index].id if index is not None and index < len(self._examples) else ""
        self.post_message(self.ExampleRequested(command, self._prompt, example))

    def on_option_list_option_selected(self, event: OptionList.OptionSelected) -> None:
        """A click: the switch, not the editor."""
        event.stop()
        self.post_message(self.ExampleRequested("toggle", self._prompt, str(event.option.id)))

    def on_resize(self, _event: events.Resize) -> None:
        self._refill()

    def _refill(self) -> None:
        kept = self.highlighted
        width = max(self.scrollable_content_region.width - 2, 12)
        on = [example for example in self._examples if example.id not in self._off | self._dropped]
        cost = self._total if self._nearest else sum(self._costs.get(example.id, 0) for example in on)
        sent = f"nearest {min(self._nearest, len(on))} of {len(on)}"
        sent = sent if self._nearest else f"{len(on)} of {len(self._examples)}"
        tokens = f" · {cost} tokens" if cost else ""
        self.border_title = plain_line(f"Examples  {sent}{tokens}" if self._examples else "Examples")
        widest = min(max((cell_len(sanitize(example.id)) for example in self._examples), default=0), width // 3)
        rows = [Option(self._row(example, width, widest), id=example.id) for example in self._examples]
        empty = [Option(Content("No examples. Press a to add one."), disabled=True)]
        self.set_options(rows or empty)
        if rows:
            self.highlighted = min(kept or 0, len(rows) - 1)

    def _row(self, example: Example, width: int, widest: int) -> Content:
        """widest: cells of the longest id, so that the questions line up."""
        off, dropped = example.id in self._off, example.id in self._dropped
        cost = str(self._costs.get(example.id, "")) if not off else ""
        answer = f" → {_one_line(example.answer)}"
        answer = set_cell_size(answer, min(cell_len(answer), width // 2))
        id = sanitize(example.id)
        head = f"{'☐' if off else '☒' if dropped else '☑'} {id}{' ' * (widest - cell_len(id))}  "
        room = max(width - cell_len(head) - cell_len(answer) - len(cost) - 1, 4)
        question = _one_line(" ".join(example.variables.values()))
        if cell_len(question) > room:
            question = set_cell_size(question, room - 1).rstrip() + "…"
        left = head + question + answer
        gap = " " * max(width - cell_len(left) - len(cost), 1)
        return Content.assemble((left, "$foreground 45%" if off or dropped else ""), (gap + cost, "$foreground 60%"))


def _one_line(text: str) -> str:
    return sanitize(" ".join(text.split()))
