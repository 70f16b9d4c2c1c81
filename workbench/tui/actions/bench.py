"""Actions on the bench as a whole: save, reload, walk through its cases, open the other screens, quit."""

from __future__ import annotations

import asyncio
from pathlib import Path

import msgspec

from workbench.errors import FileChangedError, WorkbenchError
from workbench.runs.bench import AdapterChoice
from workbench.runs.tool_file import list_code
from workbench.tui.actions.dialogs import confirm_trust
from workbench.tui.bench_controller import BenchController
from workbench.tui.dialogs.name_input import NameInput
from workbench.tui.status_line import format_moment
from workbench.tui.trained_adapters import name_adapter
from workbench.tui.ui import Ui


async def save(bench: BenchController, ui: Ui) -> None:
    """Every edited prompt and the bench itself."""
    await save_all(bench, ui)


async def save_all(bench: BenchController, ui: Ui) -> bool:
    """Save, asking where another program has changed a file; whether everything is saved."""
    session = bench.session
    try:
        written = session.save()
    except FileChangedError as error:
        answer = await ui.ask(
            "Changed by another program",
            error.message,
            [("overwrite", "Overwrite"), ("reload", "Reload the file"), ("stay", "Cancel")],
            destructive=("overwrite", "reload"),
        )
        if answer == "stay":
            return False
        written = session.save(force=True) if answer == "overwrite" else ()
        if answer == "reload":
            await _reload(bench)
    bench.show_titles()
    ui.toast(", ".join(written) if written else "There was nothing to save.", title="Saved", timeout=3)
    return True


async def _reload(bench: BenchController) -> None:
    """Use the versions on the disk."""
    session = bench.session
    changed = session.read_changed()
    variants = (changed.bench if changed else session.bench).variants
    await bench.replace_bench(variants, lambda: session.reload_changed(changed))


async def discard_restored(bench: BenchController, ui: Ui) -> None:
    """Discard the restored changes of an earlier session; asks where there are new ones by now."""
    session = bench.session
    if not session.recovered:
        raise WorkbenchError("There are no restored changes.", "Revert prompt in ctrl+\\ discards new ones.")
    if not session.is_as_recovered:
        text = f"This also discards what you changed since: {', '.join(session.unsaved)}."
        answers = [("discard", "Discard all unsaved changes"), ("stay", "Cancel")]
        if await ui.ask("Discard restored changes?", text, answers, destructive=("discard",)) == "stay":
            return
    names = ", ".join(session.recovered)
    await bench.replace_bench(session.saved.variants, session.discard)
    ui.toast(names, title="Discarded restored changes", timeout=5)


async def save_bench_as(bench: BenchController, ui: Ui) -> None:
    """The bench under another file name, which is the open one from then on."""
    name = await ui.push(NameInput("Save bench as", f"A file name in {bench.folder}.", bench.session.path.name))
    if name:
        file = name if name.endswith(".bench.yaml") else f"{name}.bench.yaml"
        bench.session.save_bench_as(bench.folder / file)
        bench.show_titles()


async def go_to_case(bench: BenchController, ui: Ui) -> None:
    """A case by its number."""
    cases = bench.session.cases
    if not cases:
        raise WorkbenchError("This bench has no dataset.", "ctrl+\\, then Dataset… opens one.")
    number = await ui.push(NameInput("Go to case", f"A number from {cases[0].number} to {cases[-1].number}."))
    if number and number.isdigit():
        await bench.go_to_case(int(number))


async def toggle_strategy(bench: BenchController, ui: Ui) -> None:
    """What happens to a prompt that exceeds the context: refuse it, or drop its last examples."""
    session = bench.session
    session.set_strategy("drop" if session.strategy == "refuse" else "refuse")
    meaning = "are refused" if session.strategy == "refuse" else "drop their last examples"
    ui.toast(f"Prompts that exceed the context now {meaning}.", timeout=5)
    await bench.refresh()


async def evaluate(bench: BenchController, ui: Ui) -> None:
    """Every case against every variant, as a matrix; a run under way is shown as it is."""
    if not bench.session.cases:
        raise WorkbenchError("This bench has no dataset to run.", "Add one to its file: dataset: {path: cases.jsonl}.")
    bench.runner.stop()
    cell = await ui.screens.open_matrix()
    bench.focus_pane(bench.chosen_pane)  # not the editor: a key that was meant for the matrix would be typed there
    if cell is not None:
        await bench.go_to_case(cell.case)
        names = [variant.name for variant in bench.session.variants]
        if cell.variant in names:
            await bench.focus(names.index(cell.variant))


