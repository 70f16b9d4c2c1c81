"""What one cell asks its model: the rendered conversation, its key in the cache, and the calls to the model."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import aclosing
from dataclasses import replace

import msgspec

from workbench.datasets import Case
from workbench.inference.model_client import ModelClient
from workbench.inference.types import Admitted, Chunk, GenerateRequest, Likelihood, LoglikelihoodRequest, Sampling
from workbench.models.reference import Model
from workbench.prompting.context_fit import too_long
from workbench.prompting.prompt import Message
from workbench.runs.cache import AnswerKeys
from workbench.runs.provenance import Provenance, digest_question

BATCH_PRIORITY = 1
"""behind the live panes"""


class CellPrompt:
    """See the module. origin: what the answers of the cell's variant come from."""

    def __init__(self, origin: Provenance, case: Case, repeat: int, following: tuple[Message, ...] = ()) -> None:
        """following: messages behind those of the prompt. Raises PromptError where it cannot be rendered."""
        self.origin = origin
        self._repeat = repeat
        self._spec = replace(origin.spec(case, repeat), following=following)
        self._request = self._spec.request(priority=BATCH_PRIORITY)
        assert self._request.prompt is not None
        self._rendered = self._request.prompt
        self._messages: tuple[Message, ...] | None = None

    @property
    def model(self) -> Model:
        """The cell's model, with the variables of its chat template."""
        return self._spec.model

    def cache_keys(self) -> AnswerKeys | None:
        """The keys of the cell's answer; None where chance determines it."""
        own, spec = self.origin, self._spec
        drops = own.strategy == "drop" and own.prompt.placement != "none"
        # what is dropped depends on where each example ends, and on the room there is
        extra = f"drop {own.base.context_tokens} {sorted(spec.examples_off)} {own.prompt}" if drops else ""
        mode = " reproducible" if spec.deterministic else ""
        if own.prompt.tools:
            mode += f" tools {msgspec.json.encode(own.prompt.tools).decode()}"
            mode += f" answered by {own.tool_code.content}" if own.tool_code else ""

        def digest(sampling: Sampling, more: str = "") -> bytes | None:
            return digest_question(
                own.model,
                own.adapters,
                self._rendered.messages,
                own.prompt.mode,
                sampling,
                own.engine,
                self._repeat,
                extra + mode + more,
            )

        limited = digest(spec.sampling)
        # With `drop`, the limit decides which examples there is room for.
        unlimited = msgspec.structs.replace(spec.sampling, max_tokens=1)
        complete = limited if drops else digest(unlimited, " complete")
        return AnswerKeys(complete, limited, spec.sampling.max_tokens) if complete and limited else None

    async def generate(self, client: ModelClient, on_chunk: Callable[[Chunk], None]) -> None:
        """Stream the answer; cancelling the task cancels the request. Raises WorkbenchError."""
        async with aclosing(client.generate(self._request)) as events:
            async for event in events:
                if isinstance(event, Admitted):
                    self._messages = self._rendered.without(event.budget.dropped)
                elif isinstance(event, Chunk):
                    on_chunk(event)

    async def sent_messages(self, client: ModelClient) -> tuple[Message, ...]:
        """The messages after the overflow policy; loads the model. Raises WorkbenchError where they do not fit."""
        if self._messages is None:
            budget = await client.count(self._request)
            if budget.over:
                raise too_long(budget, self.origin.strategy)
            self._messages = self._rendered.without(budget.dropped)
        return self._messages

    async def as_asked(self, client: ModelClient) -> GenerateRequest:
        """The conversation as it was sent, for whoever judges the answer to it. Raises what sent_messages raises."""
        own = self.origin.prompt
        return GenerateRequest(0, await self.sent_messages(client), mode=own.mode, tools=own.tools)

    async def loglikelihood(self, client: ModelClient, continuations: tuple[str, ...]) -> tuple[Likelihood, ...]:
        """How likely the variant finds each continuation of the cell's prompt. Raises WorkbenchError."""
        own = self.origin
        request = LoglikelihoodRequest(
            0,
            await self.sent_messages(client),
            continuations,
            own.prompt.mode,
            own.applied,
            BATCH_PRIORITY,
            own.variant.deterministic,
            thinking=own.variant.sampling.thinking,
            reasoning_effort=own.variant.sampling.reasoning_effort,
            tools=own.prompt.tools,
        )
        return await client.loglikelihood(request)
