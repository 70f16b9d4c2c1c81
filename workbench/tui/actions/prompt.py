"""What a person does to the chosen pane's prompt: its examples, how it is sent, an editor outside."""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec
from textual.app import SuspendNotSupported

from workbench.errors import WorkbenchError
from workbench.prompting.prompt import Mode, Placement
from workbench.prompting.render import find_variables
from workbench.tui import catalog
from workbench.tui.actions.flow import flow
from workbench.tui.dialogs.example_editor import ExampleEditor
from workbench.tui.dialogs.picker import Choice, Picker

if TYPE_CHECKING:
    from workbench.tui.screens.bench import BenchScreen


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
async def change_examples(screen: BenchScreen, wish: str, example_id: str) -> None:
    """Edit, add or remove an example of the chosen pane's prompt, or switch all of them."""
    screen.gather()
    session, index = screen.session, screen.chosen  # no use of index after something was awaited
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
        editor = ExampleEditor(start, find_variables(prompt), lambda typed: session.prompts.keep_example(name, typed))
        edited = await screen.app.push_screen_wait(editor)
        if edited is not None:
            session.prompts.put_example(name, edited)
        session.prompts.drop_example(name)
        if edited is None:
            return
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
