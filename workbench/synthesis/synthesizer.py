"""Synthesizer: asks a model for rows until there are enough, checks each, and keeps what came of every call.

Calls are made in rounds, and what a round brings is taken in the order of the calls: the same seed and answers give
the same rows, whichever answer came first.
"""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Callable, Sequence
from typing import NamedTuple

from workbench.errors import WorkbenchError
from workbench.inference.model_client import ModelClient
from workbench.inference.types import Completion, GenerateRequest, Sampling
from workbench.runs.cell_prompt import BATCH_PRIORITY
from workbench.synthesis.call_plan import CallPlan, make_messages, plan_call
from workbench.synthesis.checks import RowChecks
from workbench.synthesis.material import SynthesisMaterial
from workbench.synthesis.records import RowDropped, RowProposed, SynthesisPaused, SynthesisStarted
from workbench.synthesis.request import SynthesisRequest
from workbench.synthesis.review import RowReview
from workbench.synthesis.row_schema import RowSchema

_MOST_FAILURES = 5
"""Calls that fail one after the other, after which no more are made."""
_MOST_TOKENS = 2048
_CHARS_PER_TOKEN = 2  # of the wordiest tokenizer; a row that is cut is lost
_MOST_KEPT = 300  # characters of a dropped answer that are kept


class _Answer(NamedTuple):
    plan: CallPlan
    text: str = ""
    error: str = ""
    cut: bool = False


class Synthesizer:
    """Writes rows into a review. `stop` may be called from any thread."""

    def __init__(
        self,
        review: RowReview,
        material: SynthesisMaterial,
        client: ModelClient,
        on_change: Callable[[], None] = lambda: None,
    ) -> None:
        """on_change: called after each record."""
        self._review, self._material, self._client = review, material, client
        self._request: SynthesisRequest = review.request
        self._on_change = on_change
        self._schema = make_schema(material)
        self._checks = RowChecks(material.known, material.tests, material.inputs, self._request.similarity)
        self._labels: Counter[str] = Counter()
        if self._request.balance:
            self._labels.update(case.expected.strip() for case in material.known if case.expected)
        for row in review.state.rows:
            self._checks.keep(row.call, row.variables)
            self._labels[(row.expected or "").strip()] += 1
        self._failures = 0
        self._stopped = False

    def stop(self) -> None:
        """Make no further calls; those under way are dropped, and made again when the synthesis goes on."""
        self._stopped = True

    async def run(self) -> None:
        """Until the rows that were asked for are there. Raises WorkbenchError where the model cannot be used."""
        reason = self._find_end()
        if reason is None:
            await self._client.load()
        while reason is None:
            reason = self._find_end()
            if reason is None:
                for answer in await self._ask_round():
                    if self._stopped:
                        break
                    self._accept(answer)
        self._review.append(SynthesisPaused(reason=reason))
        self._on_change()

    def _find_end(self) -> str | None:
        """Why no further call is made; None where one is."""
        rows, calls = len(self._review.state.rows), self._review.state.calls
        if rows >= self._request.count:
            return ""
        if self._stopped:
            return f"stopped at {rows:,} of {self._request.count:,} rows"
        if self._failures >= _MOST_FAILURES:
            return f"{_MOST_FAILURES} calls failed one after the other"
        if calls >= self._request.most_calls:
            return f"{rows:,} of {self._request.count:,} rows after {calls:,} calls, the most that are made"
        return None

    async def _ask_round(self) -> Sequence[_Answer]:
        state = self._review.state
        missing = min(self._request.count - len(state.rows), self._request.most_calls - state.calls)
        plans: list[CallPlan] = []
        for number in range(state.calls, state.calls + min(missing, self._request.concurrency)):
            under_way = self._labels + Counter(plan.label for plan in plans)
            plans.append(plan_call(self._request, self._material, number, under_way))
        return await asyncio.gather(*map(self._ask, plans))

    async def _ask(self, plan: CallPlan) -> _Answer:
        tokens = min(_MOST_TOKENS, max(64, self._schema.longest_row() // _CHARS_PER_TOKEN))
        sampling = Sampling(
            temperature=self._request.temperature,
            max_tokens=tokens,
            seed=plan.seed,
            json_schema=self._schema.make(plan.label) if self._request.constrained else None,
        )
        messages = make_messages(self._request, plan, self._schema)
        try:
            done: Completion = await self._client.complete(
                GenerateRequest(0, messages, sampling, priority=BATCH_PRIORITY)
            )
        except WorkbenchError as error:
            return _Answer(plan, error=f"{error.message} {error.hint}".strip())
        return _Answer(plan, done.text, cut=done.stop_reason in ("length", "context"))

    def _accept(self, answer: _Answer) -> None:
        record = self._judge(answer)
        failed = isinstance(record, RowDropped) and record.reason == "failed"
        self._failures = self._failures + 1 if failed else 0
        self._review.append(record)
        if isinstance(record, RowProposed):
            self._checks.keep(record.call, record.variables)
            self._labels[(record.expected or "").strip()] += 1
        self._on_change()

    def _judge(self, answer: _Answer) -> RowProposed | RowDropped:
        plan, text = answer.plan, answer.text[:_MOST_KEPT]
        if answer.error:
            return RowDropped(call=plan.number, reason="failed", detail=answer.error)
        try:
            variables, expected = self._schema.read(answer.text, plan.label)
            self._material.to_cells(variables, expected)
        except (ValueError, WorkbenchError) as error:
            return RowDropped(call=plan.number, reason="cut" if answer.cut else "invalid", detail=str(error), text=text)
        if refused := self._checks.check(plan.number, variables):
            return RowDropped(call=plan.number, reason=refused.reason, detail=refused.detail, text=text)
        return RowProposed(
            call=plan.number, variables=variables, expected=expected, label=plan.label, persona=plan.persona
        )


def make_schema(material: SynthesisMaterial) -> RowSchema:
    """The shape of a new row."""
    return RowSchema(material.seeds, material.inputs, material.task.labels)


def make_start(request: SynthesisRequest, material: SynthesisMaterial) -> SynthesisStarted:
    """The first record of a review."""
    return SynthesisStarted(
        request=request,
        inputs=material.inputs,
        answered=make_schema(material).answered,
        labels=material.task.labels,
        notes=material.notes,
    )
