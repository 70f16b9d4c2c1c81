"""What a person does with an answer: explain, view, copy, compare; and see what was asked."""

from __future__ import annotations

from typing import TYPE_CHECKING

from workbench.errors import WorkbenchError
from workbench.tui import catalog
from workbench.tui.actions.flow import flow
from workbench.tui.dialogs.difference import Answer, Difference
from workbench.tui.dialogs.explanation import Explanation
from workbench.tui.dialogs.final_prompt import FinalPrompt
from workbench.tui.dialogs.reader import Reader
from workbench.tui.dialogs.token_view import TokenView

if TYPE_CHECKING:
    from workbench.tui.screens.bench import BenchScreen


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
async def tokens(screen: BenchScreen) -> None:
    """The chosen pane's answer token by token, with what else the model considered."""
    pane, variant = screen.panes[screen.chosen], screen.session.variants[screen.chosen]
    choices = [token for chunk in pane.chunks for token in chunk.tokens]
    if not choices:
        raise WorkbenchError("There are no tokens to look at yet.", "Run the pane first; enter runs it.")
    await screen.app.push_screen_wait(TokenView(f"{pane.letter}  {variant.name}, token by token", choices))


def turn_expected(screen: BenchScreen) -> None:
    """Tell in every pane how probable its model finds the expected answer, or stop telling."""
    on = screen.turn_expected()
    if on and not screen.session.case.expected:
        screen.notify("This case names no expected answer; others may.", timeout=4)


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
    draft = screen.session.draft(screen.chosen)
    name = screen.session.variants[screen.chosen].name
    tokens = await catalog.tokenize(screen.pool, draft)
    copied = await screen.app.push_screen_wait(FinalPrompt(f"What {name} sends to {draft.model.name}", tokens))
    if copied is not None:
        screen.app.copy_to_clipboard(copied)
        screen.notify("Copied the prompt.", timeout=2)


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
