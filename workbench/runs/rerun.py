"""One cell of an earlier run asked again exactly as it was then; nothing is written into the store."""

from __future__ import annotations

import asyncio
from typing import NamedTuple

from workbench.errors import StoreError
from workbench.inference.pool import Pool
from workbench.inference.types import Completion
from workbench.runs.cell import Cell
from workbench.runs.cell_step import CellStep
from workbench.runs.chain_client import ask_chain
from workbench.runs.conversation import asks_several
from workbench.runs.passage_finder import PassageFinder
from workbench.runs.provenance import Provenance, name_engine
from workbench.runs.view import RunView


class Rerun(NamedTuple):
    """before: the cell as it is kept. now: what came this time. engines: what computed then and now.
    steps: the calls that were made now, of a cell that makes several."""

    before: Cell
    now: Completion
    engines: tuple[str, str]
    steps: tuple[CellStep, ...] = ()

    @property
    def same(self) -> bool:
        return self.before.completion.text == self.now.text


def rerun_cell(view: RunView, variant: str, case: int, repeat: int, pool: Pool) -> Rerun:
    """Ask a cell's question again, with the prompt, model, adapters and sampling of then. Waits for the answer.

    Raises StoreError when there is no such cell or its model has changed, EngineError when there is no answer.
    """
    before = view.cell(variant, case, repeat)
    if before is None:
        raise StoreError(
            f"Run {view.id} has no finished cell of {variant}, case {case}.",
            "`workbench runs RUN --csv` lists its cells.",
        )
    if not before.provenance:
        raise StoreError(f"What {variant} came from was not found when run {view.id} began.", "Start a new run.")
    own = Provenance.decode(before.provenance)
    own.check(view.store)
    finder = PassageFinder()
    try:
        asked = own.spec(finder.fill(own.passages, view.case(case)), repeat)
    finally:
        finder.close()
    if asks_several(asked.prompt, asked.case):
        outcome = asyncio.run(ask_chain(pool, asked, priority=0))
        if outcome.error:
            raise outcome.error
        return Rerun(before, outcome.completion, (own.engine, name_engine(own.base.format)), outcome.steps)
    now = asyncio.run(pool.client(asked.model).complete(asked.request()))
    return Rerun(before, now, (own.engine, name_engine(own.base.format)))
