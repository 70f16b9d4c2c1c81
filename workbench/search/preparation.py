"""Preparation: all that a search is made of before it begins: bench, variant, prompt, divided data, metric."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import msgspec

from workbench.datasets import Case
from workbench.datasets.row_digests import Role, RowDigests, make_digests
from workbench.errors import SearchError
from workbench.inference.pool import Pool
from workbench.library.names import make_path
from workbench.prompting.prompt import Example, Placement, Prompt
from workbench.runs.bench import Bench, Variant, load_bench
from workbench.runs.conversation import count_most_calls
from workbench.runs.generation import enabled_examples
from workbench.runs.matrix_rows import Metric
from workbench.runs.run import RunOptions
from workbench.runs.sources import find_sources
from workbench.scoring.factory import make_scorers
from workbench.search.answer_form import find_markers
from workbench.search.budget import SearchBudget
from workbench.search.candidate import Candidate
from workbench.search.context_check import ContextCheck
from workbench.search.evaluator import SearchTask
from workbench.search.guards import Guards
from workbench.search.journal import SearchStarted
from workbench.search.reflector_check import check_reflector
from workbench.search.request import SearchRequest
from workbench.search.splits import SearchSplits, find_search_splits
from workbench.settings import Settings
from workbench.store.store import Store

_USUAL_EVALUATIONS = 30
"""of the whole dev part, which a search may make where no budget is given"""

_EFFECTS_SHARE = 0.15
"""of the search's calls, kept back for the effects of single examples"""


class Preparation(msgspec.Struct, frozen=True):
    """disabled: the prompt's examples that the variant has switched off. best_possible: the score that cannot be
    beaten, None where there is none. calls_per_case: the most answers of the model that a case takes, over its repeats,
    turns and rounds of tools."""

    task: SearchTask
    splits: SearchSplits
    seed: Candidate
    disabled: tuple[Example, ...]
    best_possible: float | None
    calls_per_case: int = 1

    @property
    def dev_calls(self) -> int:
        """To evaluate one candidate on all of dev, at most."""
        return len(self.splits.dev) * self.calls_per_case

    @property
    def test_calls(self) -> int:
        """Of the final test, at most."""
        return 2 * len(self.splits.test) * self.calls_per_case

    def complete(self, request: SearchRequest) -> SearchRequest:
        """The request with the name of its variant, and with a number of calls where it sets no limit at all."""
        usual = SearchBudget(_USUAL_EVALUATIONS * self.dev_calls + self.test_calls)
        budget = request.budget if request.budget != SearchBudget() else usual
        return msgspec.structs.replace(request, variant=self.task.variant.name, budget=budget)

    def count_effect_calls(self, request: SearchRequest) -> int:
        """Calls that a search among examples keeps back, to say what each example of the winner earns."""
        if request.method != "examples" or request.budget.calls is None:
            return 0
        free = request.budget.calls - self.test_calls
        return max(0, min(int(_EFFECTS_SHARE * free), request.max_examples * self.dev_calls, free - 2 * self.dev_calls))

    def find_placement(self, placement: Placement, examples: tuple[Example, ...]) -> Placement:
        """Where a candidate's examples go: as turns in a prompt that had none."""
        return "turns" if placement == "none" and examples and self.task.prompt.mode == "chat" else placement

    def make_guards(self) -> Guards:
        splits = self.splits
        fits = ContextCheck(self.task, (*splits.train, *splits.dev, *splits.test))
        markers = find_markers(self.task.bench.scorers)
        parts = splits.train, splits.dev, splits.test
        return Guards(self.seed, self.task.prompt, *parts, fits, markers=markers)

    def make_digests(self) -> tuple[RowDigests, ...]:
        """Of the cases that the search uses, so that a verdict can tell whether it is held on some of them."""
        parts: tuple[tuple[Role, Sequence[Case]], ...] = (
            ("train", self.splits.train),
            ("validation", self.splits.dev),
        )
        return tuple(
            make_digests(role, sorted(cases[0].variables), (case.variables for case in cases))
            for role, cases in parts
            if cases
        )

    def describe_start(self, request: SearchRequest) -> SearchStarted:
        splits = self.splits
        parts = {"train": len(splits.train), "dev": len(splits.dev), "test": len(splits.test)}
        return SearchStarted(
            request=request,
            seed=self.seed,
            parts=parts,
            splits=splits.key.hex(),
            how=splits.how,
            metric=self.task.metric.name,
            best_possible=self.best_possible,
            lower_is_better=self.task.metric.lower_is_better,
        )

    def check_unchanged(self, started: SearchStarted) -> None:
        """Raise SearchError where the prompt or the data are not those that a search began with."""
        changed = []
        if started.seed.digest != self.seed.digest:
            changed.append(f"the prompt {self.task.variant.prompt}")
        if started.splits != self.splits.key.hex():
            changed.append("the dataset")
        if changed:
            raise SearchError(
                f"{' and '.join(changed).capitalize()} changed since the search began.", "Start a new search."
            )


