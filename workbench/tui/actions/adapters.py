"""Actions on trained adapters: compare, check, annotate, promote, delete, restore."""

from __future__ import annotations

import asyncio
from typing import Protocol

from workbench.errors import TrainingError
from workbench.runs.bench import load_bench
from workbench.runs.tool_file import list_code
from workbench.training.registry import RegistryEntry
from workbench.tui.actions.dialogs import confirm_trust
from workbench.tui.dialogs.name_input import NameInput
from workbench.tui.trained_adapters import TrainedAdapters
from workbench.tui.ui import Ui
from workbench.tui.widgets.picker import Picker, PickerRow


class AdaptersPage(Protocol):
    """What these actions need of the screen of adapters."""

    adapters: TrainedAdapters
    entries: tuple[RegistryEntry, ...]
    marked: str

    @property
    def highlighted_entry(self) -> RegistryEntry | None: ...
    def show_contrast(self, left: RegistryEntry, right: RegistryEntry) -> None: ...
    def poll(self) -> None: ...
    def read(self, select: str = "") -> object: ...
    def dismiss(self, result: str | None) -> object: ...


async def compare(page: AdaptersPage, ui: Ui) -> None:
    """The highlighted adapter against the marked one, or against one that is chosen now."""
    entry = _highlighted(page)
    other = page.marked if page.marked not in ("", entry.name) else ""
    if not other:
        rows = [PickerRow(one.name, one.name, one.rank) for one in page.entries if one.name != entry.name]
        picked = await ui.push(Picker(f"Compare {entry.name} with", rows, "There is no other adapter."))
        other = picked.id if picked else ""
    left = next((one for one in page.entries if one.name == other), None)
    if left is not None:
        page.show_contrast(left, entry)


async def check(page: AdaptersPage, ui: Ui) -> None:
    """Run the adapter on the cases of a bench, and say whether it got worse by more than noise."""
    entry, adapters = _highlighted(page), page.adapters
    if adapters.check is not None and adapters.check.running:
        raise TrainingError(f"A check of {adapters.check.adapter} is running.", "f7 stops it.")
    folder = adapters.session.path.parent
    text = f"A bench file; one of its variants must use the prompt that {entry.name} was trained on."
    name = await ui.push(NameInput(f"Check {entry.name} for regressions", text, adapters.session.path.name))
    if not name:
        return
    path = folder / name
    bench = await asyncio.to_thread(load_bench, path)
    if not await confirm_trust(ui, list_code(bench), path.absolute().parent):
        raise TrainingError("The check needs the bench's code to score answers.", "Allow it, or remove that scorer.")
    ui.launch(adapters.make_check(entry.name, path))
    page.poll()


async def note(page: AdaptersPage, ui: Ui) -> None:
    """A line of text kept with the adapter."""
    entry = _highlighted(page)
    kept = entry.manifest.notes if entry.manifest else ""
    text = await ui.push(NameInput(f"Note on {entry.name}", "Enter - to remove the note.", kept))
    if text:
        await asyncio.to_thread(page.adapters.registry.note, entry.name, "" if text == "-" else text)
        page.read(entry.name)


async def tag(page: AdaptersPage, ui: Ui) -> None:
    """The adapter's tags, all at once."""
    entry = _highlighted(page)
    kept = entry.manifest.tags if entry.manifest else ()
    text = await ui.push(
        NameInput(f"Tags of {entry.name}", "Separate tags with spaces. Enter - to remove all.", " ".join(kept))
    )
    if text:
        wanted = () if text == "-" else tuple(text.split())
        gone = tuple(one for one in kept if one not in wanted)
        await asyncio.to_thread(page.adapters.registry.tag, entry.name, wanted, gone)
        page.read(entry.name)


async def promote(page: AdaptersPage, ui: Ui) -> None:
    """Make it the adapter to use for its base and prompt, or take that back."""
    entry, registry = _highlighted(page), page.adapters.registry
    if entry.rank == "promoted":
        await asyncio.to_thread(registry.reinstate, entry.name)
        ui.toast(f"{entry.name} is a candidate again.")
    else:
        replaced = await asyncio.to_thread(registry.promote, entry.name)
        text = f"It replaces {', '.join(replaced)}." if replaced else "It is now the adapter for its base and prompt."
        ui.toast(text, title=f"Promoted {entry.name}")
    page.read(entry.name)


async def retire(page: AdaptersPage, ui: Ui) -> None:
    """Keep it, but no longer offer it; or take that back."""
    entry, registry = _highlighted(page), page.adapters.registry
    await asyncio.to_thread(registry.reinstate if entry.rank == "retired" else registry.retire, entry.name)
    page.read(entry.name)


async def delete(page: AdaptersPage, ui: Ui) -> None:
    """Move it to the trash."""
    entry = _highlighted(page)
    used = [variant.name for variant in page.adapters.session.variants for one in variant.adapters
            if one.adapter in (entry.name, str(entry.path))]  # fmt: skip
    warning = f" The pane {used[0]} uses it." if used else ""
    text = f"{entry.name} moves to the trash; u restores it.{warning}"
    answers = [("delete", "Delete"), ("stay", "Keep")]
    if await ui.ask("Delete the adapter?", text, answers, destructive=("delete",)) == "delete":
        await asyncio.to_thread(page.adapters.registry.delete, entry.name)
        page.marked = "" if page.marked == entry.name else page.marked
        page.read()


async def restore(page: AdaptersPage, ui: Ui) -> None:
    """Restore a deleted adapter from the trash."""
    registry = page.adapters.registry
    trashed = await asyncio.to_thread(registry.trash)
    rows = [PickerRow(one.path.name, one.name, f"deleted {one.when[:8]} {one.when[9:13]}") for one in trashed]
    picked = await ui.push(Picker("Restore an adapter", rows, "The trash is empty."))
    if picked is not None:
        page.read(await asyncio.to_thread(registry.restore, picked.id))


async def judge(page: AdaptersPage, ui: Ui) -> None:
    """The verdict on it against the best prompt of the open bench."""
    adapter = await ui.screens.open_verdict(_highlighted(page).name)
    if adapter is not None:
        page.dismiss(adapter)


def _highlighted(page: AdaptersPage) -> RegistryEntry:
    entry = page.highlighted_entry
    if entry is None:
        raise TrainingError("No adapter is selected.", "f9 on the bench trains one.")
    return entry
