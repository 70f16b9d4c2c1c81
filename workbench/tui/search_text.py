"""Search text: a prompt search as rows and paragraphs: its candidates, their changes, their cases, its result."""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

from textual.content import Content

from workbench.sanitize import sanitize, sanitize_line
from workbench.search.budget import SearchBudget
from workbench.search.candidate import SEED, Candidate
from workbench.search.journal import CandidateRefused, CaseResult
from workbench.search.result import SearchResult
from workbench.search.search_plan import SearchPlan
from workbench.search.search_report import diff_candidates
from workbench.search.search_words import describe_optimism, describe_outcome, describe_plan
from workbench.search.state import SearchState
from workbench.tui.prompt_searches import PromptSearchTask, ShownSearch, StoredSearch
from workbench.units import format_duration, format_money, format_plural

Part = str | tuple[str, str]

_DIM = "$foreground 60%"
_DEEPEST = 6
"""levels of the lineage that are indented"""
_MOST_CASES = 200
_LONGEST = 200
"""characters of an answer that are shown"""


class LineageRow(NamedTuple):
    """A candidate in the tree. refused: by guards, so that it was never tried."""

    candidate: Candidate
    depth: int
    refused: CandidateRefused | None = None


def list_lineage(state: SearchState, whole: bool = True) -> list[LineageRow]:
    """Every candidate under its parent, those of one parent in their order. whole: refused and dropped ones too."""
    children: dict[str, list[LineageRow]] = {}
    known = [LineageRow(one, 0) for one in state.candidates.values() if whole or one.id not in state.dropped]
    known += [LineageRow(one.candidate, 0, one) for one in state.refused if whole]
    known.sort(key=lambda row: _order(row.candidate.id))
    ids = {row.candidate.id for row in known}
    for row in known:
        parent = row.candidate.parent if row.candidate.parent in ids else ""
        children.setdefault(parent, []).append(row)
    found: list[LineageRow] = []
    waiting = [row._replace(depth=0) for row in reversed(children.get("", []))]
    while waiting:
        row = waiting.pop()
        found.append(row)
        below = children.get(row.candidate.id, []) if row.refused is None else []
        waiting += [one._replace(depth=row.depth + 1) for one in reversed(below)]
    return found


def _order(id: str) -> tuple[int, str]:
    digits = id.lstrip("c")
    return (int(digits) if digits.isdecimal() else 0, id)


def show_score(state: SearchState, candidate: str) -> float | None:
    """The mean on dev in the metric's own direction; None where nothing is known."""
    score = state.score(candidate)
    return score if score is None else score * read_sign(state)


def read_sign(state: SearchState) -> int:
    """-1 where the metric is better when lower, whose values a journal has negated."""
    return -1 if state.started is not None and state.started.lower_is_better else 1


def describe_row(row: LineageRow, state: SearchState) -> Content:
    """`★ c7  0.91  143 tok  reflection`, indented under its parent."""
    one = row.candidate
    indent = "  " * min(row.depth, _DEEPEST)
    if row.refused is not None:
        guards = ", ".join(dict.fromkeys(refusal.guard for refusal in row.refused.refusals))
        return Content.assemble(indent, (f"✗ {one.id}  refused: {sanitize_line(guards)}", "$text-error"))
    results, score = state.results(one.id), show_score(state, one.id)
    whole = state.is_whole(one.id)
    figure = "–" if score is None else f"{score:.2f}" if whole else f"{score:.2f} on {len(results)}"
    tokens = state.mean_tokens(one.id)
    facts = f"  {tokens:.0f} tok" if tokens else ""
    if one.id in state.dropped:
        return Content.assemble(indent, (f"↓ {one.id}  {figure}{facts}  dropped", _DIM))
    mark, style = ("★", "bold $text-success") if one.id == state.best else ("●" if whole else "○", "")
    state_word = "" if results else "  waiting" if state.ended is None else "  not tried"
    origin = "hand-written" if one.id == SEED else one.origin
    return Content.assemble(
        indent,
        (f"{mark} {one.id}  ", style or "bold"),
        (figure, style or "bold"),
        (f"{facts}{state_word}  {origin}", _DIM),
    )


