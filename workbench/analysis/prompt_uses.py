"""The runs in which a prompt was used, under whatever name it had then, and what its answers scored."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Collection, Iterator, Sequence
from functools import cache
from pathlib import Path
from typing import Any, NamedTuple

import msgspec

from workbench import paths
from workbench.analysis.measurements import Costs, MetricTable, estimate, read_costs, read_table
from workbench.analysis.summary import Estimate
from workbench.errors import WorkbenchError
from workbench.library.library import Library
from workbench.library.names import find_path
from workbench.library.prompt_renames import NameSpan
from workbench.library.versions import digest_prompt, list_contents
from workbench.models.reference import Model
from workbench.prompting.prompt import Prompt
from workbench.runs.bench import parse_stored_bench
from workbench.runs.matrix_rows import Metric
from workbench.runs.project import find_library
from workbench.runs.provenance import Provenance
from workbench.runs.view import RunView
from workbench.settings import Settings
from workbench.store.provenance import PromptUse, list_prompt_uses
from workbench.store.runs import Run, get_run
from workbench.store.store import Store

MOST_USES = 300
"""of a prompt, the newest: each has to be read"""


class VersionResult(msgspec.Struct, frozen=True):
    """What a version of a prompt scored as one variant of one run.

    version: its digest. setting: a digest of model, adapters, sampling and whatever else besides the prompt decides the
    answers; only results of one setting show what the prompt does. metric: the run's first; None where it has none.
    tokens: mean of the tokens of its prompts.
    """

    version: str
    run: str
    bench: str
    variant: str
    at: float
    model: str
    setting: str
    metric: Metric | None
    score: Estimate
    cells: int
    failed: int
    cut: int
    tokens: float


class UsedPrompt(NamedTuple):
    """A result, and the prompt that it is of, without its front matter."""

    prompt: Prompt
    result: VersionResult


class PromptUses(NamedTuple):
    """found: newest first. left_out: uses that were too old to be read, or whose record is damaged."""

    found: tuple[UsedPrompt, ...]
    left_out: int = 0


def find_uses(
    store: Store, library: Library, name: str, spans: Sequence[NameSpan], settings: Settings, known: Collection[str]
) -> PromptUses:
    """The uses of the prompt now called `name`. spans: the names it has had. known: digests of versions of it, by which
    a use is recognised whose project has been moved since. Raises StoreError."""
    reader = UseReader(store, library, name, spans, settings, frozenset(known))
    uses = list_prompt_uses(store, list(dict.fromkeys(span.name for span in spans)))
    found = [held for use in reversed(uses) if (held := reader.check(use)) is not None]
    found.sort(key=lambda held: -held.run.started)
    results = list(reader.read(found[:MOST_USES]))
    return PromptUses(tuple(results), len(found[MOST_USES:]) + reader.damaged)


class RunUse(NamedTuple):
    """A use with its run, and what its answers came from."""

    use: PromptUse
    run: Run
    origin: Provenance


class UseReader:
    """Finds the uses of one prompt. damaged: how many could not be read."""

    def __init__(
        self,
        store: Store,
        library: Library,
        name: str,
        spans: Sequence[NameSpan],
        settings: Settings,
        known: frozenset[str] = frozenset(),
    ) -> None:
        self.damaged = 0
        self._store, self._library, self._spans, self._settings, self._known = store, library, spans, settings, known
        self._home = library.find_folder(name)
        self._run: Callable[[int], Run] = cache(lambda key: get_run(store, key))
        self._folder = cache(self._find_folder)

    def check(self, use: PromptUse) -> RunUse | None:
        """The use where it is one of the prompt's; None where another prompt bore the name."""
        run = self._run(use.run)
        try:
            origin = Provenance.decode(use.body)
        except WorkbenchError:
            self.damaged += 1
            return None
        if origin.variant.perturbation or not any(span.holds(origin.prompt.name, run.started) for span in self._spans):
            return None
        return RunUse(use, run, origin) if self._is_own(run, origin.prompt) else None

    def read(self, uses: Sequence[RunUse]) -> Iterator[UsedPrompt]:
        """Their figures; the table of a run is read once."""
        measure = cache(lambda id: _Measurements(RunView(self._store, id)))
        for held in uses:
            yield UsedPrompt(held.origin.prompt, measure(held.run.id).describe(held))

    def _is_own(self, run: Run, prompt: Prompt) -> bool:
        folder = self._folder(run.text, run.folder)
        if folder is None:  # the project is no longer there: it may have been moved
            return digest_prompt(prompt) in self._known
        layers = (folder, *(path for path, origin in self._library.folders if origin != "own"))
        for layer in layers:
            if _is_same(layer, self._home):
                return True
            if _holds(layer, prompt.name):
                return False
        return False

    def _find_folder(self, text: str, folder: str) -> Path | None:
        """The library of a run's bench; None where its folder is gone."""
        near = Path(folder)
        if not folder or not paths.exists(near):
            return None
        try:
            own = parse_stored_bench(text, "").library if "library:" in text else ""
            return find_library(self._settings, own, near)
        except WorkbenchError:
            return near


def _is_same(one: Path, other: Path) -> bool:
    return paths.resolve(one) == paths.resolve(other)


def _holds(folder: Path, name: str) -> bool:
    try:
        return find_path(folder, name).is_file()
    except WorkbenchError:
        return False


class _Measurements:
    """The numbers of one run."""

    def __init__(self, view: RunView) -> None:
        self._view = view
        self._metric = view.metrics[0] if view.metrics else None
        self._table = read_table(view, self._metric.name) if self._metric else None
        self._costs = read_costs(view)

    def describe(self, held: RunUse) -> VersionResult:
        name = self._view.variants[held.use.variant]
        costs: Costs = self._costs[name]
        return VersionResult(
            version=digest_prompt(held.origin.prompt),
            run=held.run.id,
            bench=held.run.bench,
            variant=name,
            at=held.run.started,
            model=held.origin.base.name,
            setting=digest_setting(held.origin),
            metric=self._metric,
            score=self._estimate(held.use.variant),
            cells=costs.n,
            failed=costs.failed,
            cut=costs.cut,
            tokens=costs.tokens_in,
        )

    def _estimate(self, variant: int) -> Estimate:
        if self._table is None or self._metric is None:
            return Estimate(float("nan"), float("nan"), float("nan"), 0)
        own = MetricTable(self._table.cases, self._table.means[:, [variant]], self._table.counts[:, [variant]])
        return estimate(own, self._metric)[0]


def _without_date(model: Model) -> Model:
    """The model without the day that its template is written, which is another one each day."""
    known = msgspec.json.decode(model.chat_template_kwargs or "{}", type=dict[str, Any])
    known.pop("date", None)
    written = msgspec.json.encode(known, order="sorted").decode() if known else ""
    return msgspec.structs.replace(model, chat_template_kwargs=written)


def digest_setting(origin: Provenance) -> str:
    """A digest of what decides a variant's answers besides its prompt: the same on another machine."""
    bare = origin.without_paths()
    variant = msgspec.structs.replace(bare.variant, name="", prompt="", model="", base_of="")
    model = msgspec.structs.replace(bare.model, model=_without_date(bare.base))
    held = msgspec.structs.replace(bare, variant=variant, prompt=Prompt("", ""), model=model, engine="")
    steps = [
        digest_prompt(content) for content in list_contents(origin.prompt)
    ]  # other prompts, with versions of their own
    return hashlib.blake2b("\n".join((held.encode(), *steps)).encode(), digest_size=8).hexdigest()
