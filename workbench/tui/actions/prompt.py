"""Actions on the chosen pane's prompt: its examples, its mode, an external editor."""

from __future__ import annotations

import asyncio
from functools import partial

import msgspec
from textual.app import SuspendNotSupported

from workbench.errors import WorkbenchError
from workbench.prompting.prompt import Example, Mode, Placement
from workbench.prompting.render import find_variables
from workbench.prompting.template import MARKED_ROLES
from workbench.runs.contamination import describe_example
from workbench.tui import catalog
from workbench.tui.bench_controller import BenchController
from workbench.tui.dialogs.example_editor import ExampleEditor
from workbench.tui.dialogs.front_matter import FrontMatterEditor
from workbench.tui.prompt_text import name_header
from workbench.tui.ui import Ui
from workbench.tui.widgets.example_list import ExampleCommand
from workbench.tui.widgets.picker import Picker, PickerRow


async def set_placement(bench: BenchController, ui: Ui) -> None:
    """Where the chosen pane's prompt puts its examples."""
    rows = (
        PickerRow("turns", "turns", "each example is a user and an assistant message"),
        *(
            PickerRow(f"nearest {k}", f"nearest {k}", "turns: those most like the case, the nearest last")
            for k in (2, 4, 8)
        ),
        PickerRow("inline", "inline", "the template loops over `examples`"),
        PickerRow("none", "none", "no examples are sent"),
    )
    name = bench.variant.prompt
    prompt = bench.session.prompt(name)
    current = f"nearest {prompt.nearest}" if prompt.nearest and prompt.placement == "turns" else prompt.placement
    picked = await ui.push(Picker(f"Examples of {name}", rows, "", current=current))
    if picked is not None:
        where, _, nearest = picked.id.partition(" ")
        placement = "turns" if nearest else where
        bench.session.set_placement(name, msgspec.convert(placement, Placement), int(nearest or 0))
        await bench.refresh()


async def set_mode(bench: BenchController, ui: Ui) -> None:
    """Whether the chosen pane's prompt goes through the model's chat template."""
    rows = (
        PickerRow("chat", "chat", "the model's chat template is applied to the messages"),
        PickerRow("completion", "completion", "the text is sent as it is, for the model to continue"),
    )
    name = bench.variant.prompt
    picked = await ui.push(Picker(f"Mode of {name}", rows, "", current=bench.session.prompt(name).mode))
    if picked is not None:
        bench.session.set_mode(name, msgspec.convert(picked.id, Mode))
        await bench.refresh()


async def change_examples(bench: BenchController, ui: Ui, command: ExampleCommand, example_id: str) -> None:
    """Edit, add, remove or toggle an example of the chosen pane's prompt, or toggle all of them."""
    bench.typed.commit()
    session, index = bench.session, bench.chosen  # do not use index after an await
    name = session.variants[index].prompt
    prompt = session.prompt(name)
    if command == "toggle":
        if example_id:
            session.toggle_example(index, example_id)
            bench.edit.show_prompt(bench.find_target(), session.variants[index])
            bench.after_change()
        return
    if command == "toggle_all":
        off = () if session.variants[index].examples_off else tuple(example.id for example in prompt.examples)
        session.change_variant(index, examples_off=off)
    elif command == "remove" and example_id:
        session.edit_examples(name, tuple(example for example in prompt.examples if example.id != example_id))
        ui.toast("ctrl+z restores it.", title=f"Deleted example {example_id}", timeout=3)
    elif command in ("edit", "add"):
        old = next((example for example in prompt.examples if example.id == example_id), None)
        start = session.new_example(name) if command == "add" or old is None else old
        editor = ExampleEditor(start, find_variables(prompt), lambda typed: session.prompts.keep_example(name, typed))
        edited = await ui.push(editor)
        if edited is not None:
            session.prompts.put_example(name, edited)
        session.prompts.drop_example(name)
        if edited is None:
            return
        await bench.refresh()
        await _warn_of_case(bench, ui, edited)
        return
    await bench.refresh()


async def _warn_of_case(bench: BenchController, ui: Ui, example: Example) -> None:
    """Say so where an example is one of the cases that the prompt is tested on."""
    warning = await asyncio.to_thread(describe_example, example, bench.session.current_cases())
    if warning:
        ui.warn(warning, title="This example is a test case")


async def edit_outside(bench: BenchController, ui: Ui) -> None:
    """Edit the prompt in $EDITOR; the result counts as typed."""
    session = bench.session
    target = bench.find_target()
    text = target.prompt.body
    try:
        with ui.suspend():
            edited = catalog.edit_text(text, session.settings.editor)
    except SuspendNotSupported as error:
        raise WorkbenchError(
            "This terminal cannot run another program.", "Edit the file outside; changes are noticed."
        ) from error
    if session.edit_prompt(target.name, edited):
        await bench.refresh()


async def next_step(bench: BenchController, ui: Ui) -> None:
    """The next step of the chosen pane's chain, in the editor."""
    bench.typed.commit()
    if not bench.step_target().step:
        raise WorkbenchError("This prompt is not a chain: it has no steps.", "docs/chains.md describes chains.")
    await bench.show_chosen()


async def edit_header(bench: BenchController, ui: Ui) -> None:
    """Description, defaults and options of the chosen pane's prompt, as its file has them."""
    prompts, name = bench.session.prompts, bench.variant.prompt
    check, keep = partial(prompts.check_header, name), partial(prompts.keep_header, name)
    text = await ui.push(FrontMatterEditor(name, prompts.header(name), check, keep))
    changed = text is not None and prompts.edit_header(name, text)
    prompts.drop_header(name)
    if changed:
        await bench.refresh()


async def edit_role(bench: BenchController, ui: Ui) -> None:
    """Change or remove the role of the section that the cursor is in, or begin a section below it."""
    editor, name = bench.edit.editor, bench.edit.editor.prompt
    if not editor.has_rules:
        raise WorkbenchError("A completion prompt has no roles.", "Chat or completion… in ctrl+\\ changes its mode.")
    row = editor.header_row
    header = name_header(editor.document[row]) if row is not None else ""
    others = [role for role in MARKED_ROLES if role != header.partition("[")[0].lower()]
    rows = [
        *(PickerRow(f"change {role}", f"Change to {role}", "this section") for role in others),
        *(PickerRow(f"add {role}", f"New {role} section", "below this one") for role in MARKED_ROLES),
        *([PickerRow("remove", "Remove this role", "its text joins the section above")] if header else []),
    ]
    picked = await ui.push(Picker(f"Section: {header}" if header else "Section without a role", rows, ""))
    if picked is None or editor.prompt != name or editor.read_only:
        return
    command, _, role = picked.id.partition(" ")
    if command == "change":
        editor.change_role(role)
    elif command == "add":
        editor.add_role(role)
    else:
        editor.remove_role()
    editor.focus()


async def find(bench: BenchController, _ui: Ui) -> None:
    """Find and replace in the chosen pane's prompt."""
    bench.edit.find_bar.open()


async def select_all(bench: BenchController, _ui: Ui) -> None:
    """Select the whole prompt, role headers too."""
    bench.edit.editor.focus()
    bench.edit.editor.select_all()
