"""The log-likelihood of the answer that the case expects, for what a pane shows now; an edit cancels it."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Hashable

from workbench.errors import WorkbenchError
from workbench.inference.model_client import ModelClient
from workbench.inference.pool import Pool
from workbench.inference.types import Likelihood, LoglikelihoodRequest
from workbench.prompting.prompt import Message
from workbench.runs.generation import GenerationSpec

_PRIORITY = 1
"""behind the live answers, so that it delays none of them"""

OnLogprob = Callable[[Hashable, GenerationSpec, Likelihood], object]


class ExpectedLogprobProbe:
    """At most one request a pane. on: whether anything is asked."""

    def __init__(self, pool: Pool, on_logprob: OnLogprob, on: bool) -> None:
        """on_logprob: gets the pane, what it was asked, and the likelihood."""
        self._pool, self._on_logprob, self.on = pool, on_logprob, on
        self._tasks: dict[Hashable, asyncio.Task[None]] = {}

    def start(self, pane: Hashable, spec: GenerationSpec, messages: tuple[Message, ...]) -> None:
        """Ask for the case's expected answer after what the pane sent; does nothing where there is none."""
        self.cancel(pane)
        if not self.on or not spec.case.expected or not messages:
            return
        request = LoglikelihoodRequest(
            0,
            messages,
            (spec.case.expected,),
            spec.prompt.mode,
            spec.adapters,
            _PRIORITY,
            spec.deterministic,
            thinking=spec.sampling.thinking,
            reasoning_effort=spec.sampling.reasoning_effort,
            tools=spec.prompt.tools,
        )
        try:
            client = self._pool.client(spec.model)
        except WorkbenchError:
            return  # the engines are closed: nobody looks on any more
        self._tasks[pane] = asyncio.create_task(self._ask(client, pane, spec, request))

    async def _ask(
        self, client: ModelClient, pane: Hashable, spec: GenerationSpec, request: LoglikelihoodRequest
    ) -> None:
        try:
            (likelihood,) = await client.loglikelihood(request)
        except WorkbenchError:
            return
        self._on_logprob(pane, spec, likelihood)

    def cancel(self, pane: Hashable) -> None:
        """Cancel what is under way for a pane; nothing happens where that is done."""
        task = self._tasks.pop(pane, None)
        if task is not None:
            task.cancel()
