"""VerdictForm: what a verdict is asked on, each line explained while the cursor stands there.

Knows nothing of how a verdict is reached.
"""

from __future__ import annotations

from pathlib import Path
from typing import NamedTuple

from textual import events
from textual.app import ComposeResult
from textual.containers import Horizontal, Vertical, VerticalScroll

from workbench import paths
from workbench.errors import TrainingError
from workbench.evaluation.cost import Price
from workbench.sanitize import sanitize
from workbench.training.contest import Wanted
from workbench.training.curve import read_counts
from workbench.tui.widgets.editing import Input
from workbench.tui.widgets.plain import Label


class Line(NamedTuple):
    """A line of the form. unsaid: what holds where nothing is typed."""

    id: str
    label: str
    unsaid: str
    explanation: str


_LINES = (
    Line("bench", "bench", "", "The comparison whose prompts are tried; a file. ctrl+o chooses among those beside it."),
    Line(
        "adapter",
        "adapter",
        "the bench's own, else the newest",
        "Which adapter is weighed; ctrl+o chooses. Empty: the one on a pane, else the promoted or newest that suits.",
    ),
    Line("limit", "cases", "all", "Only the first so many cases of each split; fewer are quicker and tell less."),
    Line("at_once", "at once", "4", "Requests side by side. Latencies are measured one by one afterwards."),
    Line(
        "curve",
        "learning curve",
        "none",
        "Numbers of rows such as 10,25,50,100: the same training on so many each, beside so many shots. Takes time.",
    ),
    Line("price_input", "price, tokens in", "the bench's", "Money for a million tokens read, with whatever model."),
    Line("price_output", "price, tokens out", "the bench's", "Money for a million tokens written."),
    Line("price_hour", "price, an hour", "the bench's", "Money for an hour of the machine: training then has a price."),
)
_SECTIONS = {
    "bench": "what is weighed",
    "limit": "how",
    "price_input": "money, in whatever you count in",
}


class Typed(NamedTuple):
    """What was typed, understood. counts: numbers of rows for the learning curve."""

    wanted: Wanted
    counts: tuple[int, ...]


class VerdictForm(Vertical):
    """Lines to type in, and what the one under the cursor means."""

    def __init__(self, bench: Path, adapter: str = "") -> None:
        super().__init__(id="verdict-form")
        self._bench, self._given = bench, {"bench": bench.name, "adapter": adapter}

    def compose(self) -> ComposeResult:
        with VerticalScroll(can_focus=False):
            for line in _LINES:
                if line.id in _SECTIONS:
                    yield Label(_SECTIONS[line.id], classes="recipe-section")
                with Horizontal(classes="field"):
                    yield Label(line.label)
                    value = self._given.get(line.id, "")
                    yield Input(value, placeholder=line.unsaid, id=f"verdict-{line.id}", compact=True)
        yield Label("", id="verdict-explanation")

    def on_descendant_focus(self, event: events.DescendantFocus) -> None:
        self.explain(event.widget.id or "")

    def explain(self, id: str) -> None:
        line = next((one for one in _LINES if f"verdict-{one.id}" == id), None)
        if line is not None:
            self.query_one("#verdict-explanation", Label).update(sanitize(line.explanation))

    @property
    def place(self) -> str:
        """The line the cursor stands in; "" for none."""
        typed = next((line for line in self.query(Input) if line.has_focus), None)
        return (typed.id or "").removeprefix("verdict-") if typed is not None else ""

    def write(self, id: str, text: str) -> None:
        """Fill a line in."""
        self.query_one(f"#verdict-{id}", Input).value = text

    def read(self) -> Typed:
        """What was typed. Raises TrainingError, naming every line that cannot be understood."""
        problems: list[str] = []
        limit = self._read_number("limit", 0, 0, problems)
        at_once = self._read_number("at_once", 1, 4, problems)
        prices = [self._read_price(name, problems) for name in ("price_input", "price_output", "price_hour")]
        counts: tuple[int, ...] = ()
        try:
            counts = read_counts(self._text("curve"))
        except TrainingError as error:
            problems.append(error.message)
        if problems:
            raise TrainingError(" ".join(problems), "Correct it, or leave the line empty.")
        path = paths.expand(self._text("bench") or self._bench.name)
        bench = path if path.is_absolute() else self._bench.parent / path
        price = Price(*prices)
        wanted = Wanted(bench, self._text("adapter"), at_once, limit, price=None if price == Price() else price)
        return Typed(wanted, counts)

    def _text(self, id: str) -> str:
        return self.query_one(f"#verdict-{id}", Input).value.strip()

    def _read_number(self, id: str, least: int, unsaid: int, problems: list[str]) -> int:
        text = self._text(id)
        if not text:
            return unsaid
        if not text.isdecimal() or int(text) < least:
            problems.append(f"{_name(id)}: expected a whole number from {least}, found {text!r}.")
            return unsaid
        return int(text)

    def _read_price(self, id: str, problems: list[str]) -> float:
        text = self._text(id)
        try:
            value = float(text or 0)
        except ValueError:
            value = -1.0
        if not 0 <= value < 1e12:
            problems.append(f"{_name(id)}: expected an amount of money, found {text!r}.")
        return value


def _name(id: str) -> str:
    return next(line.label for line in _LINES if line.id == id)
