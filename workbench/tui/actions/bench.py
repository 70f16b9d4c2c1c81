"""What a person does with the bench as a whole: save, leave, walk through its cases; and help."""

from __future__ import annotations

from typing import TYPE_CHECKING, cast

from workbench.errors import FileChangedError, WorkbenchError
from workbench.tui.actions.flow import ask, flow
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
            [("stay", "Cancel"), ("overwrite", "Overwrite it"), ("reload", "Take the other version")],
            safe="stay",
        )
        if answer == "stay":
            return False
        written = screen.session.save(force=True) if answer == "overwrite" else ()
        if answer == "reload":
            screen.session.reload_changed()
            await screen.rebuild_panes(screen.panes[: len(screen.session.variants)])
            await screen.refresh_after_change()
    screen.show_titles()
    screen.notify(", ".join(written) if written else "Nothing had changed.", title="Saved", timeout=3, markup=False)
    return True


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
    most = len(screen.session.cases)
    number = await screen.app.push_screen_wait(NameInput("Go to case", f"A number from 1 to {most}."))
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
async def leave(screen: BenchScreen) -> None:
    """Quit, unless something is unsaved and a person wants to stay."""
    unsaved = screen.session.unsaved
    if unsaved:
        answer = await ask(
            screen,
            "Quit",
            f"Not saved: {', '.join(unsaved)}.",
            [("save", "Save and quit"), ("quit", "Quit without saving"), ("stay", "Stay")],
        )
        if answer == "stay" or (answer == "save" and not await save_all(screen)):
            return
        if answer == "quit":
            screen.session.prompts.revert_all()
    screen.runner.stop()
    screen.evaluations.close()
    screen.app.exit()
