"""Dry-run text: what a training would do, and some of its rows with the trained tokens highlighted."""

from __future__ import annotations

from textual.content import Content

from workbench.sanitize import sanitize
from workbench.training.dry_run import DryRun, RowPreview, describe_time
from workbench.units import format_bytes, format_count, format_plural

Part = str | tuple[str, str]


def describe_dry_run(found: DryRun) -> Content:
    """Numbers first, warnings next, then rows as the model will see them."""
    facts = [
        ("rows", f"{found.rows:,} for training, {found.validation_rows:,} for validation"),
        *(("data", sentence) for sentence in found.data),
        ("tokens", f"{found.tokens:,} per epoch, {found.learned_tokens:,} in the loss"),
        ("longest row", f"{found.longest:,} of {found.limit:,} tokens"),
        ("steps", f"{found.steps:,} over {found.epochs:g} epochs at {found.learning_rate:g}"),
        (
            "trainable",
            f"{format_count(found.trainable)} of {format_count(found.parameters)} ({found.method})",
        ),
        ("device", f"{found.device}, {format_plural(found.threads, 'thread')}, {found.dtype}"),
        ("time", describe_time(found)),
        (
            "memory",
            f"{format_bytes(found.memory_bytes)}, {format_bytes(found.free_bytes)} free" if found.memory_bytes else "",
        ),
    ]
    parts: list[Part] = [("dry run\n", "bold $primary")]
    for name, text in facts:
        if text:
            parts += [(f"{name:<12}", "$foreground 60%"), f"{sanitize(text)}\n"]
    for warning in filter(None, (*found.notes, found.parity)):
        parts.append((f"\n{sanitize(warning)}", "$text-warning"))
    for preview in found.previews:
        parts += ["\n", *_row(preview)]
    return Content.assemble(*parts)


def _row(preview: RowPreview) -> list[Part]:
    parts: list[Part] = [
        (f"\nrow {preview.case}", "bold $primary"),
        ("  trained tokens are highlighted\n", "$foreground 60%"),
    ]
    for piece in preview.pieces:
        text = sanitize(piece.text)
        parts.append((text, "bold $text-success reverse") if piece.learned else (text, "$foreground 70%"))
    return parts
