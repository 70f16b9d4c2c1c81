"""What a search has spent, counted again from the answers that were stored: a killed process noted a part of it."""

from __future__ import annotations

from workbench.runs.view import RunView
from workbench.search.budget import Spending
from workbench.search.state import SearchState
from workbench.store.runs import list_runs
from workbench.store.store import Store

FINAL_TEST = "final test"


def note_of(search: str) -> str:
    """The note of the run that is a search's final test."""
    return f"optimize {search}: {FINAL_TEST}"


def count_spent(state: SearchState, answers: Store, store: Store, search: str) -> Spending:
    """The larger of what the journal noted and what the stored answers add up to, quantity by quantity.

    answers: the search's own store. store: the user's, which has the final test. What was in flight when the process
    was killed is in neither.
    """
    found = Spending(seconds=state.spending.seconds)
    for run in list_runs(answers):
        found += _count_run(RunView(answers, run.id))
    for run in list_runs(store):
        if run.note == note_of(search):
            found += _count_run(RunView(store, run.id))
    for one in state.reflections:
        found += Spending(one.calls, 0, one.prompt_tokens, one.completion_tokens, 0.0, one.money, one.calls)
    noted = state.spending
    return Spending(*(max(getattr(found, name), getattr(noted, name)) for name in Spending.__struct_fields__))


def _count_run(view: RunView) -> Spending:
    spent = Spending()
    for one in view.readings():
        if one.cached:
            spent += Spending(cached=1)
        else:
            spent += Spending(1, 0, one.prompt_tokens, one.output_tokens, 0.0, one.cost)
    return spent
