"""Cell text: one cell of a run in full: scores with reasons, answer against expected, the rest."""

from __future__ import annotations

from textual.content import Content

from workbench.datasets import Case
from workbench.inference.types import ServerReport, show_counts
from workbench.runs.cell import Cell
from workbench.runs.cell_step import describe_step
from workbench.sanitize import sanitize
from workbench.tui.conversation_text import describe_conversation, has_conversation, list_calls, show_message
from workbench.tui.dialogs.difference import mark_differences
from workbench.units import format_duration, format_money

Part = str | tuple[str, str] | Content
_STOPS = {"eos": "end of sequence", "stop": "stop string", "length": "max tokens", "context": "context full"}


def describe_cell(case: Case, cell: Cell | None, sent: str) -> Content:
    """Everything about a cell; None is one that is not finished. sent: the prompt as the model got it."""
    if cell is None:
        return Content.assemble(*_variables(case), "\n\nThis cell is not finished yet.")
    parts: list[Part] = []
    if cell.error:
        parts += [("failed\n", "bold $text-error"), sanitize(cell.error), "\n", sanitize(cell.hint), "\n\n"]
    parts += _scores(cell)
    if has_conversation(cell.steps):
        parts += ["\n", *describe_conversation(cell.steps), "\n\n"]
    if not cell.error or cell.completion.text:
        parts += [*_answer(case, cell), "\n\n"]
    if not has_conversation(cell.steps):
        parts += _list_calls(cell)
    parts += _variables(case)
    parts += ["\n\n", *_numbers(cell)]
    if sent:
        parts += [("\n\nprompt as sent\n", "bold $primary"), sanitize(sent)]
    return Content.assemble(*parts)


def _scores(cell: Cell) -> list[Part]:
    parts: list[Part] = []
    for score in cell.scores:
        value = f"{score.value:.4g}" if score.applies else "not applicable"
        parts += [
            (f"{score.scorer.replace('_', ' ')}  ", "bold $primary"), (value, "bold"),
            (f"   {sanitize(score.explanation)}\n", "$foreground 60%"),
        ]  # fmt: skip
    return parts


def _answer(case: Case, cell: Cell) -> list[Part]:
    text = cell.completion.text
    parts: list[Part] = []
    if cell.completion.thinking:
        parts += [("\nthinking\n", "bold $primary"), (sanitize(cell.completion.thinking), "italic $foreground 60%")]
    if case.expected is None or text.strip() == case.expected.strip():
        return [*parts, ("\nanswer\n", "bold $primary"), sanitize(text) or "(empty)"]
    answered, expected = mark_differences(text, case.expected)
    return [
        *parts,
        ("\nanswer\n", "bold $primary"), answered if text else "(empty)",
        ("\n\nexpected\n", "bold $primary"), expected,
    ]  # fmt: skip


def _list_calls(cell: Cell) -> list[Part]:
    """Each call of a chain: what came of it, and its answer."""
    parts: list[Part] = []
    for step in cell.steps:
        tone = "$text-error" if step.state == "failed" else "$foreground 60%"
        cost = f", cost {format_money(step.cost)}" if step.cost else ""
        model = f"   {sanitize(step.model)}" if step.model else ""
        parts += [
            (f"{sanitize(step.label)}  ", "bold $primary"),
            (f"{sanitize(describe_step(step))}{cost}{model}\n", tone),
        ]
        parts += [(f"{sanitize(show_message(message))}\n", "$foreground 60%") for message in step.before]
        if step.completion.thinking:
            parts += [(f"{sanitize(step.completion.thinking)}\n", "italic $foreground 60%")]
        if step.state in ("done", "failed"):
            parts += [sanitize(step.completion.text) or "(empty)", "\n"]
            parts += [(f"{sanitize(line)}\n", "$foreground 60%") for line in list_calls(step)]
            parts += ["\n"]
    return parts


def _variables(case: Case) -> list[Part]:
    parts: list[Part] = [("case ", "bold $primary"), (f"{case.number}", "bold $primary")]
    for name, value in case.variables.items():
        parts += [(f"\n{sanitize(name)}  ", "$foreground 60%"), sanitize(value)]
    return parts


def _describe_server(report: ServerReport) -> str:
    """Who answered, what that took beside the answer's own time, and the server's own times."""
    named = f" as {sanitize(report.model)}" if report.model else ""
    lines = [f"answered by {sanitize(report.address)}{named}"]
    waited = [f"{format_duration(report.queue_seconds)} before it was sent"] if report.queue_seconds >= 0.001 else []
    waited += [f"{report.retries} retries"] if report.retries else []
    times = (
        ("to load", report.load_seconds),
        ("for the prompt", report.prompt_seconds),
        ("for the answer", report.decode_seconds),
    )
    own = [f"{format_duration(seconds)} {what}" for what, seconds in times if seconds]
    lines += [f"in no time above: {', '.join(waited)}"] if waited else []
    lines += [f"by the server's clock: {', '.join(own)}"] if own else []
    return "\n".join(lines)


def _numbers(cell: Cell) -> list[Part]:
    done = cell.completion
    first = f"time to first token {format_duration(done.seconds_to_first_token)}"
    if done.thinking_tokens and done.seconds_to_first_answer_token:
        first += f", to first answer token {format_duration(done.seconds_to_first_answer_token)}"
    speed = f", {done.tokens_per_second:.0f} tokens/s" if done.tokens_per_second else ""
    shared = f" ({done.cached_tokens} shared)" if done.cached_tokens else ""
    thinking = f" ({done.thinking_tokens} thinking)" if done.thinking_tokens else ""
    cost = f", cost {format_money(cell.cost)}" if cell.cost else ""
    stop = _STOPS.get(done.stop_reason or "", done.stop_reason or "")
    facts = f"{show_counts(done, f'{shared}→')} tokens{thinking}, {first}{speed}, {stop}{cost}"
    made = f"\nrepeat {cell.repeat}" if cell.repeat else ""
    made += "\nfrom the cache: the times were measured when the answer was generated" if cell.cached else ""
    made += "\ndeterministic: bit-identical from run to run" if done.deterministic else ""
    made += f"\n{_describe_server(done.server)}" if done.server else ""
    return [("tokens and time\n", "bold $primary"), facts, made]
