"""OptimizeForm: what a prompt search is asked for, with help for the focused field."""

from __future__ import annotations

from pathlib import Path

from workbench.errors import SearchError
from workbench.search.budget import SearchBudget
from workbench.search.request import METHOD_NAMES, SearchMethod, SearchRequest
from workbench.tui.widgets.line_form import FormLine, LineForm

_USUAL = SearchRequest("", "")
_LINES = (
    FormLine("variant", "pane", "", "The variant whose prompt is to get better; ctrl+o lists them.", "what"),
    FormLine(
        "method",
        "with",
        _USUAL.method,
        "examples: choose few-shot examples from train. instructions: rewrite the prompt. both: together.",
    ),
    FormLine(
        "reflector",
        "reflector",
        "none, templates",
        "A model that rewrites instructions from what went wrong; ctrl+o lists them. Best another, stronger one.",
    ),
    FormLine("metric", "metric", "the bench's first", "The score that is to get better."),
    FormLine("max_examples", "examples, at most", f"{_USUAL.max_examples}", "Few-shot examples in a prompt."),
    FormLine("calls", "calls", "30 × dev, and the test", "Calls at most, the final test included.", "budget"),
    FormLine("tokens", "tokens", "no limit", "The search ends at so many tokens, prompts and completions."),
    FormLine("minutes", "minutes", "no limit", "The search ends after so many minutes."),
    FormLine("money", "money", "no limit", "No answer is started that could cost more, by the bench's prices."),
    FormLine("max_dev", "dev cases", f"{_USUAL.max_dev}", "Cases that candidates are compared on, at most.", "cases"),
    FormLine("max_test", "test cases", f"{_USUAL.max_test}", "Sealed cases of the final test, at most."),
    FormLine("group", "group", "none", "A column: rows that share its value are never divided between the parts."),
    FormLine("seed", "seed", "0", "Of every choice that the search draws."),
)


class OptimizeForm(LineForm):
    """Fields, and help for the focused one."""

    def __init__(self, bench: Path, variant: str) -> None:
        super().__init__("optimize", _LINES, {"variant": variant})
        self._bench = bench

    def read(self) -> SearchRequest:
        """What was typed. Raises SearchError, naming every invalid field."""
        problems: list[str] = []
        method = self._read_method(problems)
        numbers = {
            name: self.read_number(name, 1, getattr(_USUAL, name), problems)
            for name in ("max_examples", "max_dev", "max_test")
        }
        seed = self.read_number("seed", 0, _USUAL.seed, problems)
        budget = SearchBudget(
            self.read_number("calls", 1, 0, problems) or None,
            self.read_number("tokens", 1, 0, problems) or None,
            self.read_amount("minutes", "a number of minutes", problems),
            self.read_amount("money", "an amount of money", problems),
        )
        if problems:
            raise SearchError(" ".join(problems), "Correct it, or leave it empty.")
        return SearchRequest(
            str(self._bench.absolute()),
            self.read_text("variant"),
            method,
            budget,
            reflector=self.read_text("reflector"),
            metric=self.read_text("metric"),
            seed=seed,
            max_dev=numbers["max_dev"],
            max_test=numbers["max_test"],
            max_examples=numbers["max_examples"],
            group=self.read_text("group"),
        )

    def _read_method(self, problems: list[str]) -> SearchMethod:
        text = self.read_text("method") or _USUAL.method
        found = next((name for name in METHOD_NAMES if name == text), None)
        if found is None:
            problems.append(f"with: expected {', '.join(METHOD_NAMES[:-1])} or {METHOD_NAMES[-1]}, found {text!r}.")
        return found or _USUAL.method
