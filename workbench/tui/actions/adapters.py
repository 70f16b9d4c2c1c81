"""What a person does with the adapters that were trained here: note, promote, compare, ask anew, delete, put back."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, cast

from workbench.errors import TrainingError
from workbench.evaluation.bench import load_bench
from workbench.training.registry import Entry
from workbench.tui.actions.flow import ask, flow, settle_trust_of
from workbench.tui.dialogs.name_input import NameInput
from workbench.tui.dialogs.picker import Choice, Picker

if TYPE_CHECKING:
    from workbench.tui.app import WorkbenchApp
    from workbench.tui.screens.adapters import AdaptersScreen


@flow
async def compare(screen: AdaptersScreen) -> None:
    """Hold the one under the cursor against the marked one, or against one that is chosen now."""
    entry = _standing(screen)
    other = screen.marked if screen.marked not in ("", entry.name) else ""
    if not other:
        choices = [Choice(one.name, one.name, one.rank) for one in screen.entries if one.name != entry.name]
        picked = await screen.app.push_screen_wait(Picker(f"Compare {entry.name} with", choices, "There is no other."))
        other = picked.id if picked else ""
    left = next((one for one in screen.entries if one.name == other), None)
    if left is not None:
        screen.show_contrast(left, entry)


@flow
async def measure(screen: AdaptersScreen) -> None:
    """Ask it anew, on the cases of a bench, and say whether it fell beyond noise."""
    entry, own = _standing(screen), screen.adapters
    if own.drifting is not None and own.drifting.running:
        raise TrainingError(f"{own.drifting.adapter} answers its cases still.", "ctrl+x stops it.")
    folder = own.session.path.parent
    text = f"A bench whose cases {entry.name} answers; one of its variants uses the adapter's prompt."
    name = await screen.app.push_screen_wait(NameInput("Is it still as good?", text, own.session.path.name))
    if not name:
        return
    path = folder / name
    bench = await asyncio.to_thread(load_bench, path)
    if not await settle_trust_of(screen, bench.scorers, path.absolute().parent):
        raise TrainingError("The bench's code is needed to judge answers.", "Agree to it, or remove that scorer.")
    own.measure(entry.name, path)
    screen.look()


@flow
async def note(screen: AdaptersScreen) -> None:
    """A line of a person's own, kept beside it."""
    entry = _standing(screen)
    held = entry.manifest.notes if entry.manifest else ""
    text = await screen.app.push_screen_wait(NameInput(f"Note on {entry.name}", "- alone takes it away.", held))
    if text:
        await asyncio.to_thread(screen.adapters.registry.note, entry.name, "" if text == "-" else text)
        screen.read(entry.name)


@flow
async def tag(screen: AdaptersScreen) -> None:
    """The tags it has, all of them at once."""
    entry = _standing(screen)
    held = entry.manifest.tags if entry.manifest else ()
    text = await screen.app.push_screen_wait(
        NameInput(f"Tags of {entry.name}", "Words with spaces between them; - alone takes all away.", " ".join(held))
    )
    if text:
        wanted = () if text == "-" else tuple(text.split())
        gone = tuple(one for one in held if one not in wanted)
        await asyncio.to_thread(screen.adapters.registry.tag, entry.name, wanted, gone)
        screen.read(entry.name)


@flow
async def promote(screen: AdaptersScreen) -> None:
    """Make it the one to use of its kind; a second time takes that back."""
    entry, registry = _standing(screen), screen.adapters.registry
    if entry.rank == "promoted":
        await asyncio.to_thread(registry.reinstate, entry.name)
        screen.notify(f"{entry.name} is a candidate again.", timeout=4)
    else:
        replaced = await asyncio.to_thread(registry.promote, entry.name)
        words = f"in place of {', '.join(replaced)}" if replaced else "the one to use of its base and prompt"
        screen.notify(words, title=f"{entry.name} is promoted", timeout=4)
    screen.read(entry.name)


@flow
async def retire(screen: AdaptersScreen) -> None:
    """Out of the way, but kept; a second time takes that back."""
    entry, registry = _standing(screen), screen.adapters.registry
    await asyncio.to_thread(registry.reinstate if entry.rank == "retired" else registry.retire, entry.name)
    screen.read(entry.name)


@flow
async def delete(screen: AdaptersScreen) -> None:
    """Into the trash, from which u puts it back."""
    entry = _standing(screen)
    used = [variant.name for variant in screen.adapters.session.variants for one in variant.adapters
            if one.adapter in (entry.name, str(entry.path))]  # fmt: skip
    warning = f" The pane {used[0]} uses it." if used else ""
    text = f"{entry.name} goes to the trash; u puts it back.{warning}"
    answers = [("delete", "Delete"), ("stay", "Keep")]
    if await ask(screen, "Delete the adapter", text, answers, destructive=("delete",)) == "delete":
        await asyncio.to_thread(screen.adapters.registry.delete, entry.name)
        screen.marked = "" if screen.marked == entry.name else screen.marked
        screen.read()


@flow
async def restore(screen: AdaptersScreen) -> None:
    """Put one back that was deleted."""
    registry = screen.adapters.registry
    held = await asyncio.to_thread(registry.trash)
    choices = [Choice(one.path.name, one.name, f"deleted {one.when[:8]} {one.when[9:13]}") for one in held]
    picked = await screen.app.push_screen_wait(Picker("Put back", choices, "The trash is empty."))
    if picked is not None:
        name = await asyncio.to_thread(registry.restore, picked.id)
        screen.read(name)


@flow
async def judge(screen: AdaptersScreen) -> None:
    """Weigh it against the best prompt of the open bench."""
    app = cast("WorkbenchApp", screen.app)
    bench = app.bench_screen
    if bench is not None:
        taken = await app.show_verdict(bench.verdicts, _standing(screen).name)
        if taken is not None:
            screen.dismiss(taken)


def _standing(screen: AdaptersScreen) -> Entry:
    entry = screen.standing
    if entry is None:
        raise TrainingError("There is no adapter to stand on.", "f9 on the bench trains one.")
    return entry
