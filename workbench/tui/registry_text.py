"""Registry text: what is known of an adapter that was trained here, as a line, a page, and two of them side by side.

Knows nothing of widgets.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

from textual.content import Content

from workbench.sanitize import sanitize
from workbench.training.contrast import Contrast, ScorePair
from workbench.training.fall import Fall
from workbench.training.manifest import Manifest
from workbench.training.registry import Entry
from workbench.tui.figures import show_bytes, show_count, show_seconds

Part = str | tuple[str, str]
SIGNS = {"candidate": ("·", "$foreground 60%"), "promoted": ("★", "$text-success"), "retired": ("○", "$foreground 40%")}


def show_best(entry: Entry) -> str:
    """Its score when it was made; the loss where it has none."""
    made = entry.manifest
    if made is None:
        return "unreadable"
    if made.metrics and made.metrics.scores:
        name, value = next(iter(made.metrics.scores.items()))
        return f"{name.replace('_', ' ')} {value:.2f}"
    return "–" if made.validation_loss is None else f"loss {made.validation_loss:.3f}"


def show_row(entry: Entry, marked: bool, width: int) -> Content:
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


def describe_entry(entry: Entry, lineage: Sequence[str], versions: Sequence[str]) -> Content:
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
    parts += [("\nnotes        ", "$foreground 60%"), sanitize(made.notes) or "–   n writes some", "\n"]
    parts += [("tags         ", "$foreground 60%"), sanitize(" ".join(made.tags)) or "–   t puts some on", "\n"]
    parts += [("\nrecipe\n", "bold $primary"), (sanitize(made.recipe.strip()), "$foreground 80%")]
    return Content.assemble(*parts)


def _list_rows(entry: Entry, made: Manifest, lineage: Sequence[str], versions: Sequence[str]) -> list[tuple[str, str]]:
    rows = [("made", f"{datetime.fromtimestamp(made.created):%Y-%m-%d %H:%M}, version {made.version}")]
    rows += [("versions", ", ".join(versions))] if len(versions) > 1 else []
    rows += [
        ("base", f"{made.base.rpartition('/')[2]}  {made.base_digest[:12]}"),
        ("prompt", f"{made.prompt}  {made.prompt_digest[:12]}"),
        *((trace.role, f"{trace.rows} rows of {trace.path}  {trace.digest[:12]}") for trace in made.data),
        ("lineage", " ← ".join(lineage)),
        ("method", f"{made.method}, {show_count(made.parameters)} numbers, {show_bytes(sum(made.files.values()))}"),
        *(("validation", line) for line in _tell_scores(made)),
        ("training", _tell_training(made)),
        *(
            ("measured", f"{_tell_measured(one.scores)} on {one.cases} cases of {one.dataset.rpartition('/')[2]}")
            for one in made.later
        ),
        ("folder", str(entry.path)),
    ]
    return rows


def _tell_scores(made: Manifest) -> list[str]:
    scores, cases = (made.metrics.scores, made.metrics.cases) if made.metrics else ({}, 0)
    told = [
        f"{name.replace('_', ' ')} {value:.3f} on {cases} cases"
        + (f"; the base {made.baseline[name]:.3f}" if name in made.baseline else "")
        for name, value in scores.items()
    ]
    return told + ([] if made.validation_loss is None else [f"loss {made.validation_loss:.4f}"])


def _tell_training(made: Manifest) -> str:
    return (
        f"the state of update {made.best_step} of {made.steps}, {show_count(made.tokens)} tokens,"
        f" {show_seconds(made.seconds)}"
    )


def _tell_measured(scores: dict[str, float]) -> str:
    return ", ".join(f"{name.replace('_', ' ')} {value:.3f}" for name, value in scores.items())


def describe_contrast(found: Contrast, width: int) -> Content:
    """Two adapters side by side: scores first, then what was done otherwise."""
    first = min(26, width // 3)
    room = max((width - first) // 2 - 1, 10)
    head = f"{'':<{first}}{_cut(found.left, room):<{room}} {_cut(found.right, room)}\n"
    parts: list[Part] = [("two adapters\n\n", "bold $primary"), (head, "bold")]
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
        parts.append((f"{'':<{first}}{_tell_chance(score)}\n", "$foreground 60%"))
    for title, rows in (("the recipes differ in", found.recipe), ("and what it came from", found.origin)):
        parts.append((f"\n{title}\n", "bold $primary"))
        if not rows:
            parts.append(("nothing\n", "$foreground 60%"))
        for row in rows:
            parts += [
                (f"{_cut(row.name, first - 1):<{first}}", "$foreground 60%"),
                f"{_cut(_show(row.left), room):<{room}} {_cut(_show(row.right), room)}\n",
            ]
    return Content.assemble(*(part for part in parts if part and part[0]))


def _tell_chance(score: ScorePair) -> str:
    if score.left is None or score.right is None:
        return "only one of them was scored by it"
    if score.p != score.p:
        return "no rate: chance cannot be told from means alone"
    word = "more than chance" if score.p < 0.05 else "may be chance"
    return f"{word} (p = {score.p:.2g})" + ("" if score.same else "; on different cases")


def describe_fall(found: Fall) -> Content:
    """Whether an adapter is as good as it was."""
    style = {"fell": "$text-error", "rose": "$text-success", "steady": "$text-success"}[found.verdict]
    return Content.assemble(
        ("is it still as good?\n\n", "bold $primary"),
        (sanitize(found.sentence), f"bold {style}"),
        ("\n\nWhat it scored stands under “measured” on its page.", "$foreground 60%"),
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
