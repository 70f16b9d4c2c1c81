"""Actions: what a key or the palette starts on the bench screen, above all whatever asks first.

Each flow reads straight down: ask, change the session, show it. The one place where an error becomes a toast.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Concatenate, ParamSpec

import msgspec
from textual.app import SuspendNotSupported
from textual.screen import Screen

from workbench import paths
from workbench.errors import FileChangedError, WorkbenchError
from workbench.evaluation.bench import AdapterChoice, ModelChoice
from workbench.inert import make_inert
from workbench.models.reference import model_at
from workbench.prompting.prompt import Example, Mode, Placement
from workbench.prompting.render import find_variables
from workbench.tui import catalog
from workbench.tui.dialogs.adapter_panel import AdapterPanel, Wish
from workbench.tui.dialogs.difference import Answer, Difference
from workbench.tui.dialogs.example_editor import ExampleEditor
from workbench.tui.dialogs.explanation import Explanation
from workbench.tui.dialogs.final_prompt import FinalPrompt
from workbench.tui.dialogs.help import Help
from workbench.tui.dialogs.name_input import NameInput
from workbench.tui.dialogs.pane_settings import PaneSettings
from workbench.tui.dialogs.picker import Choice, Picker
from workbench.tui.dialogs.question import Question
from workbench.tui.dialogs.reader import Reader
from workbench.tui.keys import list_keys
from workbench.tui.widgets.output_pane import OutputPane

if TYPE_CHECKING:
    from workbench.tui.screens.bench import BenchScreen

P = ParamSpec("P")
Start = Callable[["BenchScreen"], None]


def say(screen: Screen[None], error: WorkbenchError) -> None:
    """Show an error as a toast: what happened, then what to do."""
    screen.notify(make_inert(error.hint), title=make_inert(error.message), severity="error", timeout=10, markup=False)


def flow(action: Callable[Concatenate[BenchScreen, P], Awaitable[None]]) -> Callable[Concatenate[BenchScreen, P], None]:
    """Run an action beside the screen, so that it may wait for dialogs; its errors become toasts."""

    def start(screen: BenchScreen, /, *args: P.args, **kwargs: P.kwargs) -> None:
        async def guarded() -> None:
            try:
                await action(screen, *args, **kwargs)
            except WorkbenchError as error:
                say(screen, error)

        screen.run_worker(guarded(), group="action")

    start.__doc__ = action.__doc__
    return start


@flow
async def help(screen: BenchScreen) -> None:
    """What the screen is for, and every key."""
    await screen.app.push_screen_wait(Help(screen.HELP_TEXT, list_keys(screen), str(paths.settings_file())))


# --- panes ------------------------------------------------------------------------------------------------------------


@flow
async def duplicate(screen: BenchScreen) -> None:
    """A second pane beside the chosen one, with a prompt of its own."""
    position = screen.session.duplicate_variant(screen.chosen)
    await _insert_pane(screen, position)


@flow
async def add(screen: BenchScreen) -> None:
    """A further pane, with a prompt chosen from the library."""
    name = await _pick_prompt(screen, "Add a pane with the prompt")
    if name is None:
        return
    source = screen.session.variants[screen.chosen]
    new = msgspec.structs.replace(source, name=name.rpartition("/")[2], prompt=name, examples_off=())
    await _insert_pane(screen, screen.session.add_variant(new))


async def _insert_pane(screen: BenchScreen, position: int) -> None:
    kept = [*screen.panes[:position], OutputPane(position), *screen.panes[position:]]
    screen.chosen = position
    await screen.rebuild_panes(kept)
    await screen.show_chosen()
    if isinstance(screen.focused, OutputPane):
        screen.panes[position].focus()
    screen.run_panes(panes=[screen.panes[position]])


@flow
async def close(screen: BenchScreen) -> None:
    """Take the chosen pane away; its prompt stays in the library."""
    session, index = screen.session, screen.chosen
    prompt = session.variants[index].prompt
    alone = sum(variant.prompt == prompt for variant in session.variants) == 1
    if prompt in session.prompts.edited and alone:
        answer = await _ask(
            screen,
            "Close the pane",
            f"Its prompt {prompt} has unsaved changes.",
            [("save", "Save and close"), ("drop", "Close without saving"), ("stay", "Stay")],
        )
        if answer == "stay":
            return
        if answer == "save":
            session.prompts.save(prompt)
        else:
            session.prompts.revert(prompt)
    session.close_variant(index)
    await screen.rebuild_panes([pane for pane in screen.panes if pane.index != index])
    await screen.show_chosen()
    screen.panes[screen.chosen].focus()


@flow
async def rename(screen: BenchScreen) -> None:
    """Another name on the pane's border and in every report."""
    variant = screen.session.variants[screen.chosen]
    name = await screen.app.push_screen_wait(
        NameInput("Rename the pane", "The name stands on the border and in every report.", variant.name)
    )
    if name:
        screen.session.change_variant(screen.chosen, name=name)
        await screen.show_chosen()


