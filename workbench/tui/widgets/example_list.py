"""ExampleList: the few-shot examples of the chosen pane, each with its switch and its cost in tokens.

Shows and asks; which examples a variant leaves out is the session's to keep.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import ClassVar, Literal

from rich.cells import cell_len, set_cell_size
from textual import events
from textual.binding import Binding, BindingType
from textual.content import Content
from textual.message import Message

from workbench.prompting.prompt import Example
from workbench.sanitize import sanitize
from workbench.tui.widgets.plain import Option, OptionList, plain_line

Wish = Literal["toggle", "edit", "add", "remove", "toggle_all"]


class ExampleList(OptionList):
    """A list of check boxes."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("space", "ask('toggle')", "on/off", id="examples.toggle"),
        Binding("enter", "ask('edit')", "edit", id="examples.edit"),
        Binding("a", "ask('add')", "add", id="examples.add"),
        Binding("delete,backspace", "ask('remove')", "remove", id="examples.remove"),
        Binding("t", "ask('toggle_all')", "all on/off", id="examples.all"),
    ]

    @dataclass
    class Asked(Message):
        """A person asked for something that concerns an example of a prompt; its id is empty when the list is."""

        wish: Wish
        prompt: str
        example: str

    def __init__(self) -> None:
        super().__init__(id="examples")
        self._prompt = ""
        self._examples: tuple[Example, ...] = ()
        self._off: frozenset[str] = frozenset()
        self._costs: Mapping[str, int] = {}
        self._dropped: frozenset[str] = frozenset()

    def load(self, prompt: str, examples: Sequence[Example], off: Collection[str]) -> None:
        """Show the examples of a prompt, those in `off` unchecked."""
        self._prompt, self._examples, self._off = prompt, tuple(examples), frozenset(off)
        self._refill()

    def show_costs(self, costs: Mapping[str, int], dropped: Collection[str] = ()) -> None:
        """Show what each example costs, in tokens, and which are left out to fit the context."""
        if (costs, frozenset(dropped)) != (self._costs, self._dropped):
            self._costs, self._dropped = costs, frozenset(dropped)
            self._refill()

    def action_ask(self, wish: Wish) -> None:
        index = self.highlighted
        example = self._examples[index].id if index is not None and index < len(self._examples) else ""
        self.post_message(self.Asked(wish, self._prompt, example))

    def on_option_list_option_selected(self, event: OptionList.OptionSelected) -> None:
        """A click: the switch, not the editor."""
        event.stop()
        self.post_message(self.Asked("toggle", self._prompt, str(event.option.id)))

    def on_resize(self, _event: events.Resize) -> None:
        self._refill()

    def _refill(self) -> None:
        kept = self.highlighted
        width = max(self.scrollable_content_region.width - 2, 12)
        on = [example for example in self._examples if example.id not in self._off | self._dropped]
        cost = sum(self._costs.get(example.id, 0) for example in on)
        tokens = f" · {cost} tokens" if cost else ""
        self.border_title = plain_line(
            f"Examples  {len(on)} of {len(self._examples)}{tokens}" if self._examples else "Examples"
        )
        rows = [Option(self._row(example, width), id=example.id) for example in self._examples]
        empty = [Option(Content("none yet: press a to add one"), disabled=True)]
        self.set_options(rows or empty)
        if rows:
            self.highlighted = min(kept or 0, len(rows) - 1)

    def _row(self, example: Example, width: int) -> Content:
        off, dropped = example.id in self._off, example.id in self._dropped
        cost = str(self._costs.get(example.id, "")) if not off else ""
        answer = f" → {_one_line(example.answer)}"
        answer = set_cell_size(answer, min(cell_len(answer), width // 2))
        head = f"{'☐' if off else '☒' if dropped else '☑'} {sanitize(example.id)}  "
        room = max(width - cell_len(head) - cell_len(answer) - len(cost) - 1, 4)
        question = _one_line(" ".join(example.variables.values()))
        if cell_len(question) > room:
            question = set_cell_size(question, room - 1).rstrip() + "…"
        left = head + question + answer
        gap = " " * max(width - cell_len(left) - len(cost), 1)
        return Content.assemble((left, "$foreground 45%" if off or dropped else ""), (gap + cost, "$foreground 60%"))


def _one_line(text: str) -> str:
    return sanitize(" ".join(text.split()))
