"""SearchPlan: what a search will cost at most, before it asks any model."""

from __future__ import annotations

import msgspec

from workbench.errors import SearchError, WorkbenchError
from workbench.runs.cost import find_price
from workbench.runs.generation import GenerationSpec
from workbench.runs.plan import MOST_MEASURED
from workbench.runs.price_table import find_list_price, is_paid
from workbench.runs.spending import estimate_most, estimate_tokens
from workbench.search.budget import SearchBudget
from workbench.search.evaluator import CandidateEvaluator, count_calls
from workbench.search.preparation import Preparation
from workbench.search.request import SearchRequest
from workbench.store.store import Store


class SearchPlan(msgspec.Struct, frozen=True):
    """calls: at most, of which test_calls are kept for the final test. evaluations: of the whole dev part that the
    others allow. prompt_tokens: about, with the hand-written prompt; completion_tokens: at most. seconds: None where
    nothing is known of the model's pace. money: at most; None where a price is not known, 0 where nothing is paid.
    minimum: calls that the smallest search needs. same_reflector: the reflector is the model under test. cached:
    answers of the hand-written prompt on dev that are known from earlier runs.
    """

    variant: str
    prompt: str
    model: str
    metric: str
    method: str
    parts: dict[str, int]
    how: str
    openings: int
    budget: SearchBudget
    calls: int | None
    test_calls: int
    minimum: int
    evaluations: float
    prompt_tokens: int
    completion_tokens: int
    seconds: float | None
    money: float | None
    reflector: str = ""
    same_reflector: bool = False
    notes: tuple[str, ...] = ()
    cached: int = 0

    def check(self) -> None:
        """Raise SearchError where the budget does not suffice for the smallest search."""
        if self.calls is not None and self.calls < self.minimum:
            raise SearchError(
                f"A budget of {self.calls:,} calls is too small: the hand-written prompt and one candidate on"
                f" {self.parts['dev']:,} dev cases, and the final test of both, take {self.minimum:,}.",
                "Raise --budget, or use fewer cases with --dev and --test.",
            )


def make_search_plan(
    prepared: Preparation, request: SearchRequest, evaluator: CandidateEvaluator, store: Store
) -> SearchPlan:
    task, splits = prepared.task, prepared.splits
    calls = request.budget.calls
    planned = evaluator.plan([prepared.seed], splits.dev, store)
    fresh = count_calls(planned, prepared.calls_per_case // task.bench.repeats)
    per_prompt = _measure_prompt(prepared)
    limit = task.variant.sampling.max_tokens
    notes = [*splits.notes, *planned.warnings, *planned.problems]
    return SearchPlan(
        variant=task.variant.name,
        prompt=task.variant.prompt,
        model=task.variant.model,
        metric=task.metric.name,
        method=request.method,
        parts={"train": len(splits.train), "dev": len(splits.dev), "test": len(splits.test)},
        how=splits.how,
        openings=splits.openings,
        budget=request.budget,
        calls=calls,
        test_calls=prepared.test_calls,
        minimum=2 * prepared.dev_calls + prepared.test_calls,
        evaluations=((calls - prepared.test_calls) / prepared.dev_calls) if calls else 0.0,
        prompt_tokens=round(per_prompt * calls) if calls else 0,
        completion_tokens=limit * calls if calls else 0,
        seconds=planned.seconds / fresh * calls if planned.seconds and fresh and calls else None,
        money=_estimate_money(prepared, per_prompt, limit, calls),
        reflector=request.reflector,
        same_reflector=bool(request.reflector) and request.reflector == task.variant.model,
        notes=tuple(dict.fromkeys(notes)),
        cached=0 if planned.estimated else planned.cached,
    )


def _measure_prompt(prepared: Preparation) -> float:
    """About how many tokens a prompt has, by its length."""
    task = prepared.task
    found = []
    try:
        model = task.sources.find_model(task.variant.model)
        for case in prepared.splits.dev[:MOST_MEASURED]:
            spec = GenerationSpec.of(task.variant, task.prompt, case, task.options.strategy, model)
            found.append(estimate_tokens(spec.conversation().messages))
    except WorkbenchError:
        return 0.0
    return sum(found) / len(found) if found else 0.0


def _estimate_money(prepared: Preparation, tokens: float, limit: int, calls: int | None) -> float | None:
    """By the model's tokens alone; judges, reflector and the machine's hour are not in it."""
    task = prepared.task
    model = task.sources.find_model(task.variant.model)
    price = find_price(task.bench.prices, task.variant.model, model.name) or find_list_price(model)
    if price is None:
        return None if is_paid(model) else 0.0
    return None if calls is None else estimate_most(price, tokens, limit) * calls