def describe_change(row: LineageRow, state: SearchState) -> Content:
    """Why a candidate was made, why it was refused or dropped, and how it differs from its parent."""
    one = row.candidate
    parts: list[Part] = []
    if one.id == SEED:
        parts.append(("The hand-written prompt.\n", "bold"))
    elif one.reason:
        parts.append((f"{sanitize(one.reason)}\n", "$accent"))
    if row.refused is not None:
        parts += [
            (f"refused: {sanitize(refusal.guard)}: {sanitize(refusal.detail)}\n", "$text-error")
            for refusal in row.refused.refusals
        ]
    if one.id in state.dropped:
        parts.append((f"dropped: {sanitize(state.dropped[one.id])}\n", "$text-warning"))
    parts.append("\n")
    parent = state.candidates.get(one.parent)
    text = diff_candidates(parent, one) if parent is not None else ""
    parts += list(_color_diff(text)) if text else list(_list_body(one))
    return Content.assemble(*parts)


def _color_diff(text: str) -> Iterator[Part]:
    for line in text.splitlines()[2:]:  # after the names of both
        tone = {"+": "$text-success", "-": "$text-error", "@": _DIM}.get(line[:1], "")
        shown = "⋯" if line.startswith("@@") else line
        yield (f"{sanitize(shown)}\n", tone) if tone else f"{sanitize(shown)}\n"


def _list_body(one: Candidate) -> Iterator[Part]:
    yield sanitize(one.body.rstrip("\n"))
    for example in one.examples:
        shown = " ".join(" ".join(example.variables.values()).split())
        yield (f"\nexample {sanitize(example.id)}: {sanitize(shown)} -> {sanitize(example.answer.strip())}", _DIM)


class GainedCase(NamedTuple):
    """A case that a candidate answers better or worse than its parent. change: negative for a loss."""

    case: int
    before: CaseResult
    after: CaseResult
    change: float


def compare_cases(state: SearchState, candidate: str, parent: str) -> tuple[list[GainedCase], int, int]:
    """The cases that differ, by how much; how many have the same value; how many only one of them has a value for."""
    before, after = state.results(parent), state.results(candidate)
    found: list[GainedCase] = []
    same = alone = 0
    for case in sorted({*before, *after}):
        old, new = before.get(case), after.get(case)
        if old is None or new is None or old.value is None or new.value is None:
            alone += 1
        elif old.value == new.value:
            same += 1
        else:
            found.append(GainedCase(case, old, new, new.value - old.value))
    return found, same, alone


def describe_cases(row: LineageRow, state: SearchState) -> Content:
    """Which dev cases were gained and which lost against the parent."""
    one = row.candidate
    if row.refused is not None:
        return Content.assemble(("Refused before it cost a call.", _DIM))
    if not state.results(one.id):
        return Content.assemble(("No case answered yet.", _DIM))
    if one.id == SEED or one.parent not in state.candidates:
        return _list_failures(state, one.id)
    found, same, alone = compare_cases(state, one.id, one.parent)
    gains = [change for change in found if change.change > 0]
    losses = [change for change in found if change.change < 0]
    parts: list[Part] = [
        (f"gained {len(gains)}", "$text-success"),
        "  ",
        (f"lost {len(losses)}", "$text-error"),
        (f"  same {same}", _DIM),
        (f"  not comparable {alone}" if alone else "", _DIM),
        (f"  against {one.parent}, on dev\n", _DIM),
    ]
    shown = [*losses, *gains]
    for change in shown[:_MOST_CASES]:
        sign, tone = ("+", "$text-success") if change.change > 0 else ("-", "$text-error")
        parts += [
            (f"\n{sign} {change.case:<5}", tone),
            (f"{_cut(change.before.text)} ", _DIM),
            "→ ",
            _cut(change.after.text) or "(empty)",
        ]
        if change.after.explanation and change.change < 0:
            parts.append((f"\n        {_cut(change.after.explanation)}", _DIM))
    if len(shown) > _MOST_CASES:
        parts.append((f"\n… {len(shown) - _MOST_CASES} more", _DIM))
    return Content.assemble(*(part for part in parts if part and part[0]))


def _list_failures(state: SearchState, candidate: str) -> Content:
    """Of the hand-written prompt, which has no parent: the cases that leave room."""
    results = state.results(candidate)
    best = state.started.best_possible if state.started is not None else None
    top = None if best is None else best * read_sign(state)
    failed = [one for one in results.values() if one.value is None or (top is not None and one.value < top)]
    parts: list[Part] = [(f"{len(failed)} of {len(results)} dev cases can still improve\n", _DIM)]
    for one in sorted(failed, key=lambda one: one.case)[:_MOST_CASES]:
        parts += [(f"\n- {one.case:<5}", "$text-error"), _cut(one.error or one.text) or "(empty)"]
        if one.explanation:
            parts.append((f"\n        {_cut(one.explanation)}", _DIM))
    return Content.assemble(*parts)