@flow
async def settings(screen: BenchScreen) -> None:
    """The side panel: name and sampling of the chosen pane."""
    index = screen.chosen
    variant = screen.session.variants[index]
    settled = await screen.app.push_screen_wait(PaneSettings(variant, screen.find_unsupported(index)))
    if settled is None:
        return
    screen.session.change_variant(index, name=settled.variant.name, sampling=settled.variant.sampling)
    await screen.refresh_after_change()
    if settled.then == "prompt":
        open_prompt(screen)
    elif settled.then == "model":
        model(screen)


@flow
async def model(screen: BenchScreen) -> None:
    """Another model for the chosen pane: one that was found, or any file."""
    index = screen.chosen
    current = screen.session.variants[index].model
    choices = catalog.list_models(screen.models, screen.session.bench.models)
    empty = "No models were found. ^f looks for a file; model_folders in the settings adds folders."
    wishes = [("ctrl+f", "browse", "browse files"), ("ctrl+e", "adjust", "template and context")]
    picked = await screen.app.push_screen_wait(Picker("Model of this pane", choices, empty, wishes, current))
    if picked is None:
        return
    name = picked.id
    if picked.wish == "browse":
        path = await _pick_file(screen, "Choose a model", (".gguf",))
        if path is None:
            return
        name = _remember(screen, path)
    elif picked.wish == "adjust" and name:
        await _adjust_model(screen, name)
    if name:
        screen.session.change_variant(index, model=name)
        await screen.refresh_after_change()


def _remember(screen: BenchScreen, path: Path) -> str:
    """Keep a file a person chose in the bench, so that it is found again."""
    chosen = model_at(path)
    screen.session.remember_model(chosen.name, ModelChoice(str(path)))
    return chosen.name


async def _adjust_model(screen: BenchScreen, name: str) -> None:
    """A context size and a chat template of a person's own, remembered in the bench."""
    known = screen.session.bench.models.get(name) or ModelChoice(name)
    size = await screen.app.push_screen_wait(
        NameInput(
            f"Context of {name}",
            "Tokens of context to open the model with; 0 takes what it was trained with.",
            str(known.context_tokens or 0),
        )
    )
    if size is None:
        return
    if not size.isdigit():
        raise WorkbenchError(f"{size!r} is not a number of tokens.", "Write a whole number such as 4096.")
    template = await screen.app.push_screen_wait(
        NameInput(
            f"Chat template of {name}",
            "A file with a Jinja chat template to use instead of the model's own; - keeps the model's own.",
            "-" if known.chat_template is None else "(unchanged)",
        )
    )
    if template is None:
        return
    text = known.chat_template
    if template == "-":
        text = None
    elif template != "(unchanged)":
        text = catalog.read_template(template, screen.folder)
    choice = ModelChoice(known.path, chat_template=text, context_tokens=int(size) or None)
    screen.session.remember_model(name, choice)


@flow
async def adapters(screen: BenchScreen) -> None:
    """What is laid over the chosen pane's model; the answer follows every change."""
    index = screen.chosen

    def change(wish: Wish, position: int) -> Sequence[AdapterChoice]:
        session = screen.session
        if wish == "remove":
            session.remove_adapter(index, position)
        elif wish == "toggle":
            session.toggle_adapter(index, position)
        else:
            session.step_scale(index, position, 1 if wish == "up" else -1)
        screen.after_change()
        return session.variants[index].adapters

    while True:
        variant = screen.session.variants[index]
        panel = AdapterPanel(f"Adapters of {variant.name}", variant.adapters, change)
        if await screen.app.push_screen_wait(panel) != "add":
            return
        name = await _pick_adapter(screen)
        if name is not None:
            screen.session.add_adapter(index, name)
            screen.after_change()


async def _pick_adapter(screen: BenchScreen) -> str | None:
    empty = "No adapters were found. ^f looks for one; model_folders in the settings adds folders."
    choices = catalog.list_adapters(screen.adapters)
    wishes = [("ctrl+f", "browse", "browse files")]
    picked = await screen.app.push_screen_wait(Picker("Lay an adapter over the model", choices, empty, wishes))
    if picked is None or picked.wish == "enter":
        return picked.id if picked else None
    path = await _pick_file(screen, "Choose adapter_config.json or a GGUF adapter", (".gguf", ".json"))
    if path is None:
        return None
    return str(path.parent if path.name == "adapter_config.json" else path)


