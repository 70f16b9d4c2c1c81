"""Dialogs that several actions share: trust in a bench's code, a file to open, a change of a dataset to confirm."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from pathlib import Path
from typing import Literal

from workbench.datasets.registry import kinds_by_suffix
from workbench.datasets.write_back import CaseEdit
from workbench.runs.recent import list_recent, remember_file
from workbench.scoring.confinement_probe import describe_unconfined
from workbench.scoring.trust import Spec, describe_code, find_untrusted, trust
from workbench.tui.ui import Ui
from workbench.tui.widgets.picker import Picked, Picker

_LONGEST = 24
"""lines of a change that are shown"""


async def confirm_trust(ui: Ui, scorers: Sequence[Spec], folder: Path) -> bool:
    """Whether the code that a bench names may run; asks where it is new or has changed. folder: the bench's."""
    found = find_untrusted(scorers, folder)
    if not found:
        return True
    unconfined = await asyncio.to_thread(describe_unconfined, found)
    lines = ["This bench runs Python code of its own:", describe_code(found)]
    lines += [unconfined] if unconfined else []
    text = "\n".join([*lines, "It can do anything that you can. Do you trust it?"])
    answers = [("trust", "Run it"), ("stay", "Don't run it")]
    if await ui.ask("Run this bench's code?", text, answers, destructive=("trust",)) != "trust":
        return False
    trust(found)
    return True


FileKind = Literal["models", "adapters", "benches", "cases", "imports"]
_SUFFIXES: dict[FileKind, tuple[str, ...]] = {
    "models": (".gguf",),
    "adapters": (".gguf", "adapter_config.json"),
    "benches": (".bench.yaml", ".bench.yml"),
    "cases": tuple(kinds_by_suffix()),
    "imports": (".yaml", ".yml", ".prompt", ".prompty", ".json", ".jsonl", ".csv", "Modelfile"),
}


async def pick_file(ui: Ui, title: str, kind: FileKind, folder: Path) -> Path | None:
    """A file to open. folder: where one starts, unless a file of the kind was opened before: then beside that one."""
    from workbench.tui.dialogs.file_picker import FilePicker

    recent = await asyncio.to_thread(list_recent, kind)
    picked = await ui.push(FilePicker(recent[0].parent if recent else folder, title, _SUFFIXES[kind], recent))
    if picked is not None:
        remember_file(picked, kind)
    return picked


async def pick_or_browse(ui: Ui, picker: Picker, title: str, kind: FileKind, folder: Path) -> Picked | None:
    """What is picked from a list, or a file: one whose path was pasted there, or that is browsed for.

    A file has the command `path`, and its path as the id.
    """
    picked = await ui.push(picker)
    if picked is None or picked.command != "browse":
        return picked
    path = await pick_file(ui, title, kind, folder)
    return Picked(str(path), "path") if path else None


async def write_change(ui: Ui, title: str, amendment: CaseEdit) -> bool:
    """Show a change of a dataset file, and write it once it is confirmed; whether it was written."""
    lines = amendment.preview().splitlines()
    more = [f"… {len(lines) - _LONGEST} more lines"] if len(lines) > _LONGEST else []
    answer = await ui.ask(title, "\n".join(lines[:_LONGEST] + more), [("write", "Write"), ("stay", "Cancel")])
    if answer != "write":
        return False
    await asyncio.to_thread(amendment.apply)
    ui.toast(f"Wrote {amendment.path.name}.", timeout=3)
    return True
