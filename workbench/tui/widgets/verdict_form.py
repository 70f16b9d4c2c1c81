"""VerdictForm: what a verdict compares, with help for the focused field."""

from __future__ import annotations

from pathlib import Path
from typing import NamedTuple

from workbench import paths
from workbench.errors import TrainingError
from workbench.runs.cost import Price
from workbench.training.contenders import VerdictRequest
from workbench.training.learning_curve import parse_counts
from workbench.training.verdict import Contender, parse_contenders
from workbench.tui.widgets.line_form import FormLine, LineForm

_LINES = (
    FormLine(
        "bench",
        "bench",
        "",
        "The bench whose prompts are compared; a file. ctrl+o lists those in its folder.",
        "compare",
    ),
    FormLine(
        "adapter",
        "adapter",
        "a pane's, else the newest",
        "The adapter to compare, by name or path; ctrl+o lists them. Empty: a pane's, else the promoted or newest one.",
    ),
    FormLine(
        "optimized",
        "optimized prompt",
        "a pane's, else the newest",
        "A prompt that a search wrote, by name; ctrl+o lists them. Empty: a pane's, else that of the newest search.",
    ),
    FormLine(
        "without",
        "without",
        "nothing",
        "What is not compared: few-shot, optimized, adapter, hybrid (the adapter on long prompts).",
    ),
    FormLine(
        "limit", "cases", "all", "Use only this many cases of each split; fewer are faster but less certain.", "run"
    ),
    FormLine(
        "concurrency", "concurrency", "4", "Requests in flight. Latencies are measured afterwards, one at a time."
    ),
    FormLine(
        "curve",
        "learning curve",
        "none",
        "Row counts such as 10,25,50,100: trains on each, and compares with as many shots. Slow.",
    ),
    FormLine(
        "price_input",
        "price, input",
        "the bench's",
        "Per million prompt tokens, for every model.",
        "prices, in any currency",
    ),
    FormLine("price_output", "price, output", "the bench's", "Per million completion tokens."),
    FormLine("price_hour", "price, hour", "the bench's", "Per hour of this machine; gives the training a price."),
)


class VerdictInput(NamedTuple):
    """What was typed, understood. counts: numbers of rows for the learning curve."""

    wanted: VerdictRequest
    counts: tuple[int, ...]


class VerdictForm(LineForm):
    """Fields, and help for the focused one."""

    def __init__(self, bench: Path, adapter: str = "") -> None:
        super().__init__("verdict", _LINES, {"bench": bench.name, "adapter": adapter})
        self._bench = bench

    def read(self) -> VerdictInput:
        """What was typed. Raises TrainingError, naming every invalid field."""
        problems: list[str] = []
        limit = self.read_number("limit", 0, 0, problems)
        concurrency = self.read_number("concurrency", 1, 4, problems)
        without: tuple[Contender, ...] = ()
        prices = [
            self.read_amount(name, "a price", problems) or 0.0 for name in ("price_input", "price_output", "price_hour")
        ]
        counts: tuple[int, ...] = ()
        try:
            counts = parse_counts(self.read_text("curve"))
        except TrainingError as error:
            problems.append(error.message)
        try:
            without = parse_contenders(self.read_text("without"))
        except TrainingError as error:
            problems.append(error.message)
        if problems:
            raise TrainingError(" ".join(problems), "Correct it, or leave it empty.")
        path = paths.expand(self.read_text("bench") or self._bench.name)
        bench = path if path.is_absolute() else self._bench.parent / path
        price = Price(*prices)
        wanted = VerdictRequest(
            bench,
            self.read_text("adapter"),
            concurrency,
            limit,
            price=None if price == Price() else price,
            optimized=self.read_text("optimized"),
            without=without,
        )
        return VerdictInput(wanted, counts)
