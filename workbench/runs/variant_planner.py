"""VariantPlanner: what each variant of a run is made of, which cases it has, and what is known of their answers."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable, Sequence
from functools import cached_property
from pathlib import Path

import msgspec

from workbench.datasets import Case
from workbench.errors import StoreError, WorkbenchError
from workbench.models.reference import Model
from workbench.prompting.context_fit import Strategy
from workbench.prompting.steps import offers_tools
from workbench.runs.bench import Bench
from workbench.runs.cache import CachedAnswers, count_cached
from workbench.runs.cell_chain import count_known_chains
from workbench.runs.cell_prompt import CellPrompt
from workbench.runs.conversation import asks_several
from workbench.runs.cost import Price, find_price
from workbench.runs.generation import shows_pictures
from workbench.runs.inputs import check_inputs, list_columns
from workbench.runs.passage_finder import PassageFinder
from workbench.runs.passage_source import PASSAGES
from workbench.runs.price_table import find_list_price
from workbench.runs.provenance import Provenance, trace
from workbench.runs.retrieval_warnings import check_relevant
from workbench.runs.shard import select
from workbench.runs.sources import Sources
from workbench.runs.tool_file import read_tool_code
from workbench.runs.tool_setup import ToolSetup
from workbench.runs.work_queue import PlannedVariant
from workbench.store.store import Store


class VariantPlanner:
    """The variants of one run."""

    def __init__(
        self,
        bench: Bench,
        cases: Sequence[Case],
        spans: Sequence[range],
        sources: Sources,
        store: Store,
        strategy: Strategy,
        origin: Callable[[int, Callable[[], Provenance]], Provenance | None],
        cache: bool,
        finder: PassageFinder,
        folder: Path = Path(),
        others: Sequence[Store] = (),
    ) -> None:
        """spans: of each variant, the cases that the shard has. origin: what a variant came from where the run is
        resumed, as RunWriter.origin. cache: whether known answers are taken. finder: retrieves passages. others: stores
        whose answers are taken too."""
        self._folder = folder
        self._stores = (store, *others)
        self._bench, self._cases, self._spans = bench, cases, spans
        self._sources, self._store, self._strategy = sources, store, strategy
        self._origin, self._cache = origin, cache
        self._finder = finder

    def trace(self, index: int) -> PlannedVariant:
        """A variant with what its answers will come from, or why it cannot run. Raises StoreError."""
        variant = self._bench.variants[index]
        try:

            def find() -> Provenance:
                traced = trace(variant, self._sources, self._strategy, self._store, self._finder)
                setup = self._bench.tools if offers_tools(traced.prompt) else ToolSetup()
                code = read_tool_code(setup, self._folder)
                folder = str(self._folder.absolute()) if code or shows_pictures(traced.prompt) else ""
                full = msgspec.structs.replace(traced, tool_setup=setup, folder=folder, tool_code=code)
                return self._note_seen(full)

            kept = self._origin(index, find)
            own = kept or find()
            if self._bench.dataset and not kept:
                check_inputs(own.prompt, (*self._columns, *([PASSAGES] if own.passages else [])), self._bench.dataset)
                check_relevant(own.passages, self._cases)
            return PlannedVariant(index, variant, own, None, self.find_price(own.base, variant.model))
        except StoreError:
            raise
        except WorkbenchError as error:
            return PlannedVariant(index, variant, None, error)

    def _note_seen(self, origin: Provenance) -> Provenance:
        """With the cases whose question stands in the corpus: a later reader need not have the corpus."""
        if origin.passages is None:
            return origin
        seen = tuple(self._finder.find_seen(origin.passages, self._cases))
        return msgspec.structs.replace(origin, passages=msgspec.structs.replace(origin.passages, seen=seen))

    def fill(self, planned: PlannedVariant, case: Case) -> Case:
        """The case with the passages that the variant retrieves for it. Raises WorkbenchError."""
        return self._finder.fill(planned.provenance.passages if planned.provenance else None, case)

    def select_cases(self, planned: PlannedVariant) -> Sequence[Case]:
        """The cases of a variant that the shard has."""
        return select(self._cases, self._spans[planned.index])

    def find_price(self, model: Model, name: str) -> Price | None:
        """The bench's price of a model, else its provider's list price."""
        return find_price(self._bench.prices, name, model.name) or find_list_price(model)

    @cached_property
    def _columns(self) -> tuple[str, ...]:
        return list_columns(self._cases)

    def count_cached(self, planned: PlannedVariant, cases: Sequence[Case]) -> float:
        """How many of these cases a variant has an answer to already; a part of one where only some repeats have."""
        if planned.provenance is None or not self._cache:
            return 0
        prompt = planned.provenance.prompt
        if any(asks_several(prompt, case) for case in cases):
            filled = []
            for case in cases:
                with contextlib.suppress(WorkbenchError):  # as below
                    filled.append(self.fill(planned, case))
            return asyncio.run(count_known_chains(planned.provenance, filled, CachedAnswers(*self._stores)))
        keys, repeats = [], self._bench.repeats
        for case in cases:
            with contextlib.suppress(WorkbenchError):  # a cell that cannot be rendered says so when its turn comes
                shown = self.fill(planned, case)
                keys += [CellPrompt(planned.provenance, shown, repeat).cache_keys() for repeat in range(repeats)]
        return count_cached(self._stores, [one for one in keys if one]) / repeats