async def step_scale(screen: BenchScreen, steps: int) -> None:
    """Make the chosen pane's first adapter stronger or weaker."""
    if not screen.session.variants[screen.chosen].adapters:
        screen.notify("No adapter is laid over this pane; p adds one.", timeout=3)
        return
    screen.session.step_scale(screen.chosen, 0, steps)
    screen.after_change()


@flow
async def without_adapters(screen: BenchScreen) -> None:
    """The same pane without its adapters, beside it."""
    if not screen.session.variants[screen.chosen].adapters:
        raise WorkbenchError("No adapter is laid over this pane.", "p adds one; ctrl+d duplicates the pane.")
    await _insert_pane(screen, screen.session.add_without_adapters(screen.chosen))


@flow
async def difference(screen: BenchScreen) -> None:
    """The chosen pane's answer against the others, word by word."""
    answers = [
        Answer(f"{pane.letter}  {variant.name}", pane.completion.text)
        for pane, variant in zip(screen.panes, screen.session.variants, strict=True)
    ]
    first = answers.pop(screen.chosen)
    if not answers:
        raise WorkbenchError("There is no other pane to compare with.", "ctrl+d puts a copy beside this one.")
    after = answers[screen.chosen :] + answers[: screen.chosen]
    await screen.app.push_screen_wait(Difference(first, after))


@flow
async def explain(screen: BenchScreen) -> None:
    """Why the answer got its score; why there is none."""
    pane, variant = screen.panes[screen.chosen], screen.session.variants[screen.chosen]
    if pane.failure is not None:
        details = pane.failure.details or "There are no further details."
        await screen.app.push_screen_wait(Reader(f"{variant.name}: why it failed", f"{pane.failure}\n\n{details}"))
        return
    case = screen.session.case
    await screen.app.push_screen_wait(
        Explanation(f"{pane.letter}  {variant.name}", case.expected, pane.completion.text, pane.scores)
    )


@flow
async def view(screen: BenchScreen) -> None:
    """The whole answer on the whole screen."""
    pane, variant = screen.panes[screen.chosen], screen.session.variants[screen.chosen]
    await screen.app.push_screen_wait(Reader(f"{pane.letter}  {variant.name}", pane.output.text))


def copy(screen: BenchScreen) -> None:
    """The answer into the clipboard; by the terminal, so it works over SSH."""
    pane = screen.panes[screen.chosen]
    screen.app.copy_to_clipboard(pane.completion.text)
    screen.notify(f"Copied the answer of {pane.letter}.", timeout=2)


@flow
async def final_prompt(screen: BenchScreen) -> None:
    """Exactly what the chosen pane sends, as text and as tokens."""
    draft = screen.draft_of(screen.chosen)
    tokens = await catalog.tokenize(screen.pool, draft)
    name = screen.session.variants[screen.chosen].name
    copied = await screen.app.push_screen_wait(FinalPrompt(f"What {name} sends to {draft.model.name}", tokens))
    if copied is not None:
        screen.app.copy_to_clipboard(copied)
        screen.notify("Copied the prompt.", timeout=2)


# --- prompts and examples ---------------------------------------------------------------------------------------------


async def _pick_prompt(screen: BenchScreen, title: str, current: str = "") -> str | None:
    """A prompt of the library; further keys rename, duplicate and delete there."""
    wishes = [
        ("ctrl+e", "rename", "rename"),
        ("ctrl+d", "duplicate", "duplicate"),
        ("ctrl+x", "delete", "delete"),
    ]
    while True:
        entries = screen.session.library.entries()
        empty = f"The library {screen.session.library.folder} is empty. `Save prompt as` in the palette fills it."
        choices = catalog.list_prompts(entries)
        picked = await screen.app.push_screen_wait(Picker(title, choices, empty, wishes, current))
        if picked is None or not picked.id:
            return None
        if picked.wish == "enter":
            return picked.id
        try:
            await _change_library(screen, picked.id, picked.wish)
        except WorkbenchError as error:
            say(screen, error)