def prepare(request: SearchRequest, settings: Settings, pool: Pool, store: Store) -> Preparation:
    """Open all that a request names. Raises WorkbenchError for what is not there or cannot be searched."""
    path = Path(request.bench).absolute()
    bench = load_bench(path)
    variant = _find_variant(bench, request.variant)
    if request.name:
        make_path(path.parent, request.name)  # a name that cannot be written is refused before a call is made
    sources = find_sources(bench, path.parent, settings)
    check_reflector(request, bench, sources)
    prompt = sources.open_prompt(variant.prompt).without_header()
    if prompt.steps:
        raise _refuse_chain(variant.prompt, prompt)
    limits = {"train": request.max_train, "dev": request.max_dev, "test": request.max_test}
    splits = find_search_splits(bench.dataset, path.parent, store, limits, request.group)  # type: ignore[arg-type]
    metric = _find_metric(bench, path, request.metric)
    options = RunOptions(
        strategy=bench.context_strategy or settings.context_strategy,
        concurrency=request.concurrency,
        name=f"{path.name.removesuffix('.yaml').removesuffix('.bench')} optimize",
    )
    task = SearchTask(bench, path, variant, prompt, metric, pool, sources, options)
    shown = enabled_examples(variant, prompt)
    disabled = tuple(one for one in prompt.examples if one not in shown)
    best = None if metric.free else (0.0 if metric.lower_is_better else 1.0)
    seed = Candidate.of_seed(prompt, variant, shown)
    return Preparation(task, splits, seed, disabled, best, _count_calls(task, splits))


def _count_calls(task: SearchTask, splits: SearchSplits) -> int:
    cases = (case for part in (splits.train, splits.dev, splits.test) for case in part)
    most = max((count_most_calls(task.prompt, case, task.bench.tools) for case in cases), default=1)
    return max(1, most) * task.bench.repeats


def _refuse_chain(name: str, prompt: Prompt) -> SearchError:
    """Only the chain's answer can be scored, and one answer of it takes several calls, which the budget counts as
    one."""
    own = ", ".join(f"{step.prompt} ({step.name})" for step in prompt.steps if step.prompt)
    return SearchError(
        f"The prompt {name} is a chain of steps, and a search improves one prompt.",
        f"Make a variant of a step's own prompt, with cases that say what the step should answer: {own}."
        if own
        else "Write a step as a prompt of its own, and make a variant of that.",
    )


def _find_variant(bench: Bench, wanted: str) -> Variant:
    known = ", ".join(variant.name for variant in bench.variants)
    if not wanted and len(bench.variants) == 1:
        return bench.variants[0]
    for variant in bench.variants:
        if variant.name == wanted:
            return variant
    if not wanted:
        raise SearchError("Expected a variant: --variant NAME.", f"The bench has: {known}.")
    raise SearchError(f"No such variant: {wanted}.", f"The bench has: {known}.")


def _find_metric(bench: Bench, path: Path, wanted: str) -> Metric:
    scorers = make_scorers(bench.scorers, path.parent)
    for number, one in enumerate(scorers):
        if wanted in ("", one.name):
            return Metric(one.name, one.lower_is_better, one.binary, one.scale != "unit", number == 0)
    known = ", ".join(one.name for one in scorers) or "none"
    raise SearchError(f"No such metric: {wanted or 'none'}.", f"The bench's scorers: {known}.")
