"""Dry-run text: what a training would do, laid out for reading, with what it learns marked in the rows themselves.

Knows nothing of how it was found out.
"""

from __future__ import annotations

from textual.content import Content

from workbench.sanitize import sanitize
from workbench.training.dry_run import DryRun, Preview
from workbench.tui.figures import show_bytes, show_count, show_seconds

Part = str | tuple[str, str]


def describe_dry_run(found: DryRun) -> Content:
    """Numbers first, warnings next, then rows as the model will see them."""
    facts = [
        ("rows", f"{found.rows:,} to learn from, {found.validation_rows:,} to examine on"),
        ("tokens", f"{found.tokens:,} an epoch, of which {found.learned_tokens:,} are learned"),
        ("longest row", f"{found.longest:,} of {found.limit:,} tokens"),
        ("updates", f"{found.steps:,} over {found.epochs:g} epochs at {found.learning_rate:g}"),
        ("learned", f"{show_count(found.trainable)} of {show_count(found.parameters)} numbers ({found.method})"),
        ("computed", f"on {found.device}, {found.threads} threads, {found.dtype}"),
        ("time", f"about {show_seconds(found.seconds)}" if found.seconds is not None else "not known"),
        (
            "memory",
            f"{show_bytes(found.memory_bytes)}, {show_bytes(found.free_bytes)} are free" if found.memory_bytes else "",
        ),
    ]
    parts: list[Part] = [("what this would do\n", "bold $primary")]
    for name, text in facts:
        if text:
            parts += [(f"{name:<12}", "$foreground 60%"), f"{sanitize(text)}\n"]
    for warning in _warnings(found):
        parts.append((f"\n{sanitize(warning)}", "$text-warning"))
    for preview in found.previews:
        parts += ["\n", *_row(preview)]
    return Content.assemble(*parts)


def _warnings(found: DryRun) -> list[str]:
    told = list(found.notes)
    told += [found.parity] if found.parity else []
    counts = {
        "are too long: their answers are cut": found.cut,
        "do not fit at all": found.lost,
        "have no answer": found.unlabelled,
        "of the validation rows stand in the train split as well": found.overlap,
    }
    return [*told, *(f"{count:,} rows {what}." for what, count in counts.items() if count)]


def _row(preview: Preview) -> list[Part]:
    parts: list[Part] = [
        (f"\nrow {preview.case}", "bold $primary"),
        ("  what is learned is marked\n", "$foreground 60%"),
    ]
    for piece in preview.pieces:
        text = sanitize(piece.text)
        parts.append((text, "bold $text-success reverse") if piece.learned else (text, "$foreground 70%"))
    return parts
