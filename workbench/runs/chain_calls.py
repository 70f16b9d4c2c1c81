"""ChainCalls: the calls of one chain, each with the rounds in which its tools are answered, counted and noted."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import replace
from typing import NamedTuple

import msgspec

from workbench.datasets import Case
from workbench.datasets.turns import read_results
from workbench.errors import PromptError, ServerMismatchError, StepError, WorkbenchError
from workbench.inference.types import Completion
from workbench.prompting.prompt import Message
from workbench.prompting.steps import MOST_CALLS
from workbench.prompting.tools import ToolCall
from workbench.runs.call_record import CallRecord
from workbench.runs.cell_step import CellStep
from workbench.runs.chain import StepCall
from workbench.runs.chain_outcome import AnswerCall, StepAnswer
from workbench.runs.tool_results import PreparedResults
from workbench.runs.tool_rounds import LIMITED, ToolRules, answer_call, name_calls, parse_answer
from workbench.store.cell_records import StoredCompletion

FindRules = Callable[[StepCall], ToolRules]
"""By what the calls of tools in an answer are read and answered. Raises WorkbenchError."""


class MadeCall(NamedTuple):
    """What a call came to. text: without calls of tools. sent: the messages behind those of the prompt, the answer
    last. at: the place of its last round in the record. calls: of tools, over all rounds."""

    text: str
    completion: Completion
    sent: tuple[Message, ...]
    at: int
    calls: tuple[ToolCall, ...] = ()


class ChainCalls:
    """See the module. last: the call that was made last. answers, spent: as in ChainOutcome."""

    def __init__(
        self,
        case: Case,
        ask: AnswerCall,
        find_rules: FindRules,
        explain: Callable[[WorkbenchError, str], WorkbenchError],
    ) -> None:
        """explain: an error of a template, which follows, in words of the chain."""
        self._case, self._ask, self._find_rules, self._explain = case, ask, find_rules, explain
        self._count = 0
        self._busy: list[tuple[float, float]] = []
        self.answers: list[StoredCompletion] = []
        self.spent = 0.0
        self.last: StepCall | None = None

    def begin_step(self) -> None:
        """What follows is another step, whose calls are side by side with none of those before."""
        self._busy = []

    async def make(self, call: StepCall, record: CallRecord) -> MadeCall:
        """The answer to a call, noted. Its calls of tools are answered and the model is asked again, until it calls
        none or the rounds are used up. Raises WorkbenchError where there is no answer."""
        if not call.content.tools:
            at, step = await self._ask_once(call, record)
            return MadeCall(step.text, step.completion, (*call.following, Message("assistant", step.text)), at)
        rules = self._find_rules(call)
        results = PreparedResults((read_results(self._case), rules.setup.results), call.content.tools)
        answered = results.any or rules.answers
        most = rules.setup.rounds if answered else 1
        live = 0
        sent = call.following
        made: tuple[ToolCall, ...] = ()
        before: tuple[Message, ...] = ()
        number = 1
        while True:
            asked = replace(call, following=sent, round=number if answered else 0)
            at, step = await self._ask_once(asked, record, rules, before, live)
            sent, made = (*sent, Message("assistant", step.text, step.calls)), (*made, *step.calls)
            if not step.calls or number == most:
                break
            record.put(at, msgspec.structs.replace(step, answers=False))
            given = [await answer_call(one, results, rules) for one in step.calls]
            before, live = tuple(message for message, _ in given), sum(own for _, own in given)
            sent, number = (*sent, *before), number + 1
        if step.calls and answered:
            record.put(at, msgspec.structs.replace(step, note=LIMITED))
        return MadeCall(step.text, step.completion, sent, at, made)

    async def _ask_once(
        self,
        call: StepCall,
        record: CallRecord,
        rules: ToolRules | None = None,
        before: tuple[Message, ...] = (),
        live: int = 0,
    ) -> tuple[int, CellStep]:
        """One answer of the model with its place in the record. before: what tools answered since the last one, live:
        how many of them by the Python file."""
        self._count += 1
        if self._count > MOST_CALLS:
            raise StepError(f"it is call {self._count} of this case; at most {MOST_CALLS} are made.", "Map over less.")
        self.last = call
        asked = time.monotonic()
        try:
            answer = await self._ask(call)
        except ServerMismatchError:
            raise
        except PromptError as failure:
            answer = StepAnswer(StoredCompletion(), error=self._explain(failure, call.content.body))
        except WorkbenchError as failure:
            answer = StepAnswer(StoredCompletion(), error=failure)
        if not answer.found:
            self.spent += answer.cost
            self.answers += [answer.stored] if answer.stored.reusable else []
        step = msgspec.structs.replace(_describe(call, answer, rules, before), live=live)
        if call.index or call.sample:
            step = msgspec.structs.replace(step, overlap=self._note_time(answer, asked))
        at = record.add(step)
        if answer.error:
            raise answer.error
        return at, step

    def _note_time(self, answer: StepAnswer, asked: float) -> float:
        """The seconds of an answer's time in which an answer was in flight that ended before it."""
        ended, seconds = time.monotonic(), answer.stored.completion.elapsed_seconds
        if answer.cached or not seconds:
            return 0.0
        begun = max(ended - seconds, asked)  # a scripted model says that it took longer than it does
        # each ends after those that are known, so that what it adds is what lies behind them, and the gaps between
        added, at = 0.0, begun
        for first, last in sorted(self._busy):
            added += max(min(first, ended) - at, 0.0)
            at = max(at, last)
        added += max(ended - at, 0.0)
        self._busy.append((begun, ended))
        return max(ended - begun - added, 0.0)


def _describe(call: StepCall, answer: StepAnswer, rules: ToolRules | None, before: tuple[Message, ...]) -> CellStep:
    stored, error = answer.stored, answer.error
    text = stored.completion.text
    step = CellStep(
        call.name,
        call.kind,
        "failed" if error else "done",
        call.index,
        call.sample,
        call.attempt,
        call.kind == "call",
        answer.model,
        stored.digest.hex() if stored.digest else "",
        stored.completion,
        answer.cached,
        answer.cost,
        stored.share_seconds,
        error.message if error else "",
        error.hint if error else "",
        round=call.round,
        before=before,
    )
    if rules is None:
        return step
    parsed = parse_answer(text, call.content.tools, rules)
    return msgspec.structs.replace(
        step,
        calls=() if error else name_calls(parsed.calls, len(call.following)),
        problem=parsed.problem,
        content=parsed.content if parsed.content != text else None,
    )
