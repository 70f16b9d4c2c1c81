"""Registry text: a trained adapter as a row, as a page, and two of them side by side."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

from textual.content import Content

from workbench.sanitize import sanitize
from workbench.training.adapter_comparison import AdapterComparison, ScorePair
from workbench.training.manifest import Manifest
from workbench.training.registry import RegistryEntry
from workbench.training.regression_check import RegressionCheck
from workbench.units import format_bytes, format_count, format_duration, format_plural

Part = str | tuple[str, str]
SIGNS = {"candidate": ("·", "$foreground 60%"), "promoted": ("★", "$text-success"), "retired": ("○", "$foreground 40%")}


def show_best(entry: RegistryEntry) -> str:
    """Its score when it was made; the loss where it has none."""
    made = entry.manifest
    if made is None:
        return "unreadable"
    if made.metrics and made.metrics.scores:
        name, value = next(iter(made.metrics.scores.items()))
        return f"{name.replace('_', ' ')} {value:.2f}"
    return "–" if made.validation_loss is None else f"loss {made.validation_loss:.3f}"


def show_row(entry: RegistryEntry, marked: bool, width: int) -> Content:
    """A line of the list: standing, name, score, method, day."""
    made = entry.manifest
    sign, style = SIGNS[entry.rank] if made else ("!", "$text-error")
    when = f"{datetime.fromtimestamp(made.created):%m-%d %H:%M}" if made else ""
    right = f"{show_best(entry)}  {made.method}  {when}" if made and width >= 52 else show_best(entry)
    room = max(width - Content(right).cell_length - 6, 8)
    name = sanitize(entry.name)
    name = name if len(name) <= room else f"{name[: room - 1]}…"
    tone = "$foreground 60%" if entry.rank == "retired" else "bold" if entry.rank == "promoted" else ""
    return Content.assemble(
        ("▸" if marked else " ", "$accent"), (f"{sign} ", style), (f"{name:<{room}} ", tone), (right, "$foreground 60%")
    )


def describe_entry(entry: RegistryEntry, lineage: Sequence[str], versions: Sequence[str]) -> Content:
    """Everything that is known of an adapter. lineage: from it to the first; versions: others of the same name."""
    made = entry.manifest
    if made is None:
        return Content.assemble(
            (f"{sanitize(entry.name)}\n\n", "bold $primary"),
            (f"{sanitize(entry.problem)}\n\n", "$text-error"),
            sanitize(str(entry.path)),
        )
    parts: list[Part] = [(f"{sanitize(entry.name)}", "bold $primary"), (f"  {made.rank}\n\n", SIGNS[made.rank][1])]
    for name, value in _list_rows(entry, made, lineage, versions):
        parts += [(f"{name:<13}", "$foreground 60%"), f"{sanitize(value)}\n"]
    parts += [("\nnotes        ", "$foreground 60%"), sanitize(made.notes) or "–   press n to add one", "\n"]
    parts += [("tags         ", "$foreground 60%"), sanitize(" ".join(made.tags)) or "–   press t to add some", "\n"]
    parts += [("\nrecipe\n", "bold $primary"), (sanitize(made.recipe.strip()), "$foreground 80%")]
    return Content.assemble(*parts)


def _list_rows(
    entry: RegistryEntry, made: Manifest, lineage: Sequence[str], versions: Sequence[str]
) -> list[tuple[str, str]]:
    rows = [("made", f"{datetime.fromtimestamp(made.created):%Y-%m-%d %H:%M}, version {made.version}")]
    rows += [("versions", ", ".join(versions))] if len(versions) > 1 else []
    rows += [
        ("base", f"{made.base.rpartition('/')[2]}  {made.base_digest[:12]}"),
        ("prompt", f"{made.prompt}  {made.prompt_digest[:12]}"),
        *(
            (trace.role, f"{format_plural(trace.rows, 'row')} of {trace.path}  {trace.digest[:12]}")
            for trace in made.data
        ),
        ("lineage", " ← ".join(lineage)),
        (
            "method",
            f"{made.method}, {format_count(made.parameters)} parameters, {format_bytes(sum(made.files.values()))}",
        ),
        *(("validation", line) for line in _describe_scores(made)),
        ("training", _describe_training(made)),
        *(
            (
                "measured",
                f"{_describe_measured(one.scores)} on {format_plural(one.cases, 'case')}"
                f" of {one.dataset.rpartition('/')[2]}",
            )
            for one in made.later
        ),
        ("folder", str(entry.path)),
    ]
    return rows


def _describe_scores(made: Manifest) -> list[str]:
    scores, cases = (made.metrics.scores, made.metrics.cases) if made.metrics else ({}, 0)
    lines = [
        f"{name.replace('_', ' ')} {value:.3f} on {format_plural(cases, 'case')}"
        + (f"; the base {made.baseline[name]:.3f}" if name in made.baseline else "")
        for name, value in scores.items()
    ]
    return lines + ([] if made.validation_loss is None else [f"loss {made.validation_loss:.4f}"])


def _describe_training(made: Manifest) -> str:
    return f"step {made.best_step} of {made.steps}, {format_count(made.tokens)} tokens, {format_duration(made.seconds)}"


def _describe_measured(scores: dict[str, float]) -> str:
    return ", ".join(f"{name.replace('_', ' ')} {value:.3f}" for name, value in scores.items())


def describe_contrast(found: AdapterComparison, width: int) -> Content:
    """Two adapters side by side: scores first, then what was done otherwise."""
    first = min(26, width // 3)
    room = max((width - first) // 2 - 1, 10)
    head = f"{'':<{first}}{_cut(found.left, room):<{room}} {_cut(found.right, room)}\n"
    parts: list[Part] = [("comparison\n\n", "bold $primary"), (head, "bold")]
    for score in found.scores:
        parts.append((f"{_cut(score.name.replace('_', ' '), first - 1):<{first}}", "$foreground 60%"))
        better = None if score.left is None or score.right is None else score.left > score.right
        for value, cases, ahead in (
            (score.left, score.left_cases, better is True),
            (score.right, score.right_cases, better is False and score.left != score.right),
        ):
            text = "–" if value is None else f"{value:.3f} on {cases}"
            parts.append((f"{_cut(text, room):<{room}} ", "bold" if ahead else ""))
        parts.append(("\n", ""))
        parts.append((f"{'':<{first}}{_describe_significance(score)}\n", "$foreground 60%"))
    for title, rows in (("differences of the recipes", found.recipe), ("differences of their origin", found.origin)):
        parts.append((f"\n{title}\n", "bold $primary"))
        if not rows:
            parts.append(("nothing\n", "$foreground 60%"))
        for row in rows:
            parts += [
                (f"{_cut(row.name, first - 1):<{first}}", "$foreground 60%"),
                f"{_cut(_show(row.left), room):<{room}} {_cut(_show(row.right), room)}\n",
            ]
    return Content.assemble(*(part for part in parts if part and part[0]))


def _describe_significance(score: ScorePair) -> str:
    if score.left is None or score.right is None:
        return "only one has this score"
    if score.p != score.p:
        return "not a rate: no significance from means alone"
    word = "significant" if score.p < 0.05 else "not significant"
    return f"{word} (p = {score.p:.2g})" + ("" if score.same else "; on different cases")


def describe_fall(found: RegressionCheck) -> Content:
    """Whether an adapter is as good as it was."""
    style = {"fell": "$text-error", "rose": "$text-success", "steady": "$text-success"}[found.verdict]
    return Content.assemble(
        ("regression check\n\n", "bold $primary"),
        (sanitize(found.sentence), f"bold {style}"),
        ("\n\nIts scores are listed under “measured” on its page.", "$foreground 60%"),
    )


def _show(value: object) -> str:
    if value is None:
        return "–"
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, float):
        return f"{value:g}"
    return ", ".join(map(str, value)) if isinstance(value, (list, tuple)) else str(value)


def _cut(text: str, width: int) -> str:
    shown = sanitize(text)
    return shown if len(shown) <= width else f"{shown[: width - 1]}…"
