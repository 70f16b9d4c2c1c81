"""What a person does with the bench as a whole: save, leave, walk through its cases; and help."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, cast

import msgspec

from workbench.errors import FileChangedError, WorkbenchError
from workbench.evaluation.bench import AdapterChoice, Variant
from workbench.tui.actions.flow import ask, flow, settle_trust
from workbench.tui.actions.pane_row import insert_pane
from workbench.tui.adapters import find_trained
from workbench.tui.dialogs.name_input import NameInput

if TYPE_CHECKING:
    from workbench.tui.app import WorkbenchApp
    from workbench.tui.screens.bench import BenchScreen


@flow
async def save(screen: BenchScreen) -> None:
    """Every edited prompt and the bench itself."""
    await save_all(screen)


async def save_all(screen: BenchScreen) -> bool:
    """Save, asking when another program was faster; whether everything is saved."""
    try:
        written = screen.session.save()
    except FileChangedError as error:
        answer = await ask(
            screen,
            "Changed by another program",
            error.message,
            [("overwrite", "Overwrite it"), ("reload", "Take the other version"), ("stay", "Cancel")],
            destructive=("overwrite", "reload"),
        )
        if answer == "stay":
            return False
        written = screen.session.save(force=True) if answer == "overwrite" else ()
        if answer == "reload":
            await _reload(screen)
    screen.show_titles()
    screen.notify(", ".join(written) if written else "Nothing had changed.", title="Saved", timeout=3)
    return True


async def _reload(screen: BenchScreen) -> None:
    """Take the other versions."""
    changed = screen.session.read_changed()
    bench = changed.bench if changed else screen.session.bench
    await _replace_bench(screen, bench.variants, lambda: screen.session.reload_changed(changed))


async def _replace_bench(screen: BenchScreen, variants: Sequence[Variant], replace: Callable[[], None]) -> None:
    """Show what `replace` makes of the session, which has these variants; a pane stays with the one of its name."""
    session, names = screen.session, [variant.name for variant in variants]
    spare = await screen.row.make_panes(len(names))
    panes = {variant.name: pane for variant, pane in zip(session.variants, screen.panes, strict=True)}
    screen.edit.editor.mark_taken()  # what was typed is given up, as the answer said
    replace()
    kept = [panes.get(name) or spare.pop() for name in names]
    for pane in spare:
        pane.remove()
    chosen = screen.chosen_pane if screen.chosen_pane in kept else kept[0]
    screen.lay_out_panes(kept, chosen)
    await screen.refresh_after_change()


@flow
async def discard_restored(screen: BenchScreen) -> None:
    """Forget the unsaved changes of an earlier session; asks where there are new ones by now."""
    session = screen.session
    if not session.recovered:
        raise WorkbenchError("No restored changes are left to discard.", "Revert prompt in ctrl+k forgets new ones.")
    if not session.is_as_recovered:
        text = f"What you changed since goes with them: {', '.join(session.unsaved)}."
        answers = [("discard", "Discard everything unsaved"), ("stay", "Cancel")]
        if await ask(screen, "Discard the restored changes", text, answers, destructive=("discard",)) == "stay":
            return
    names = ", ".join(session.recovered)
    await _replace_bench(screen, session.saved.variants, session.discard)
    screen.notify(names, title="Discarded the restored changes", timeout=5)


@flow
async def save_bench_as(screen: BenchScreen) -> None:
    """The bench under another file name; the screen goes on with that."""
    name = await screen.app.push_screen_wait(
        NameInput("Save the bench as", f"A file name; it is saved in {screen.folder}.", screen.session.path.name)
    )
    if name:
        file = name if name.endswith(".bench.yaml") else f"{name}.bench.yaml"
        screen.session.save_bench_as(screen.folder / file)
        screen.show_titles()


@flow
async def go_to_case(screen: BenchScreen) -> None:
    """A case by its number."""
    cases = screen.session.cases
    if not cases:
        raise WorkbenchError("This bench has no dataset to walk through.", "ctrl+k, then Dataset… takes a file.")
    span = f"A number from {cases[0].number} to {cases[-1].number}, as in the file."
    number = await screen.app.push_screen_wait(NameInput("Go to case", span))
    if number and number.isdigit():
        await screen.go_to_case(int(number))


@flow
async def turn_strategy(screen: BenchScreen) -> None:
    """What happens to a prompt that is too long: refuse it, or drop its last examples."""
    session = screen.session
    session.set_strategy("drop" if session.strategy == "refuse" else "refuse")
    meaning = "is refused" if session.strategy == "refuse" else "loses its last examples until it fits"
    screen.notify(f"A prompt that does not fit the context now {meaning}.", timeout=5)
    await screen.refresh_after_change()


@flow
async def evaluate(screen: BenchScreen) -> None:
    """Every case against every variant, as a matrix; a run that goes on is shown as it is."""
    if not screen.session.cases:
        raise WorkbenchError("This bench has no dataset to run.", "Name one in its file: dataset: {path: cases.jsonl}.")
    screen.runner.stop()
    shown = await cast("WorkbenchApp", screen.app).show_matrix(screen.evaluations)
    if shown is not None:
        await screen.go_to_case(shown.case)
        names = [variant.name for variant in screen.session.variants]
        if shown.variant in names:
            await screen.action_choose(names.index(shown.variant))


@flow
async def ask_for_trust(screen: BenchScreen) -> None:
    """Whether the code that this bench judges answers with may run."""
    if await settle_trust(screen, screen.session):
        screen.open_scoring(trusted=True)
        screen.run_panes()


@flow
async def train(screen: BenchScreen) -> None:
    """An adapter for the chosen pane's prompt, on the bench's own data; a job that goes on is shown as it is."""
    trainings, index = screen.trainings, screen.chosen
    if not await _save_first(screen, "Train", "A training reads the saved files. Save your changes first?"):
        return
    if trainings.job is None:
        running = await asyncio.to_thread(trainings.find_running)
        if running is not None:
            trainings.follow(running)
    recipe = trainings.job.recipe if trainings.job else await asyncio.to_thread(trainings.propose, index)
    adapter = await cast("WorkbenchApp", screen.app).show_training(trainings, recipe)
    if adapter is not None:
        await open_adapter(screen, Path(adapter))


async def _save_first(screen: BenchScreen, title: str, text: str) -> bool:
    """Whether everything is on the disk; asks where something is not."""
    if not screen.session.unsaved:
        return True
    answer = await ask(screen, title, text, [("save", "Save and go on"), ("stay", "Cancel")])
    return answer != "stay" and await save_all(screen)


@flow
async def judge(screen: BenchScreen) -> None:
    """Whether an adapter was worth its training; one that goes on, or was reached, is shown as it is."""
    if not await _save_first(screen, "Verdict", "A verdict reads the saved files. Save your changes first?"):
        return
    variant = screen.session.variants[screen.chosen]
    laid = await asyncio.to_thread(find_trained, variant.adapters)
    adapter = await cast("WorkbenchApp", screen.app).show_verdict(screen.verdicts, laid)
    if adapter is not None:
        await open_adapter(screen, Path(adapter))


@flow
async def registry(screen: BenchScreen) -> None:
    """The adapters that were trained here."""
    adapter = await cast("WorkbenchApp", screen.app).show_registry(screen.adapters)
    if adapter is not None:
        await open_adapter(screen, Path(adapter))


async def open_adapter(screen: BenchScreen, path: Path, choose: bool = True) -> None:
    """A pane like the one that was trained, with the adapter laid over it.

    choose: whether it is edited then; not where nobody asked for it just now, and somebody may be typing.
    """
    session, trainings = screen.session, screen.trainings
    wanted = trainings.job.recipe.variant if trainings.job else ""

    def add() -> int:
        names = [variant.name for variant in session.variants]
        index = names.index(wanted) if wanted in names else screen.chosen
        source = session.variants[index]
        variant = msgspec.structs.replace(
            source, name=f"{source.name} + {path.name}", adapters=(*source.adapters, AdapterChoice(str(path)))
        )
        return session.add_variant(variant, at=index + 1)

    await insert_pane(screen, add, choose)
    screen.notify("ctrl+e runs the whole dataset against it; ctrl+s keeps the pane.", title=f"{path.name} is here")


@flow
async def leave(screen: BenchScreen) -> None:
    """Quit, unless something is unsaved and a person wants to stay."""
    unsaved = screen.session.unsaved
    if unsaved:
        answer = await ask(
            screen,
            "Quit",
            f"Not saved: {', '.join(unsaved)}.",
            [("save", "Save and quit"), ("quit", "Quit without saving"), ("stay", "Stay")],
            destructive=("quit",),
        )
        if answer == "stay" or (answer == "save" and not await save_all(screen)):
            return
        if answer == "quit":
            screen.session.discard()
    screen.runner.stop()
    for beside in (screen.verdicts, screen.adapters, screen.evaluations):  # the last one closes what the others use
        beside.close()
    screen.app.exit()
