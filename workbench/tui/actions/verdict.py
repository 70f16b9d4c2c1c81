"""What a person does with a verdict: choose what is weighed, begin, stop, keep what it says."""

from __future__ import annotations

import asyncio
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING

from workbench.errors import TrainingError
from workbench.evaluation.bench import load_bench
from workbench.training.registry import Entry, Registry
from workbench.tui.actions.flow import flow, settle_trust_of
from workbench.tui.dialogs.name_input import NameInput
from workbench.tui.dialogs.picker import Choice, Picker
from workbench.tui.registry_text import show_best

if TYPE_CHECKING:
    from workbench.tui.screens.verdict import VerdictScreen

_REPORTS = (
    Choice("html", "HTML", "one page with charts, for anyone's browser"),
    Choice("md", "Markdown", "the table and the reasons, for a pull request"),
    Choice("json", "JSON", "every number under its name, for a program"),
)


@flow
async def begin(screen: VerdictScreen) -> None:
    """Carry out what the form says."""
    if screen.verdicts.running:
        raise TrainingError("A verdict is being made already.", "ctrl+x stops it.")
    typed = screen.form.read()
    bench = await asyncio.to_thread(load_bench, typed.wanted.bench)
    if not await settle_trust_of(screen, bench.scorers, typed.wanted.bench.absolute().parent):
        raise TrainingError("A verdict needs the bench's code to judge answers.", "Agree to it, or remove that scorer.")
    screen.verdicts.begin(typed.wanted, typed.counts)
    screen.show_form(False)
    screen.look()


@flow
async def stop(screen: VerdictScreen) -> None:
    """End it; a verdict on half of the cases would be none."""
    current = screen.current
    if current is not None and current.running:
        current.cancel()
        screen.notify("Stopping. ctrl+r begins again.", timeout=4)


@flow
async def choose(screen: VerdictScreen) -> None:
    """Fill in the line the cursor stands in: a bench beside this one, or an adapter that was trained here."""
    place = screen.form.place if screen.form.place in ("bench", "adapter") else "adapter"
    if place == "bench":
        picked = await screen.app.push_screen_wait(
            Picker("Bench", _list_benches(screen.verdicts.session.path), "There is no bench beside this one.")
        )
    else:
        entries = await asyncio.to_thread(lambda: Registry().entries())
        names = {Path(one.adapter).name for variant in screen.verdicts.session.variants for one in variant.adapters}
        choices = [_choice(entry, entry.name in names) for entry in entries if entry.manifest]
        picked = await screen.app.push_screen_wait(
            Picker("Adapter to weigh", choices, "No adapter was trained here yet: f9 on the bench trains one.")
        )
    if picked is not None:
        screen.form.write(place, picked.id)


def _list_benches(path: Path) -> list[Choice]:
    return [
        Choice(found.name, found.name, "the open one" if found.name == path.name else "")
        for found in sorted(path.parent.glob("*.bench.yaml"))
    ]


def _choice(entry: Entry, on_pane: bool) -> Choice:
    where = "on a pane, " if on_pane else ""
    return Choice(entry.name, entry.name, f"{where}{entry.rank}, {show_best(entry)}")


@flow
async def report(screen: VerdictScreen) -> None:
    """Write the verdict beside the bench."""
    verdict = screen.verdict
    if verdict is None:
        raise TrainingError("There is no verdict to write yet.", "ctrl+r begins one.")
    picked = await screen.app.push_screen_wait(Picker("Write the verdict as", _REPORTS, ""))
    if picked is None:
        return
    folder = screen.verdicts.session.path.parent
    proposal = f"verdict-{verdict.training.adapter}-{datetime.now():%Y%m%d-%H%M}.{picked.id}"
    name = await screen.app.push_screen_wait(NameInput("Write the verdict to", f"A file in {folder}.", proposal))
    if name:
        path = folder / name if Path(name).suffix == f".{picked.id}" else folder / f"{name}.{picked.id}"
        await asyncio.to_thread(screen.verdicts.write_report, verdict, path)
        screen.notify(str(path), title="Wrote", timeout=8)


@flow
async def open_pane(screen: VerdictScreen) -> None:
    """The adapter that was weighed, in a pane of the bench."""
    verdict = screen.verdict
    if verdict is None:
        raise TrainingError("There is no verdict yet.", "ctrl+r begins one.")
    entry = await asyncio.to_thread(Registry().find, verdict.training.adapter)
    screen.dismiss(str(entry.path))
