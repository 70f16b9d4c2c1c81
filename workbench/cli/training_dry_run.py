"""`workbench train --dry-run`: what a training would do, as a table, and rows as the model sees them."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from workbench.cli import terminal
from workbench.units import format_bytes, format_plural

if TYPE_CHECKING:
    from workbench.training.dry_run import DryRun
    from workbench.training.recipe import Recipe


def show_dry_run(recipe: Recipe, folder: Path, name: str, json: bool) -> None:
    import msgspec

    from workbench.settings import load_settings
    from workbench.training.dry_run import dry_run

    found = dry_run(recipe, folder, load_settings(), name)
    if json:
        terminal.write_json(msgspec.json.format(msgspec.json.encode(found), indent=2).decode() + "\n")
        return
    _print(found)


def _print(found: DryRun) -> None:
    from rich.text import Text

    from workbench.cli.table import console, make_table
    from workbench.sanitize import sanitize

    table = make_table(["", ""])
    for label, value in _describe(found):
        table.add_row(label, value)
    console().print(table)
    for preview in found.previews:
        text = Text(f"row {preview.case}: ")
        for piece in preview.pieces:
            text.append(sanitize(piece.text).replace("\n", "⏎\n"), "bold reverse" if piece.learned else "dim")
        console().print(text, "")
    console().print(Text("Highlighted tokens are in the loss; the rest is only read."))
    for note in found.notes:
        console().print(Text(f"! {note}"))


def _describe(found: DryRun) -> list[tuple[str, str]]:
    from workbench.training.dry_run import describe_time

    share = found.learned_tokens / max(1, found.tokens)
    memory = (
        ""
        if found.memory_bytes is None
        else f"{format_bytes(found.memory_bytes)} of {format_bytes(found.free_bytes)} free;"
        f" {format_bytes(found.optimizer_bytes)} of it for the optimizer's states"
    )
    return [
        ("base", f"{found.base}, {found.device}, {found.dtype}, {format_plural(found.threads, 'thread')}"),
        ("method", f"{found.method}: {found.trainable:,} of {found.parameters:,} parameters are trained"),
        ("rows", f"{found.rows:,} for training, {found.validation_rows:,} for validation"),
        *(("data", sentence) for sentence in found.data),
        (
            "tokens",
            f"{found.tokens:,} per epoch, {share:.1%} of them in the loss; longest row {found.longest:,} of"
            f" {found.limit:,}",
        ),
        ("left out", f"{found.lost} too long, {found.unlabelled} without an answer; {found.cut} cut"),
        ("updates", f"{found.steps} ({found.epochs:g} epochs) at a learning rate of {found.learning_rate:g}"),
        ("time", describe_time(found)),
        ("memory", memory or "unknown"),
        ("parity", found.parity or "training and inference see the same tokens"),
    ]
