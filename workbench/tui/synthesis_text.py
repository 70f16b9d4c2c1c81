"""Synthetic rows as text: a line of the list, a row in full, and the counts."""

from __future__ import annotations

from textual.content import Content

from workbench.sanitize import sanitize, sanitize_line
from workbench.synthesis.records import Decision
from workbench.synthesis.review_state import ReviewRow, ReviewState, describe_counts, describe_drops

_MARKS: dict[Decision, tuple[str, str]] = {
    "accept": ("✓", "$text-success"),
    "reject": ("✗", "$text-error"),
    "undecided": ("·", "$foreground 60%"),
}
_WORDS: dict[Decision, str] = {"accept": "accepted", "reject": "rejected", "undecided": "to review"}


def show_row_line(row: ReviewRow) -> Content:
    """A row of the list: what was decided, the answer, the beginning of the text."""
    mark, style = _MARKS[row.decision]
    text = sanitize_line(" ".join(" ".join(row.variables.values()).split()))
    answer = f"{sanitize_line(row.expected)}  " if row.expected is not None else ""
    return Content.assemble((f"{mark} ", style), (f"{row.call + 1:>4}  ", "$foreground 60%"), (answer, "bold"), text)


def show_row(row: ReviewRow) -> Content:
    """A row with all its columns."""
    parts: list[str | tuple[str, str]] = []
    for name, value in row.variables.items():
        parts += [(f"{sanitize_line(name)}\n", "bold $primary"), f"{sanitize(value)}\n\n"]
    if row.expected is not None:
        parts += [("expected\n", "bold $primary"), f"{sanitize(row.expected)}\n\n"]
    mark, style = _MARKS[row.decision]
    parts.append((f"{mark} {_WORDS[row.decision]}{', edited' if row.edited else ''}", style))
    if row.unfinished is not None:
        parts.append(("   unfinished edit: e continues it", "$text-warning"))
    asked = [*([f"label {row.label}"] if row.label else []), *([f"persona {row.persona}"] if row.persona else [])]
    if asked:
        parts.append((f"\nasked for: {sanitize_line(', '.join(asked))}", "$foreground 60%"))
    return Content.assemble(*parts)


def show_review_title(state: ReviewState, name: str) -> Content:
    """What is reviewed and how far, and what never came so far, on three lines."""
    drops = "; ".join(describe_drops(state)) or "nothing dropped"
    early = f"   ended early: {sanitize_line(state.paused)}" if state.paused else ""
    return Content.assemble(
        (" synthetic rows  ", "bold $primary"), sanitize_line(name), (f"\n {describe_counts(state)}\n", "$accent"),
        (f" {drops}{early}", "$foreground 60%"),
    )  # fmt: skip
