"""What dialogs list and read: models and prompts as choices, a template's file, a prompt in an outside editor.

Small bridges from the core's values to what a dialog takes. Knows nothing of screens.
"""

from __future__ import annotations

import asyncio
import os
import shlex
import subprocess
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path

import msgspec

from workbench import files, paths
from workbench.engines.engine import Tokenized
from workbench.errors import WorkbenchError
from workbench.evaluation.bench import ModelChoice
from workbench.evaluation.launch import Draft
from workbench.evaluation.session import Session
from workbench.hosting.pool import Pool
from workbench.library.library import Entry
from workbench.library.trash import Trashed
from workbench.models.reference import Adapter, Model
from workbench.tui.dialogs.picker import Choice
from workbench.tui.figures import show_bytes


def list_models(found: Sequence[Model], remembered: Mapping[str, ModelChoice]) -> list[Choice]:
    """The models of the bench first, then those that were found."""
    own = [Choice(name, name, f"in this bench · {choice.path}") for name, choice in remembered.items()]
    others = [Choice(model.name, model.name, _note(model)) for model in found if model.name not in remembered]
    return [*own, *others]


def list_adapters(found: Sequence[Adapter]) -> list[Choice]:
    """The adapters that were found."""
    return [Choice(adapter.name, adapter.name, f"{adapter.format} · {adapter.path}") for adapter in found]


def _note(model: Model) -> str:
    try:
        size = f"{show_bytes(model.path.stat().st_size)} · " if model.path.is_file() else ""
    except OSError:
        size = ""
    return f"{model.format} · {size}{model.path}"


def list_prompts(entries: Sequence[Entry]) -> list[Choice]:
    """The library as choices."""
    return [
        Choice(entry.name, entry.name, f"{entry.description}{'  (shipped)' if entry.read_only else ''}")
        for entry in entries
    ]


def list_trash(trashed: Sequence[Trashed]) -> list[Choice]:
    """What was deleted, the last first, with the time that the trash keeps it under."""
    return [Choice(str(item.path), item.name, str(item.path.parent)) for item in trashed]


def read_template(name: str, folder: Path) -> str:
    """The text of a chat template's file, relative to the bench."""
    return files.read_text(paths.find_input(name, folder))


def find_unsupported(pool: Pool, session: Session, index: int) -> frozenset[str]:
    """The sampling fields that a variant's engine cannot honour, as far as is known."""
    try:
        info = pool.info(session.model(index))
    except WorkbenchError:
        return frozenset()
    return frozenset(info.unsupported_sampling if info else ())


async def tokenize(pool: Pool, draft: Draft) -> Tokenized:
    """Exactly what a draft sends, after the context strategy had its say."""
    measure = draft.measure()
    counts = await asyncio.wrap_future(pool.count(draft.model, measure.drafts, draft.prompt.mode))
    info = pool.info(draft.model)
    if info is None:
        raise WorkbenchError(f"{draft.model.name} is not loaded.", "Run the pane once, then look again.")
    messages, notes = draft.fit(measure, counts, info)
    shown = await asyncio.wrap_future(pool.tokenize(draft.model, messages, draft.prompt.mode))
    return msgspec.structs.replace(shown, notes=(*notes, *shown.notes))


def edit_text(text: str, editor: str) -> str:
    """Run a person's editor on the text; the text as it was left. The terminal must be free for it."""
    command = editor or os.environ.get("VISUAL") or os.environ.get("EDITOR") or "vi"
    with tempfile.TemporaryDirectory(prefix="workbench-") as folder:
        file = Path(folder) / "prompt.prompty"
        file.write_bytes(text.encode())
        try:
            subprocess.run([*shlex.split(command), str(file)], check=True)
        except (OSError, subprocess.CalledProcessError, ValueError) as error:
            raise WorkbenchError(
                f"The editor {command!r} did not run: {error}.", "Set `editor` in the settings, or $EDITOR."
            ) from error
        return files.read_text(file)
