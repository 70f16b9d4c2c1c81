"""Whether a candidate fits the model's context with the longest cases."""

from __future__ import annotations

from collections.abc import Sequence

from workbench.datasets import Case
from workbench.errors import BudgetError, PromptError, WorkbenchError
from workbench.inference.client import gather_now
from workbench.models.reference import find_applied
from workbench.runs.generation import GenerationSpec
from workbench.search.candidate import Candidate
from workbench.search.evaluator import SearchTask

_LONGEST = 3
"""cases that are tried: by characters, which are not quite tokens"""


class ContextCheck:
    """Counts tokens with the model's own tokenizer; generates nothing."""

    def __init__(self, task: SearchTask, cases: Sequence[Case]) -> None:
        self._task = task
        self._cases = sorted(cases, key=_count_characters, reverse=True)[:_LONGEST]

    def __call__(self, candidate: Candidate) -> str:
        """Why it does not fit, in words; "" where it does, or a server does not tell its tokens."""
        task = self._task
        variant, prompt = candidate.variant(task.variant), candidate.prompt(task.prompt)
        model = task.sources.find_model(variant.model)
        adapters = find_applied(model, variant.adapters, task.sources.find_adapters)
        client = task.pool.client(model)
        try:
            specs = [
                GenerationSpec.of(variant, prompt, case, task.options.strategy, model, adapters) for case in self._cases
            ]
            budgets = gather_now(client.count(spec.request(priority=1)) for spec in specs)
        except PromptError as error:
            return error.message
        except BudgetError as error:
            return error.message
        except WorkbenchError:
            return ""  # a model that cannot be loaded says so with the first answer
        for budget in budgets:
            if budget.over:
                return f"{budget.used:,} tokens with the longest case, and the context holds {budget.limit:,}"
            if budget.dropped:
                return f"with the longest case {len(budget.dropped)} of its examples would be left out"
        return ""


def _count_characters(case: Case) -> int:
    return sum(map(len, case.variables.values()))
