"""Again: one cell of an earlier run asked exactly as it was then.

Knows nothing of runs that go on; nothing is written into the store.
"""

from __future__ import annotations

from queue import SimpleQueue
from typing import NamedTuple

from workbench.engines.engine import Chunk, Completion, Event, Failure, fold
from workbench.errors import EngineError, StoreError
from workbench.evaluation.cell import Cell
from workbench.evaluation.launch import Launch
from workbench.evaluation.provenance import Provenance, name_engine
from workbench.evaluation.view import RunView
from workbench.hosting.pool import Pool


class Again(NamedTuple):
    """before: the cell as it is kept. now: what came this time. engines: what computed then and now."""

    before: Cell
    now: Completion
    engines: tuple[str, str]

    @property
    def same(self) -> bool:
        return self.before.completion.text == self.now.text


def run_again(view: RunView, variant: str, case: int, repeat: int, pool: Pool) -> Again:
    """Ask a cell's question again, with the prompt, model, adapters and sampling of then. Waits for the answer.

    Raises StoreError when there is no such cell or its model has changed, EngineError when there is no answer.
    """
    before = view.cell(variant, case, repeat)
    if before is None:
        raise StoreError(f"Run {view.id} has no finished cell of {variant}, case {case}.", "Look for it with another.")
    if not before.provenance:
        raise StoreError(f"What {variant} came from was not found when run {view.id} began.", "Start a new run.")
    own = Provenance.decode(before.provenance)
    own.check(view.store)
    happened: SimpleQueue[Event] = SimpleQueue()
    launch = Launch(pool, own.draft(view.case(case), repeat), happened.put)
    chunks: list[Chunk] = []
    try:
        while not chunks or chunks[-1].stop_reason is None:
            event = happened.get()
            if isinstance(event, Failure):
                raise EngineError(event.message, event.hint, event.details)
            if isinstance(event, Chunk):
                chunks.append(event)
    except BaseException:
        launch.cancel()
        raise
    return Again(before, fold(chunks), (own.engine, name_engine(own.base.format)))
