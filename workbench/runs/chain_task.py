"""A chain carried out for one case: each step rendered with the answers before it, asked, checked, voted on.

Who asks the models is the caller's: a run through its cache, a pane as a stream, a test from a table.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from dataclasses import replace
from typing import Any, Literal

import msgspec

from workbench.datasets import Case
from workbench.errors import ServerMismatchError, StepError, WorkbenchError
from workbench.inference.types import Completion
from workbench.prompting.prompt import Message, Prompt, PromptStep
from workbench.prompting.steps import (
    ANSWER,
    FEEDBACK,
    INDEX,
    ITEM,
    PROBLEM,
    STEPS,
    VERDICT,
    fill_text,
    find_used_steps,
    holds,
    list_steps,
    read_list,
)
from workbench.prompting.tool_formats.json_calls import HERMES
from workbench.runs.call_record import CallRecord, RecordPart
from workbench.runs.cell_step import CellStep, sum_steps
from workbench.runs.chain import StepCall
from workbench.runs.chain_calls import ChainCalls, FindRules
from workbench.runs.chain_outcome import AnswerCall, ChainOutcome, OnPart, OnStep, PartProgress
from workbench.runs.chain_values import StepResult, describe_answer, find_vote_key, shorten, with_values
from workbench.runs.side_by_side import run_side_by_side
from workbench.runs.tool_rounds import ToolRules


async def run_chain(
    prompt: Prompt,
    case: Case,
    ask: AnswerCall,
    on_step: OnStep = lambda at, step: None,
    find_rules: FindRules = lambda call: ToolRules(HERMES),
    on_part: OnPart = lambda progress: None,
) -> ChainOutcome:
    """Carry a chain out. prompt: with its steps looked up. find_rules: of a call whose prompt has tools.

    A step that fails ends it: the steps behind it are not run, and the outcome says why. Raises ServerMismatchError.
    """
    return await _ChainRun(prompt, case, ask, on_step, find_rules, on_part).run()


class _ChainRun:
    """One chain under way."""

    def __init__(
        self, prompt: Prompt, case: Case, ask: AnswerCall, on_step: OnStep, find_rules: FindRules, on_part: OnPart
    ) -> None:
        self._prompt, self._case, self._on_part = prompt, case, on_part
        self._seen: dict[str, dict[str, Any]] = {}
        self._record = CallRecord(on_step)
        self._calls = ChainCalls(case, ask, find_rules, self._explain)

    async def run(self) -> ChainOutcome:
        result: StepResult | None = None
        failed, error = "", None
        record, calls = self._record, self._calls
        for step in list_steps(self._prompt):
            if failed:
                record.add(CellStep(step.name, state="not_run", note=f"the step {failed} failed"))
                continue
            begun = len(record.steps)
            try:
                result = await self._run_step(step) or result
            except ServerMismatchError:
                raise
            except WorkbenchError as failure:
                failed = step.name
                caught = self._explain(failure, _join_expressions(step))
                error = StepError(f"Step {step.name}: {caught.message}", caught.hint, caught.details)
                error.__cause__ = failure
                if not any(made.state == "failed" for made in record.steps[begun:]):
                    record.add(CellStep(step.name, state="failed", error=caught.message, hint=caught.hint))
        if error is None and result is None:
            error = StepError("No step was carried out: the condition of none holds.", "Add a step without `when`.")
        answer = result.completion if result else Completion()
        answer = msgspec.structs.replace(answer, text=result.text if result and error is None else "")
        whole = sum_steps(record.steps, answer)
        return ChainOutcome(tuple(record.steps), whole, error, tuple(calls.answers), calls.spent, calls.last)

    async def _run_step(self, step: PromptStep) -> StepResult | None:
        """What the step came to; None where it was skipped."""
        self._calls.begin_step()
        values = self._values({})
        if step.when and not holds(step.when, values, "`when`"):
            self._seen[step.name] = {"text": "", "skipped": True}
            self._record.add(CellStep(step.name, state="skipped", note="its condition does not hold"))
            return None
        result = await self._map(step) if step.each else await self._vote(step, {}, 0, self._record)
        self._seen[step.name] = result.seen
        return result

    async def _map(self, step: PromptStep) -> StepResult:
        """The answers to all items, asked for at the same time."""
        items = read_list(step.each, self._values({}), "`each`")
        if not items:
            self._record.add(CellStep(step.name, state="skipped", note="its list is empty"))

        async def answer(item: object, at: int, part: RecordPart) -> StepResult:
            try:
                result = await self._vote(step, {ITEM: item, INDEX: at}, at, part)
            finally:
                part.close()
            note_end(at, 0)
            return result

        parts = self._record.divide(len(items))
        note_end = self._count_parts(step.name, "item", 0, len(items))
        numbered = enumerate(zip(items, parts, strict=True), 1)
        found = await run_side_by_side([answer(item, at, part) for at, (item, part) in numbered])
        texts = [one.text for one in found]
        seen: dict[str, Any] = {"text": "\n".join(texts), "texts": texts}
        if all("json" in one.seen for one in found):
            seen["json"] = [one.seen["json"] for one in found]
        last = found[-1].completion if found else Completion()
        return StepResult(seen["text"], seen, msgspec.structs.replace(last, text=seen["text"]))

    async def _vote(self, step: PromptStep, extra: dict[str, Any], index: int, record: CallRecord) -> StepResult:
        """The most frequent of the step's answers, asked for at the same time; the earliest of equals."""
        if step.samples == 1:
            return await self._check(step, extra, index, 0, record)
        begun = len(record.steps)

        async def draw(sample: int, part: RecordPart) -> StepResult:
            try:
                result = await self._check(step, extra, index, sample, part)
            finally:
                part.close()
            note_end(index, sample)
            return result

        parts = record.divide(step.samples)
        note_end = self._count_parts(step.name, "sample", index, step.samples)
        found = await run_side_by_side([draw(sample, part) for sample, part in enumerate(parts, 1)])
        keys = [find_vote_key(one, step) for one in found]
        counts = Counter(key for key in keys if key is not None)
        winner, votes = counts.most_common(1)[0] if counts else (None, 0)
        chosen = keys.index(winner) if counts else 0
        note = f"{votes} of {step.samples} agree" if counts else f"none of {step.samples} has a {step.vote} to compare"
        _mark(record, begun, step.name, chosen + 1, note)
        result = found[chosen]
        return result._replace(seen={**result.seen, "votes": votes, "samples": step.samples})

    def _count_parts(
        self, name: str, unit: Literal["item", "sample"], index: int, total: int
    ) -> Callable[[int, int], None]:
        """Called with the item and the sample that has ended."""
        ended = 0

        def note_end(item: int, sample: int) -> None:
            nonlocal ended
            ended += 1
            self._on_part(PartProgress(name, unit, item, sample, ended, total))

        self._on_part(PartProgress(name, unit, index, 0, 0, total))
        return note_end

    async def _check(
        self, step: PromptStep, extra: dict[str, Any], index: int, sample: int, record: CallRecord
    ) -> StepResult:
        """An answer that is accepted, asked for again where it is not."""
        following: tuple[Message, ...] = ()
        attempts = step.retries + 1
        for attempt in range(1, attempts + 1):
            call = self._make_call(step, extra, following, index, sample, attempt if step.retries else 0)
            made = await self._calls.make(call, record)
            seen = describe_answer(made.text)
            if call.content.tools:
                seen["calls"] = [{"name": one.name, "arguments": one.values} for one in made.calls]
            problem = await self._judge(step, call, {**self._values(extra), ANSWER: seen}, seen, record)
            if not problem:
                return StepResult(made.text, seen, made.completion)
            left = attempt < attempts
            kept = not left and step.otherwise == "keep"
            ended = msgspec.structs.replace(record.steps[made.at], answers=kept, note=f"not accepted: {problem}")
            record.put(made.at, ended)
            if kept:
                return StepResult(made.text, {**seen, "accepted": False}, made.completion)
            if left and call.content.mode == "chat":
                values = {**self._values(extra), ANSWER: seen, PROBLEM: problem}
                again = fill_text(step.feedback or FEEDBACK, values, "`feedback`")
                following = (*made.sent, Message("user", again))
        tries = "1 attempt" if attempts == 1 else f"{attempts} attempts"
        message = f"its answer was not accepted after {tries}: {problem}."
        hint = "Raise `retries`, change its prompt, or write `otherwise: keep` to go on with the last answer."
        record.put(made.at, msgspec.structs.replace(ended, state="failed", error=message, hint=hint))
        raise StepError(message, hint)

    async def _judge(
        self, step: PromptStep, call: StepCall, values: dict[str, Any], seen: dict[str, Any], record: CallRecord
    ) -> str:
        """Why an answer is not accepted; "" where it is. values: what conditions see."""
        if step.check == "json" and "json" not in seen:
            return f"it is not JSON: {shorten(seen['text'])!r}"
        if step.check and step.check != "json" and not holds(step.check, values, "`check`"):
            return f"it does not meet the condition {step.check}"
        if step.verify is None:
            return ""
        verify = step.verify
        assert verify.content is not None
        case = with_values(call.case, {ANSWER: seen})
        asked = replace(call, content=verify.content, case=case, model=verify.model, changes=verify.sampling)
        judged = (await self._calls.make(replace(asked, following=(), kind="check"), record)).text
        accepted = holds(verify.accept, {**values, VERDICT: describe_answer(judged)}, "`verify.accept`")
        return "" if accepted else f"the check says {shorten(judged)!r}"

    def _make_call(
        self,
        step: PromptStep,
        extra: dict[str, Any],
        following: tuple[Message, ...],
        index: int,
        sample: int,
        attempt: int,
    ) -> StepCall:
        assert step.content is not None
        case = with_values(self._case, {STEPS: self._seen, **extra})
        return StepCall(
            step.name, step.content, case, step.model, step.sampling, following, "call", index, sample, attempt
        )

    def _explain(self, error: WorkbenchError, template: str) -> WorkbenchError:
        """The error in words of the chain, where a template wants the JSON of an answer that has none."""
        for name in find_used_steps(template):
            seen = self._seen.get(name, {})
            if "json" not in seen and f"{name}.json" in template and "'json'" in error.message:
                return StepError(
                    f"it uses the JSON of the step {name}, whose answer is none: {shorten(seen.get('text', ''))!r}.",
                    f"Hold it to a JSON schema, give it `check: json` and `retries`, or test `steps.{name}.json` with "
                    "`is defined`.",
                )
        return error

    def _values(self, extra: dict[str, Any]) -> dict[str, Any]:
        return {**self._prompt.defaults, **self._case.values, STEPS: self._seen, **extra}


def _join_expressions(step: PromptStep) -> str:
    """What is worked out of the answers before a step is asked, as one template."""
    return " ".join(f"{{{{ {one} }}}}" for one in (step.when, step.each) if one)


def _mark(record: CallRecord, begun: int, name: str, sample: int, note: str) -> None:
    """Say of the samples which one is the step's answer."""
    for at, made in enumerate(record.steps[begun:], begun):
        if made.name == name and made.answers:
            own = made.sample == sample
            record.put(at, msgspec.structs.replace(made, answers=own, note=note if own else "voted down"))
