"""Cell text: one cell of a run in full, laid out for reading: scores with reasons, answer against expected, the rest.

Knows nothing of stores or dialogs.
"""

from __future__ import annotations

from textual.content import Content

from workbench.evaluation.cell import Cell
from workbench.evaluation.datasets import Case
from workbench.sanitize import sanitize
from workbench.tui.dialogs.difference import mark_differences
from workbench.tui.figures import show_seconds

Part = str | tuple[str, str] | Content
_STOPS = {"eos": "ended by itself", "stop": "stop text", "length": "cut at its limit", "context": "context full"}


def describe_cell(case: Case, cell: Cell | None, sent: str) -> Content:
    """Everything about a cell; None is one that is not finished. sent: the prompt as the model got it."""
    if cell is None:
        return Content.assemble(*_variables(case), "\n\nThis cell is not finished yet.")
    parts: list[Part] = []
    if cell.error:
        parts += [("failed\n", "bold $text-error"), sanitize(cell.error), "\n", sanitize(cell.hint), "\n\n"]
    parts += _scores(cell)
    if not cell.error or cell.completion.text:
        parts += [*_answer(case, cell), "\n\n"]
    parts += _variables(case)
    parts += ["\n\n", *_numbers(cell)]
    if sent:
        parts += [("\n\nprompt as sent\n", "bold $primary"), sanitize(sent)]
    return Content.assemble(*parts)


def _scores(cell: Cell) -> list[Part]:
    parts: list[Part] = []
    for score in cell.scores:
        value = f"{score.value:.4g}" if score.applies else "does not apply"
        parts += [
            (f"{score.scorer.replace('_', ' ')}  ", "bold $primary"), (value, "bold"),
            (f"   {sanitize(score.explanation)}\n", "$foreground 60%"),
        ]  # fmt: skip
    return parts


def _answer(case: Case, cell: Cell) -> list[Part]:
    text = cell.completion.text
    parts: list[Part] = []
    if cell.completion.thinking:
        parts += [("\nthought\n", "bold $primary"), (sanitize(cell.completion.thinking), "italic $foreground 60%")]
    if case.expected is None or text.strip() == case.expected.strip():
        return [*parts, ("\nanswer\n", "bold $primary"), sanitize(text) or "(empty)"]
    answered, expected = mark_differences(text, case.expected)
    return [
        *parts,
        ("\nanswer\n", "bold $primary"), answered if text else "(empty)",
        ("\n\nexpected\n", "bold $primary"), expected,
    ]  # fmt: skip


def _variables(case: Case) -> list[Part]:
    parts: list[Part] = [("case ", "bold $primary"), (f"{case.number}", "bold $primary")]
    for name, value in case.variables.items():
        parts += [(f"\n{sanitize(name)}  ", "$foreground 60%"), sanitize(value)]
    return parts


def _numbers(cell: Cell) -> list[Part]:
    done = cell.completion
    first = "from the cache" if cell.cached else f"first token after {show_seconds(done.seconds_to_first_token)}"
    speed = f", {done.tokens_per_second:.0f} tokens/s" if done.tokens_per_second and not cell.cached else ""
    shared = f" ({done.cached_tokens} shared)" if done.cached_tokens else ""
    cost = f", costs {cell.cost:.6g}" if cell.cost else ""
    stop = _STOPS.get(done.stop_reason or "", done.stop_reason or "")
    facts = f"{done.prompt_tokens}{shared}→{done.output_tokens} tokens, {first}{speed}, {stop}{cost}"
    made = f"\nrepeat {cell.repeat}" if cell.repeat else ""
    made += "\nreproducible: computed by itself, the same from run to run" if done.reproducible else ""
    return [("tokens and time\n", "bold $primary"), facts, made]
