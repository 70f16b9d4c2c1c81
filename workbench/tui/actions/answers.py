"""Actions on an answer: explain, view, copy, compare; and the prompt it was made from."""

from __future__ import annotations

import asyncio

import msgspec

from workbench.errors import WorkbenchError
from workbench.runs.generation import GenerationSpec, list_requests
from workbench.scoring.scorer import ScoringInput
from workbench.tui import catalog
from workbench.tui.actions.dialogs import confirm_trust
from workbench.tui.bench_controller import BenchController
from workbench.tui.dialogs.difference import DifferenceView, TitledAnswer
from workbench.tui.dialogs.explanation import Explanation
from workbench.tui.dialogs.final_prompt import FinalPrompt
from workbench.tui.dialogs.scorers import ScorerChecklist
from workbench.tui.dialogs.text_viewer import TextViewer
from workbench.tui.dialogs.token_view import TokenView
from workbench.tui.ui import Ui


async def explain(bench: BenchController, ui: Ui) -> None:
    """Why the answer got its scores, or why there is no answer."""
    pane, variant = bench.chosen_pane, bench.variant
    if pane.failure is not None:
        details = pane.failure.details or "There are no further details."
        await ui.push(TextViewer(f"{variant.name}: why it failed", f"{pane.failure}\n\n{details}"))
        return
    case = bench.session.case
    await ui.push(Explanation(f"{pane.letter}  {variant.name}", case.expected, pane.completion.text, pane.scores))


async def choose_scorers(bench: BenchController, ui: Ui) -> None:
    """Which scorers the bench has, in which order and with which options; the answers on show are scored again."""
    session, pane = bench.session, bench.chosen_pane
    answer = None
    if pane.state == "done":
        answer = ScoringInput(pane.completion.text, session.case, completion=pane.completion)
    chosen = await ui.push(ScorerChecklist(session.bench.scorers, bench.folder, answer))
    if chosen is None or chosen == session.bench.scorers:
        return
    trusted = await confirm_trust(ui, chosen, bench.folder)
    session.set_scorers(chosen)
    bench.open_scoring(trusted)
    for shown in bench.panes:
        spec = bench.runner.shown(shown)
        if spec is not None and shown.state == "done":
            bench.scores.score(shown, shown.completion, spec)
    bench.show_titles()


async def tokens(bench: BenchController, ui: Ui) -> None:
    """The answer token by token, with the top logprobs at each."""
    pane, variant = bench.chosen_pane, bench.variant
    found = [token for chunk in pane.chunks for token in chunk.tokens]
    if not found:
        raise WorkbenchError("This pane has no tokens yet.", "Run it first: enter.")
    await ui.push(TokenView(f"{pane.letter}  {variant.name}, token by token", found))


async def toggle_expected(bench: BenchController, ui: Ui) -> None:
    """Show the log-likelihood of the expected answer in every pane, or hide it."""
    if bench.toggle_expected() and not bench.session.case.expected:
        ui.toast("This case has no expected answer.")


async def view(bench: BenchController, ui: Ui) -> None:
    """The whole answer, full screen."""
    pane = bench.chosen_pane
    await ui.push(TextViewer(f"{pane.letter}  {bench.variant.name}", pane.output.text))


async def copy(bench: BenchController, ui: Ui) -> None:
    """Copy the answer to the clipboard."""
    pane = bench.chosen_pane
    ui.copy(pane.completion.text)
    ui.toast(f"Copied the answer of {pane.letter}.", timeout=2)


async def final_prompt(bench: BenchController, ui: Ui) -> None:
    """Exactly what the chosen pane sends, as text and as tokens."""
    spec, name = bench.session.spec(bench.chosen), bench.variant.name
    if spec.prompt.steps:
        await _show_chain(bench, ui, spec)
        return
    filled = await asyncio.to_thread(bench.state.finder.fill_spec, spec)
    tokenized = await catalog.tokenize(bench.pool, filled)
    copied = await ui.push(FinalPrompt(f"What {name} sends to {spec.model.name}", tokenized))
    if copied is not None:
        ui.copy(copied)
        ui.toast("Copied the prompt.", timeout=2)


async def _show_chain(bench: BenchController, ui: Ui, spec: GenerationSpec) -> None:
    """What each step of a chain asks; blank stands for what the steps before would say."""
    filled = await asyncio.to_thread(bench.state.finder.fill_spec, spec)
    requests = await asyncio.to_thread(list_requests, filled)
    texts = []
    for one in requests:
        assert one.request.prompt is not None
        plain = msgspec.structs.replace(one.request, messages=one.request.prompt.messages, prompt=None)
        tokenized = await bench.pool.client(one.model).tokenize(plain)
        texts.append(f"── step {one.step}, {len(tokenized.ids):,} tokens to {one.model.name} ──\n{tokenized.text}")
    await ui.push(TextViewer(f"What {bench.variant.name} sends, without earlier answers", "\n\n".join(texts)))


async def difference(bench: BenchController, ui: Ui) -> None:
    """The chosen pane's answer against the others, word by word: first the one without its adapters, or with them."""
    answers = [
        TitledAnswer(f"{pane.letter}  {variant.name}", pane.completion.text)
        for pane, variant in zip(bench.panes, bench.session.variants, strict=True)
    ]
    if len(answers) == 1:
        raise WorkbenchError("There is no other pane to compare with.", "D on a pane duplicates it.")
    chosen, pair = bench.chosen, bench.session.find_pair(bench.chosen)
    following = [(chosen + step) % len(answers) for step in range(1, len(answers))]
    order = sorted(following, key=lambda index: index != pair)
    await ui.push(DifferenceView(answers[chosen], [answers[index] for index in order]))
