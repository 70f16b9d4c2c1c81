"""RunOptions: how a run is carried out."""

from __future__ import annotations

import msgspec

from workbench.prompting.context_fit import Strategy
from workbench.runs.shard import Shard


class RunOptions(msgspec.Struct, frozen=True):
    """How a run is carried out; none of it changes what the answers are.

    concurrency: cells in flight at each address of a model; 0, where a run is resumed: as it was begun. cache: take
    answers that are known already. unload: end a model's engine when its cells are done, where the run was what loaded
    it. retry_failed: run failed cells again when resuming. texts: emit the pieces of answers as they come (CellText).
    name: of the bench, where its file has none. note: kept with the run. wait_seconds: how long to wait for a store
    that takes no cells (a full disk, say) before the run ends. shard: carry out this part of the run alone. max_cost:
    money, by the prices of the models, that this attempt may cost; no cell is started that may exceed it. None: no
    limit.
    """

    strategy: Strategy = "refuse"
    concurrency: int = 32
    cache: bool = True
    unload: bool = False
    retry_failed: bool = False
    texts: bool = False
    name: str = ""
    note: str = ""
    wait_seconds: float = 3600.0
    shard: Shard | None = None
    max_cost: float | None = None


DEFAULT_OPTIONS = RunOptions()
