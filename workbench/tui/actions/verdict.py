"""Actions on a verdict: choose what is compared, start, stop, report."""

from __future__ import annotations

import asyncio
from datetime import datetime
from pathlib import Path
from typing import Protocol

from workbench.errors import TrainingError, WorkbenchError
from workbench.runs.bench import load_bench
from workbench.runs.tool_file import list_code
from workbench.training.registry import Registry, RegistryEntry
from workbench.training.search_record import SearchRecord, list_records
from workbench.training.verdict import Verdict
from workbench.training.verdict_report import VERDICT_FORMATS, write_verdict
from workbench.tui.actions.dialogs import confirm_trust
from workbench.tui.dialogs.name_input import NameInput
from workbench.tui.registry_text import show_best
from workbench.tui.ui import Ui
from workbench.tui.verdicts import Verdicts
from workbench.tui.widgets.picker import Picker, PickerRow
from workbench.tui.widgets.verdict_form import VerdictForm
from workbench.units import format_date


class VerdictPage(Protocol):
    """What these actions need of the screen of a verdict."""

    verdicts: Verdicts
    form: VerdictForm

    @property
    def verdict(self) -> Verdict | None: ...
    def show_form(self, shown: bool) -> None: ...
    def poll(self) -> None: ...
    def dismiss(self, result: str | None) -> object: ...


async def begin(page: VerdictPage, ui: Ui) -> None:
    """Run what the form describes."""
    if page.verdicts.running:
        raise TrainingError("A verdict is already running.", "f7 stops it.")
    typed = page.form.read()
    bench = await asyncio.to_thread(load_bench, typed.wanted.bench)
    if not await confirm_trust(ui, list_code(bench), typed.wanted.bench.absolute().parent):
        raise TrainingError("A verdict needs the bench's code to score answers.", "Allow it, or remove that scorer.")
    ui.launch(page.verdicts.make_task(typed.wanted, typed.counts))
    page.show_form(False)
    page.poll()


async def stop(page: VerdictPage, ui: Ui) -> None:
    """Stop it; half of the cases give no verdict."""
    current = page.verdicts.current
    if current is not None and current.running:
        current.cancel()
        ui.toast("Stopping. ctrl+r starts again.")


async def choose(page: VerdictPage, ui: Ui) -> None:
    """Fill in the current field: a bench beside this one, a prompt that a search wrote, or a trained adapter."""
    session = page.verdicts.session
    if page.form.focused_field == "bench":
        rows = _list_benches(session.path)
        picked = await ui.push(Picker("Bench", rows, "There is no other bench in this folder."))
        field = "bench"
    elif page.form.focused_field == "optimized":
        records = await asyncio.to_thread(list_records)
        rows = [_describe_record(record) for record in _find_newest(records)]
        picked = await ui.push(Picker("Optimized prompt", rows, "No optimized prompts found: O on a pane makes one."))
        field = "optimized"
    else:
        entries = await asyncio.to_thread(lambda: Registry().entries())
        await asyncio.to_thread(session.refresh_adapters)
        names = {Path(one.adapter).name for variant in session.variants for one in variant.adapters}
        rows = [_row(entry, entry.name in names) for entry in entries if entry.manifest]
        trained = {entry.path.resolve() for entry in entries}
        others = [adapter for adapter in session.adapters if adapter.path.resolve() not in trained]
        rows += [PickerRow(one.name, one.name, _note(one.name in names, "not trained here")) for one in others]
        picked = await ui.push(Picker("Adapter", rows, "No adapters found: f9 on the bench trains one."))
        field = "adapter"
    if picked is not None:
        page.form.write(field, picked.id)


def _find_newest(records: tuple[SearchRecord, ...]) -> list[SearchRecord]:
    """The newest record of each prompt."""
    newest = {record.prompt: record for record in reversed(records) if record.prompt}
    return [record for record in records if newest.get(record.prompt) is record]


def _describe_record(record: SearchRecord) -> PickerRow:
    test = f", {record.test.value:.2f} on test" if record.test is not None else ""
    return PickerRow(record.prompt, record.prompt, f"from {record.parent}{test}, {format_date(record.created)}")


def _list_benches(path: Path) -> list[PickerRow]:
    return [
        PickerRow(found.name, found.name, "the open one" if found.name == path.name else "")
        for found in sorted(path.parent.glob("*.bench.yaml"))
    ]


def _row(entry: RegistryEntry, on_pane: bool) -> PickerRow:
    return PickerRow(entry.name, entry.name, _note(on_pane, f"{entry.rank}, {show_best(entry)}"))


def _note(on_pane: bool, text: str) -> str:
    return f"on a pane, {text}" if on_pane else text


async def report(page: VerdictPage, ui: Ui) -> None:
    """Write the verdict to a file in the folder that the program was started in."""
    verdict = page.verdict
    if verdict is None:
        raise TrainingError("There is no verdict yet.", "ctrl+r starts one.")
    formats = [PickerRow(suffix, one.title, one.help) for suffix, one in VERDICT_FORMATS.items()]
    picked = await ui.push(Picker("Write a report", formats, ""))
    if picked is None:
        return
    folder = Path.cwd()
    subject = verdict.training.adapter or verdict.bench or "prompts"
    proposal = f"verdict-{subject}-{datetime.now():%Y%m%d-%H%M}{picked.id}"
    name = await ui.push(NameInput("Write the report to", f"A file name in {folder}.", proposal))
    if name:
        path = folder / name if Path(name).suffix == picked.id else folder / f"{name}{picked.id}"
        await asyncio.to_thread(write_verdict, verdict, path)
        ui.toast(str(path), title="Report written", timeout=8)


async def open_pane(page: VerdictPage, ui: Ui) -> None:
    """Open the adapter in a pane of the bench."""
    verdict = page.verdict
    if verdict is None:
        raise TrainingError("There is no verdict yet.", "ctrl+r starts one.")
    page.dismiss(await asyncio.to_thread(_locate, verdict.training.adapter))


def _locate(adapter: str) -> str:
    """The folder of an adapter that was trained here; the name or path of any other."""
    try:
        return str(Registry().find(adapter).path)
    except WorkbenchError:
        return adapter