async def _change_library(screen: BenchScreen, name: str, wish: str) -> None:
    session = screen.session
    if wish == "delete":
        users = [variant.name for variant in session.variants if variant.prompt == name]
        used = f" The panes {', '.join(users)} use it." if users else ""
        text = f"{name} goes to the trash folder.{used}"
        if await _ask(screen, "Delete the prompt", text, [("delete", "Delete"), ("stay", "Stay")]) == "delete":
            trash = session.library.delete(name)
            screen.notify(f"It lies in {trash}.", title=f"Deleted {name}", timeout=8, markup=False)
        return
    title, verb = ("Rename the prompt", "rename") if wish == "rename" else ("Duplicate the prompt", "duplicate")
    new = await screen.app.push_screen_wait(NameInput(title, "A name such as queues/short.", name))
    if new is None or new == name:
        return
    if verb == "rename":
        session.rename_prompt(name, new)
        await screen.show_chosen()
    else:
        session.library.duplicate(name, new)


@flow
async def open_prompt(screen: BenchScreen) -> None:
    """Another prompt of the library for the chosen pane."""
    current = screen.session.variants[screen.chosen].prompt
    name = await _pick_prompt(screen, "Prompt of this pane", current)
    if name is not None and name != current:
        screen.session.change_variant(screen.chosen, prompt=name, examples_off=())
        await screen.refresh_after_change()


@flow
async def save_prompt_as(screen: BenchScreen) -> None:
    """The chosen pane's prompt under another name; the pane goes on with that."""
    current = screen.session.variants[screen.chosen].prompt
    name = await screen.app.push_screen_wait(NameInput("Save the prompt as", "A name such as queues/short.", current))
    if name and name != current:
        screen.session.save_prompt_as(screen.chosen, name)
        await screen.refresh_after_change()
        screen.notify(f"Saved {name}.", timeout=3, markup=False)


@flow
async def revert_prompt(screen: BenchScreen) -> None:
    """Forget the unsaved changes of the chosen pane's prompt."""
    name = screen.session.variants[screen.chosen].prompt
    text = f"Every unsaved change to {name} is forgotten."
    if await _ask(screen, "Revert the prompt", text, [("revert", "Revert"), ("stay", "Stay")]) == "revert":
        screen.session.prompts.revert(name)
        await screen.refresh_after_change()


@flow
async def place_examples(screen: BenchScreen) -> None:
    """Where the chosen pane's prompt puts its examples."""
    choices = (
        Choice("turns", "turns", "each example is a user and an assistant message"),
        Choice("inline", "inline", "the template loops over `examples` itself"),
        Choice("none", "none", "no examples are sent"),
    )
    name = screen.session.variants[screen.chosen].prompt
    current = screen.session.prompt(name).placement
    picked = await screen.app.push_screen_wait(Picker(f"Examples of {name}", choices, "", current=current))
    if picked is not None:
        screen.session.place_examples(name, msgspec.convert(picked.id, Placement))
        await screen.refresh_after_change()


@flow
async def set_mode(screen: BenchScreen) -> None:
    """Whether the chosen pane's prompt goes through the model's chat template."""
    choices = (
        Choice("chat", "chat", "the model's chat template is laid around the messages"),
        Choice("completion", "completion", "the text is sent as it is, for the model to go on"),
    )
    name = screen.session.variants[screen.chosen].prompt
    picked = await screen.app.push_screen_wait(
        Picker(f"How {name} is sent", choices, "", current=screen.session.prompt(name).mode)
    )
    if picked is not None:
        screen.session.set_mode(name, msgspec.convert(picked.id, Mode))
        await screen.refresh_after_change()


@flow
async def restore_prompt(screen: BenchScreen) -> None:
    """Bring a deleted prompt back from the trash."""
    library = screen.session.library
    choices = catalog.list_trash(library.trash.list())
    picked = await screen.app.push_screen_wait(Picker("Restore a prompt", choices, "The trash is empty."))
    if picked is not None:
        name = library.restore(Path(picked.id))
        screen.notify(f"{name} is back in the library.", timeout=3, markup=False)
        await screen.refresh_after_change()


@flow
async def change_examples(screen: BenchScreen, wish: str, example_id: str) -> None:
    """Edit, add or remove an example of the chosen pane's prompt, or switch all of them."""
    screen.gather()
    session, index = screen.session, screen.chosen
    name = session.variants[index].prompt
    prompt = session.prompt(name)
    if wish == "toggle_all":
        off = () if session.variants[index].examples_off else tuple(example.id for example in prompt.examples)
        session.change_variant(index, examples_off=off)
    elif wish == "remove" and example_id:
        session.edit_examples(name, tuple(example for example in prompt.examples if example.id != example_id))
    elif wish in ("edit", "add"):
        old = next((example for example in prompt.examples if example.id == example_id), None)
        adding = wish == "add" or old is None
        start = session.new_example(name) if adding or old is None else old
        edited = await screen.app.push_screen_wait(ExampleEditor(start, find_variables(prompt)))
        if edited is None:
            return
        session.edit_examples(name, _placed(prompt.examples, edited))
    await screen.refresh_after_change()