def report_opening(bench: BenchController, ui: Ui) -> None:
    """What opening the bench has to tell: problems, parts of it that are not supported, restored changes."""
    session = bench.session
    for problem in session.problems:
        ui.show_error(problem)
    for unsupported in session.unsupported():
        ui.warn(unsupported, title="Parts of this file are not used")
    if session.recovered:
        ui.toast(
            f"{', '.join(session.recovered)}: ctrl+s saves them, f11 discards them.",
            title=f"Restored unsaved changes from {format_moment(session.recovered_from)}",
            timeout=30,
        )


async def ask_for_trust(bench: BenchController, ui: Ui) -> None:
    """Whether the code that this bench scores answers with may run."""
    if await confirm_trust(ui, list_code(bench.session.bench), bench.folder):
        bench.open_scoring(trusted=True)
        bench.run_panes()


async def train(bench: BenchController, ui: Ui) -> None:
    """Train an adapter for the chosen pane's prompt on the bench's own data; a running job is shown as it is."""
    jobs, index = bench.state.jobs, bench.chosen
    if not await save_first(bench, ui, "Training"):
        return
    if jobs.job is None:
        running = await asyncio.to_thread(jobs.find_running)
        if running is not None:
            jobs.follow(running)
    recipe = jobs.job.recipe if jobs.job else await asyncio.to_thread(jobs.propose, index)
    await _open_adapter(bench, ui, await ui.screens.open_training(recipe))


async def judge(bench: BenchController, ui: Ui) -> None:
    """Whether an adapter was worth its training; a verdict under way, or reached, is shown as it is.

    The chosen pane's adapter, else that of another pane.
    """
    if not await save_first(bench, ui, "A verdict"):
        return
    panes = (bench.variant, *bench.session.variants)
    adapter = await asyncio.to_thread(name_adapter, [choice for variant in panes for choice in variant.adapters])
    await _open_adapter(bench, ui, await ui.screens.open_verdict(adapter))


async def registry(bench: BenchController, ui: Ui) -> None:
    """The adapters that were trained here."""
    await _open_adapter(bench, ui, await ui.screens.open_registry())


async def save_first(bench: BenchController, ui: Ui, reader: str) -> bool:
    """Whether everything is on the disk; asks where something is not."""
    if not bench.session.unsaved:
        return True
    answers = [("save", "Save and continue"), ("stay", "Cancel")]
    answer = await ui.ask("Unsaved changes", f"{reader} reads the saved files. Save your changes first?", answers)
    return answer != "stay" and await save_all(bench, ui)


async def _open_adapter(bench: BenchController, ui: Ui, folder: str | None) -> None:
    if folder is not None:
        await add_adapter_pane(bench, ui, Path(folder))


async def add_adapter_pane(bench: BenchController, ui: Ui, path: Path, choose: bool = True) -> None:
    """A pane like the one that was trained for, with the adapter applied.

    choose: whether it is edited then; not where nobody asked for it just now, and somebody may be typing.
    """
    session, job = bench.session, bench.state.jobs.job
    trained = job.recipe.variant if job else ""

    def add() -> int:
        names = [variant.name for variant in session.variants]
        index = names.index(trained) if trained in names else bench.chosen
        source = session.variants[index]
        variant = msgspec.structs.replace(
            source, name=f"{source.name} + {path.name}", adapters=(*source.adapters, AdapterChoice(str(path)))
        )
        return session.add_variant(variant, at=index + 1)

    await bench.insert_pane(add, choose)
    ui.toast("f6 runs the whole dataset; ctrl+s keeps the pane.", title=f"Added a pane with {path.name}", timeout=5)


async def leave(bench: BenchController, ui: Ui) -> None:
    """Quit; asks where something is unsaved."""
    if await give_up(bench, ui, "Quit"):
        bench.runner.stop()
        await asyncio.to_thread(bench.state.stop_tasks)
        ui.exit()


async def give_up(bench: BenchController, ui: Ui, verb: str) -> bool:
    """Whether this bench may be left; asks where something is unsaved. verb: what a person is about to do."""
    unsaved = bench.session.unsaved
    if not unsaved:
        return True
    answer = await ui.ask(
        f"{verb}?",
        f"Unsaved: {', '.join(unsaved)}.",
        [("save", f"Save and {verb.lower()}"), ("quit", f"{verb} without saving"), ("stay", "Cancel")],
        destructive=("quit",),
    )
    if answer == "stay" or (answer == "save" and not await save_all(bench, ui)):
        return False
    if answer == "quit":
        bench.session.discard()
    return True