def _cut(text: str) -> str:
    line = sanitize_line(" ".join(text.split()))
    return line if len(line) <= _LONGEST else f"{line[:_LONGEST]}…"


def describe_title(search: ShownSearch | None, variant: str, bench: str, width: int) -> Content:
    """What is searched, by its names, and at the right how that stands; what has no room is left out."""
    request = search.request if search is not None else None
    stage = describe_stage(search)
    right = Content.assemble((sanitize_line(stage), "$accent"), " ")
    left = Content.assemble((" optimize  ", "bold $primary"), sanitize_line(request.variant if request else variant))
    facts = [f" of {bench}"]
    if request is not None:
        facts.append(f"   {request.method}")
        facts += [f"   reflector {request.reflector}"] if request.reflector else []
    for fact in map(sanitize_line, facts):
        if left.cell_length + len(fact) + right.cell_length < width:
            left = Content.assemble(left, (fact, _DIM))
    gap = " " * max(width - left.cell_length - right.cell_length, 1)
    return Content.assemble(left, gap, right)


def describe_stage(search: ShownSearch | None) -> str:
    """How a search stands, in words."""
    if search is None:
        return ""
    if isinstance(search, StoredSearch) or not search.running:
        return _describe_rest(search)
    if search.cancelled:
        return "stopping"
    if search.paused:
        return "paused"
    found = search.shown
    if found is None:
        return search.stage
    if found.problem:
        return f"waiting: {sanitize_line(found.problem)}"
    share = f" {found.done / found.total:.0%}" if found.total else ""
    return f"{sanitize_line(found.doing)}{share}"


def _describe_rest(search: ShownSearch) -> str:
    if search.state.ended is not None:
        return "improved" if search.state.ended.improved else "no improvement"
    if isinstance(search, StoredSearch) and search.elsewhere:
        return "running in another process"
    if isinstance(search, PromptSearchTask) and search.error is not None and not search.cancelled:
        return "failed"
    return "interrupted: ctrl+r continues"


def describe_counts(search: ShownSearch | None, width: int) -> str:
    """How far it has come, what was spent and what is left; what has no room is left out."""
    if search is None or search.state.started is None:
        return ""
    text = ""
    for part in _list_counts(search.state, search.state.started.request.budget):
        longer = f"{text} · {part}" if text else f" {part}"
        if len(longer) <= width:
            text = longer
    return text


def _list_counts(state: SearchState, budget: SearchBudget) -> Iterator[str]:
    spent = state.spending
    limit = f" of {budget.calls:,}" if budget.calls is not None else ""
    yield f"{spent.calls:,}{limit} calls"
    score, seed = show_score(state, state.best), show_score(state, SEED)
    if score is not None and seed is not None:
        yield f"best {state.best} {score:.2f}, hand-written {seed:.2f}"
    yield format_plural(spent.tokens, "token")
    yield format_duration(spent.seconds)
    if spent.money:
        yield f"{format_money(spent.money)} in money"
    if budget.calls is not None:
        yield f"{format_plural(max(0, budget.calls - spent.calls), 'call')} left"
    yield format_plural(len(state.candidates), "candidate")
    if state.refused:
        yield f"{len(state.refused):,} refused"
    if spent.cached:
        yield f"{spent.cached:,} cached"
    if spent.reflector_calls:
        yield f"{format_plural(spent.reflector_calls, 'call')} to the reflector"


def describe_result(result: SearchResult) -> Content:
    """The headline, and what the search itself flattered."""
    tone = "$text-success" if result.improved else "$text-warning"
    optimism = describe_optimism(result)
    return Content.assemble(
        (sanitize(describe_outcome(result)), f"bold {tone}"), (f"\n{sanitize(optimism)}" if optimism else "", _DIM)
    )


def describe_search_plan(plan: SearchPlan) -> Content:
    """What a search would cost, before it starts."""
    first, *rest = describe_plan(plan)
    parts: list[Part] = [(f"{sanitize(first)}\n", "bold")]
    parts += [(f"\n{sanitize(line)}", "$text-warning" if line.startswith("Warning") else "") for line in rest]
    parts.append(("\n\nctrl+r starts. Nothing has been asked yet.", _DIM))
    return Content.assemble(*(part if part[1] else part[0] for part in parts if isinstance(part, tuple)))