def _placed(examples: tuple[Example, ...], new: Example) -> tuple[Example, ...]:
    if not any(example.id == new.id for example in examples):
        return (*examples, new)
    return tuple(new if example.id == new.id else example for example in examples)


# --- the bench --------------------------------------------------------------------------------------------------------


@flow
async def save(screen: BenchScreen) -> None:
    """Every edited prompt and the bench itself."""
    await _save(screen)


async def _save(screen: BenchScreen) -> bool:
    """Save, asking when another program was faster; whether everything is saved."""
    try:
        written = screen.session.save()
    except FileChangedError as error:
        answer = await _ask(
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
async def edit_outside(screen: BenchScreen) -> None:
    """The prompt in $EDITOR; what comes back is taken as if it had been typed."""
    session = screen.session
    name = session.variants[screen.chosen].prompt
    text = session.prompt(name).body
    try:
        with screen.app.suspend():
            edited = catalog.edit_text(text, session.settings.editor)
    except SuspendNotSupported as error:
        raise WorkbenchError(
            "This terminal cannot make room for another program.", "Edit the file outside; changes are noticed."
        ) from error
    if session.edit_prompt(name, edited):
        await screen.refresh_after_change()


@flow
async def leave(screen: BenchScreen) -> None:
    """Quit, unless something is unsaved and a person wants to stay."""
    unsaved = screen.session.unsaved
    if unsaved:
        answer = await _ask(
            screen,
            "Quit",
            f"Not saved: {', '.join(unsaved)}.",
            [("save", "Save and quit"), ("quit", "Quit without saving"), ("stay", "Stay")],
        )
        if answer == "stay" or (answer == "save" and not await _save(screen)):
            return
        if answer == "quit":
            screen.session.prompts.revert_all()
    screen.runner.stop()
    screen.app.exit()


async def _ask(screen: BenchScreen, title: str, text: str, answers: list[tuple[str, str]], safe: str = "") -> str:
    """The id of the answer; escape is the last one, or `safe`."""
    if safe:
        answers = [
            *(answer for answer in answers if answer[0] != safe),
            *(a for a in answers if a[0] == safe),
        ]
    return await screen.app.push_screen_wait(Question(title, make_inert(text), answers))


async def _pick_file(screen: BenchScreen, title: str, suffixes: tuple[str, ...]) -> Path | None:
    from textual_fspicker import FileOpen, Filters

    wanted = Filters(
        (" ".join(f"*{suffix}" for suffix in suffixes), lambda path: path.suffix.lower() in suffixes),
        ("all", lambda _path: True),
    )
    return await screen.app.push_screen_wait(FileOpen(str(Path.home()), title=title, filters=wanted))


# What the palette offers, beside the keys: name, explanation, action.
PALETTE: tuple[tuple[str, str, Start], ...] = (
    ("Save everything", "Every edited prompt and the bench", save),
    ("Save prompt as…", "Under another name in the library", save_prompt_as),
    ("Save bench as…", "Under another file name", save_bench_as),
    ("Revert prompt", "Forget its unsaved changes", revert_prompt),
    ("Open prompt…", "Another prompt for the chosen pane", open_prompt),
    ("Edit prompt in $EDITOR", "Outside, and back", edit_outside),
    ("Place examples…", "As turns, inline, or none", place_examples),
    ("Chat or completion…", "How the prompt is sent", set_mode),
    ("Restore deleted prompt…", "From the trash", restore_prompt),
    ("Add pane…", "A further variant", add),
    ("Duplicate pane", "A copy with a prompt of its own", duplicate),
    ("Close pane", "Its prompt stays in the library", close),
    ("Rename pane…", "The name on the border and in reports", rename),
    ("Pane settings…", "Sampling of the chosen pane", settings),
    ("Model of the pane…", "One that was found, or any file", model),
    ("Adapters of the pane…", "What is laid over the model, and how strongly", adapters),
    ("The same without adapters", "In a pane beside this one", without_adapters),
    ("Difference", "Two answers, word by word", difference),
    ("Explain score", "What was extracted, and why it counts", explain),
    ("View answer", "On the whole screen", view),
    ("Copy answer", "To the clipboard, over SSH too", copy),
    ("Show the final prompt", "Exactly what is sent, token by token", final_prompt),
    ("Go to case…", "By its number", go_to_case),
    ("Too long a prompt: refuse or drop examples", "Turns the strategy", turn_strategy),
    ("Quit", "Asks when something is unsaved", leave),
)
