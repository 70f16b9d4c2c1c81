"""The reflector: a model of the workbench that reads what went wrong and writes a better instruction.

Every call is in the search's journal, so that a search that goes on asks nothing twice. A call that fails, takes too
long or does not end is a failure with a reason, never an exception that a library may swallow.
"""

from __future__ import annotations

import asyncio
import hashlib
import time
from collections.abc import Sequence
from typing import TYPE_CHECKING

import msgspec

from workbench.errors import WorkbenchError
from workbench.inference.types import Completion, GenerateRequest, Sampling
from workbench.models.reference import Model
from workbench.prompting.prompt import Message
from workbench.runs.cell_prompt import BATCH_PRIORITY
from workbench.runs.cost import price_answer
from workbench.search.instruction_text import SplitAnswer, split_answer
from workbench.search.journal import Reflected
from workbench.search.reflector_check import find_reflector_price
from workbench.search.stoppers import SearchStopped

if TYPE_CHECKING:
    from workbench.search.method_context import MethodContext

MAX_TOKENS = 4096
_TEMPERATURE = 0.7
"""proposals should differ from round to round; the seed makes each of them come again"""
_MOST_SECONDS = 600.0
_WAKE_SECONDS = 0.2
"""how often a waiting call looks whether the search was cancelled"""


class Reflector:
    """Asks one model for instructions; for the thread of its search."""

    def __init__(self, search: MethodContext, model: Model, name: str, most_seconds: float = _MOST_SECONDS) -> None:
        """name: the model's in the bench, for its price. most_seconds: that one answer may take."""
        self._search = search
        self._model = model
        self._name = name
        self._price = find_reflector_price(search.prepared.task.bench, model, name)
        self._most_seconds = most_seconds
        self._asked = 0

    def ask(self, messages: Sequence[Message]) -> SplitAnswer:
        """The instruction that the model proposes, from the journal where it is known. Only SearchStopped is raised."""
        self._asked += 1
        key = _digest(self._name, messages, self._asked)
        found = self._search.find_reflection(key)
        if found is None:
            self._check_budget()
            found = self._call(key, messages)
            if found is not None:
                self._search.add_reflection(found)
        if found is None:
            return SplitAnswer("")
        return split_answer("" if found.error else found.text)

    def _check_budget(self) -> None:
        """Raise SearchStopped where there is no room for one more call."""
        budget = self._search.request.budget
        exhausted = budget.find_exhausted(self._search.state.spending)
        if exhausted or self._search.calls_left == 0:
            raise SearchStopped(exhausted or f"the budget of {budget.calls:,} calls has no room for the reflector")

    def _call(self, key: str, messages: Sequence[Message]) -> Reflected | None:
        """One call; None where the search was stopped meanwhile, so that it is made again when the search goes on."""
        started = time.monotonic()
        done: Completion | None = Completion()
        try:
            done = asyncio.run(self._complete(messages))
            if done is None:
                return None
            text, error = done.text, _find_problem(done)
        except WorkbenchError as failure:
            text, error = "", failure.message
        except TimeoutError:
            text, error = "", f"It gave no answer within {self._most_seconds:,.0f} seconds."
        seconds = time.monotonic() - started
        assert done is not None
        return Reflected(
            key=key,
            text=text,
            error=error,
            calls=1,
            prompt_tokens=done.prompt_tokens,
            completion_tokens=done.output_tokens,
            seconds=seconds,
            money=price_answer(self._price, done, seconds),
        )

    async def _complete(self, messages: Sequence[Message]) -> Completion | None:
        """The whole answer; None once the search is stopped. Raises WorkbenchError, and TimeoutError."""
        client = self._search.prepared.task.pool.client(self._model)
        sampling = Sampling(
            temperature=_TEMPERATURE, max_tokens=MAX_TOKENS, seed=self._search.request.seed + self._asked
        )
        request = GenerateRequest(0, tuple(messages), sampling, priority=BATCH_PRIORITY)
        async with asyncio.timeout(self._most_seconds):
            answering = asyncio.ensure_future(client.complete(request))
            try:
                while not answering.done():
                    await asyncio.wait((answering,), timeout=_WAKE_SECONDS)
                    if not answering.done() and self._search.stop_reason():
                        return None
                return answering.result()
            finally:
                answering.cancel()
                await asyncio.gather(answering, return_exceptions=True)


def _find_problem(done: Completion) -> str:
    """Why an answer holds no instruction; "" where it does."""
    if done.stop_reason in ("length", "context"):
        return f"Its answer did not end within {done.output_tokens:,} tokens."
    if not done.text.strip():
        return "Its answer is empty."
    return "" if split_answer(done.text).instruction.strip() else "Its answer has no text between two lines of ```."


def _digest(model: str, messages: Sequence[Message], number: int) -> str:
    """What is asked, of whom, and for the how-manieth time: the seed of the call follows from that."""
    asked = msgspec.json.encode((model, number, messages))
    return hashlib.blake2b(asked, digest_size=16).hexdigest()
