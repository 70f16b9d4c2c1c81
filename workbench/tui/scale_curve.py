"""ScaleProbe: how likely a pane's model finds the expected answer with its adapter at each of several scales.

Behind the live answers, one request at a time; an edit cancels it. It uses no more adapter sets than the engine keeps
beside those of the panes: the next key finds their prefix caches as they were.
"""

from __future__ import annotations

import asyncio
import math
from collections import deque
from collections.abc import Callable, Hashable, Sequence
from dataclasses import replace

from workbench.errors import WorkbenchError
from workbench.inference.pool import Pool
from workbench.inference.types import LoglikelihoodRequest
from workbench.models.reference import Applied, ModelInfo
from workbench.prompting.prompt import Message
from workbench.runs.generation import GenerationSpec

QUIET_SECONDS = 0.5
"""after the answer, so that a person who goes on typing starts nothing"""

_PRIORITY = 1
_MOST_SETS = 8
"""adapter sets that an engine keeps at once beside the bare model"""

_MOST_KNOWN = 64
_STEPS = (0.2, 0.4, 0.6, 0.8)

Curve = tuple[tuple[float, float | None], ...]
"""scale -> probability of the expected answer, in order; None while it is not known"""

OnCurve = Callable[[Hashable, GenerationSpec, Curve, str], object]


class ScaleProbe:
    """At most one curve a pane."""

    def __init__(self, pool: Pool, on_curve: OnCurve, quiet: float = QUIET_SECONDS) -> None:
        """on_curve: gets the pane, what it was asked, its curve so far, and why it goes no further, "" otherwise.

        quiet: seconds before the first request.
        """
        self._pool, self._on_curve, self._quiet = pool, on_curve, quiet
        self._tasks: dict[Hashable, asyncio.Task[None]] = {}
        self._known: deque[tuple[GenerationSpec, float]] = deque(maxlen=_MOST_KNOWN)
        self._turn = asyncio.Lock()

    def start(
        self, pane: Hashable, spec: GenerationSpec, adapter: Applied, messages: tuple[Message, ...], room: int
    ) -> None:
        """Probe what a pane sent, with an adapter of it at several scales; does nothing without an expected answer.

        adapter: at the pane's own scale. room: adapter sets that may be used besides the pane's own.
        """
        self.cancel(pane)
        if not spec.case.expected or not messages:
            return
        scales = choose_scales(adapter.scale, room)
        self._tasks[pane] = asyncio.create_task(self._probe(pane, spec, adapter, messages, scales))

    def cancel(self, pane: Hashable) -> None:
        """Cancel what is under way for a pane; nothing happens where that is done."""
        task = self._tasks.pop(pane, None)
        if task is not None:
            task.cancel()

    async def _probe(
        self,
        pane: Hashable,
        spec: GenerationSpec,
        adapter: Applied,
        messages: tuple[Message, ...],
        scales: Sequence[float],
    ) -> None:
        specs = [with_scale(spec, adapter, scale) for scale in scales]
        found = [self._find(one) for one in specs]

        def report(problem: str = "") -> None:
            self._on_curve(pane, spec, tuple(zip(scales, found, strict=True)), problem)

        report()
        await asyncio.sleep(self._quiet)
        for index, one in enumerate(specs):
            if found[index] is not None:
                continue
            async with self._turn:
                try:
                    found[index] = await self._ask(one, messages)
                except WorkbenchError as error:
                    report(error.message)
                    return
            report()

    async def _ask(self, spec: GenerationSpec, messages: tuple[Message, ...]) -> float:
        assert spec.case.expected is not None
        request = LoglikelihoodRequest(
            0,
            messages,
            (spec.case.expected,),
            spec.prompt.mode,
            spec.adapters,
            _PRIORITY,
            thinking=spec.sampling.thinking,
            reasoning_effort=spec.sampling.reasoning_effort,
            tools=spec.prompt.tools,
        )
        (likelihood,) = await self._pool.client(spec.model).loglikelihood(request)
        probability = math.exp(min(likelihood.logprob, 0.0))
        self._known.append((spec, probability))
        return probability

    def _find(self, spec: GenerationSpec) -> float | None:
        return next((probability for known, probability in self._known if known == spec), None)


def with_scale(spec: GenerationSpec, adapter: Applied, scale: float) -> GenerationSpec:
    """The same with one of its adapters at another scale; at 0 without it."""
    others = tuple(one for one in spec.adapters if one.adapter != adapter.adapter)
    applied = (Applied(adapter.adapter, scale),) if scale else ()
    return replace(spec, adapters=(*applied, *others))


def choose_scales(current: float, room: int) -> tuple[float, ...]:
    """0, 1 and the pane's own scale, and steps between them as far as there is room for further adapter sets."""
    scales = {0.0, current}
    wanted = [1.0] if room > 0 and current != 1.0 else []
    steps = [step for step in _STEPS if step != current]
    free = max(room - len(wanted), 0)
    chosen = steps if free >= len(steps) else [steps[len(steps) * (2 * n + 1) // (2 * free)] for n in range(free)]
    return tuple(sorted({*scales, *wanted, *chosen}))


def count_room(panes: int, info: ModelInfo | None, free_bytes: int) -> int:
    """Adapter sets that each pane with an adapter may use besides its own.

    panes: how many there are. info: of their model; each set takes a KV cache. free_bytes: memory, of which at most a
    quarter is used.
    """
    sets = max(_MOST_SETS - panes, 0)
    if info is not None and (cache := info.kv_bytes_per_token * info.context_tokens):
        sets = min(sets, free_bytes // 4 // cache)
    return sets // max(panes, 1)
