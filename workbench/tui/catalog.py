"""Catalog: models, adapters and prompts as rows of a picker; a template's file; a prompt in an external editor."""

from __future__ import annotations

import os
import shlex
import subprocess
import tempfile
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

import msgspec
from textual.content import Content

from workbench import files, paths
from workbench.errors import ModelError, WorkbenchError
from workbench.inference.pool import Pool
from workbench.inference.types import Tokenized
from workbench.library.trash import TrashedPrompt
from workbench.models.reference import Adapter, Model
from workbench.prompting.context_fit import describe_dropped, too_long
from workbench.runs.bench import ModelChoice
from workbench.runs.device_fields import list_device_fields, write_device_fields
from workbench.runs.generation import GenerationSpec
from workbench.runs.session import Session
from workbench.sanitize import sanitize
from workbench.tui.dialogs.devices_form import DevicesForm
from workbench.tui.model_text import show_estimate
from workbench.tui.widgets.picker import PickerRow
from workbench.units import format_bytes


def list_models(found: Sequence[Model], remembered: Mapping[str, ModelChoice]) -> list[PickerRow]:
    """The models of the bench first, then those that were found."""
    own = [PickerRow(name, name, f"in this bench · {_locate(choice)}") for name, choice in remembered.items()]
    others = [PickerRow(model.name, model.name, _note(model)) for model in found if model.name not in remembered]
    return [*own, *others]


def list_adapters(found: Sequence[Adapter]) -> list[PickerRow]:
    """The adapters that were found."""
    return [PickerRow(adapter.name, adapter.name, f"{adapter.format} · {adapter.location}") for adapter in found]


def list_bench_rows(recent: Sequence[Path], near: Sequence[Path]) -> list[PickerRow]:
    """Benches that were opened lately, then those nearby."""
    return [PickerRow(str(path), path.name, str(path.parent)) for path in dict.fromkeys((*recent, *near))]


def _locate(choice: ModelChoice) -> str:
    return choice.path or (choice.remote if isinstance(choice.remote, str) else ", ".join(choice.remote))


def _note(model: Model) -> str:
    if model.remote:
        return f"{model.remote.dialect} server · {model.location}"
    try:
        size = f"{format_bytes(model.path.stat().st_size)} · " if model.path.is_file() else ""
    except OSError:
        size = ""
    return f"{model.format} · {size}{model.path}"


def list_trash(trashed: Sequence[TrashedPrompt]) -> list[PickerRow]:
    """What was deleted, the last first, with the time that the trash keeps it under."""
    return [PickerRow(str(item.path), item.name, str(item.path.parent)) for item in trashed]


def make_devices_form(session: Session, pool: Pool, name: str, adapters: Sequence[Adapter] = ()) -> DevicesForm:
    """A form for the devices of a model of this machine, kept in the bench. adapters: of the pane that runs on it.
    Raises WorkbenchError for a model that is placed elsewhere."""
    choice = session.bench.models.get(name) or ModelChoice(name)
    model = session.find_model(name)
    if not list_device_fields(model.format):
        raise ModelError(f"{name} is not computed on devices of this machine.", "Choose a GGUF file or a folder.")

    def show_memory(changed: ModelChoice, show: Callable[[Content], None]) -> None:
        try:
            placed = session.find_model_as(name, changed)
        except WorkbenchError as error:
            show(Content(sanitize(error.message)))
            return
        show_estimate(placed, pool, adapters, session.settings.max_context_tokens, show)

    defaults = write_device_fields(session.settings.offload)
    return DevicesForm(name, model.format, choice, write_device_fields(choice), defaults, show_memory)


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


async def tokenize(pool: Pool, spec: GenerationSpec) -> Tokenized:
    """Exactly what a draft sends, after the context strategy had its say. Raises BudgetError where it does not fit."""
    client, request = pool.client(spec.model), spec.request()
    budget = await client.count(request)
    if budget.over:
        raise too_long(budget, spec.strategy)
    assert request.prompt is not None
    messages = request.prompt.without(budget.dropped)
    shown = await client.tokenize(msgspec.structs.replace(request, messages=messages, prompt=None))
    notes = describe_dropped(budget.dropped, len(request.prompt.examples))
    return msgspec.structs.replace(shown, notes=(*notes, *shown.notes))


def edit_text(text: str, editor: str) -> str:
    """The text as edited in $EDITOR, which needs the terminal for itself."""
    command = editor or os.environ.get("VISUAL") or os.environ.get("EDITOR") or "vi"
    with tempfile.TemporaryDirectory(prefix="workbench-") as folder:
        file = Path(folder) / "prompt.prompty"
        file.write_bytes(text.encode())
        try:
            subprocess.run([*shlex.split(command), str(file)], check=True)
        except (OSError, subprocess.CalledProcessError, ValueError) as error:
            raise WorkbenchError(
                f"Cannot run the editor {command!r}: {error}.", "Set `editor` in the settings, or $EDITOR."
            ) from error
        return files.read_text(file)
