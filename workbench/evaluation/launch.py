"""Launch: one answer on its way, from a prompt and a case to the engine.

Counts the prompt, fits it into the context as the person chose, sends it, and can be called off at any moment
between. Nothing here waits: each stage begins where the one before it ended, on whatever thread that was.
"""

from __future__ import annotations

import threading
import traceback
from collections.abc import Callable
from concurrent.futures import Future
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

import msgspec

from workbench.engines.engine import Chunk, Event, Failure, Progress, Sampling
from workbench.errors import BudgetError, WorkbenchError
from workbench.evaluation.bench import Variant
from workbench.evaluation.datasets import Case
from workbench.hosting.pool import Pool, Ticket
from workbench.models.reference import Applied, Model, ModelInfo, with_template_kwargs
from workbench.prompting.budget import Budget, Measure, Strategy, describe_dropped, fit
from workbench.prompting.prompt import Example, Message, Prompt
from workbench.prompting.render import render

Sink = Callable[[Event], None]


class FittedPrompt(NamedTuple):
    """Messages that fit a model's context. notes: what was left out for it, one sentence each."""

    messages: tuple[Message, ...]
    notes: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Draft:
    """What determines one answer; two equal drafts ask the same."""

    prompt: Prompt
    case: Case
    examples_off: frozenset[str]
    sampling: Sampling
    strategy: Strategy
    model: Model
    adapters: tuple[Applied, ...] = ()
    reproducible: bool = False

    @classmethod
    def of(
        cls,
        variant: Variant,
        prompt: Prompt,
        case: Case,
        strategy: Strategy,
        model: Model,
        adapters: tuple[Applied, ...] = (),
    ) -> Draft:
        off = frozenset(variant.examples_off)
        named = with_template_kwargs(model, variant.chat_template_kwargs)
        return cls(prompt, case, off, variant.sampling, strategy, named, adapters, variant.reproducible)

    @property
    def examples(self) -> tuple[Example, ...]:
        """The examples that are switched on."""
        return enabled_examples(Variant("", "", "", examples_off=tuple(self.examples_off)), self.prompt)

    @property
    def weights(self) -> tuple[Path, ...]:
        """The model and the adapters that act on it."""
        return (self.model.path, *(one.adapter.path for one in self.adapters if one.scale))

    def measure(self) -> Measure:
        """What has to be counted. Raises PromptError when the prompt cannot be rendered."""
        return Measure(self.prompt, self.case.values, self.examples)

    def budget(self, measure: Measure, counts: tuple[int, ...], info: ModelInfo) -> Budget:
        """What the prompt takes, after the strategy had its say; all of it where it does not fit even so."""
        output, limit = self.sampling.max_tokens, info.context_tokens
        try:
            kept = fit(measure, counts, output, limit, self.strategy)
        except BudgetError:
            kept = measure.examples
        return measure.budget(counts, output, limit, kept)

    def fit(self, measure: Measure, counts: tuple[int, ...], info: ModelInfo) -> FittedPrompt:
        """What is sent, after the strategy had its say. Raises BudgetError when it does not fit."""
        examples = fit(measure, counts, self.sampling.max_tokens, info.context_tokens, self.strategy)
        return FittedPrompt(render(self.prompt, self.case.values, examples), describe_dropped(measure, examples))


class Launch:
    """One answer under way. The sink gets the engine's events; the last of them comes exactly once.

    messages: what was sent; none before that.
    """

    def __init__(self, pool: Pool, draft: Draft, sink: Sink, guesses: int = 0, priority: int = 0) -> None:
        """Begin. Raises PromptError at once when the prompt cannot be rendered."""
        self._pool, self._draft, self._sink, self._guesses = pool, draft, sink, guesses
        self._priority = priority
        self._lock = threading.Lock()
        self._cancelled = self._sent = False
        self._ticket: Ticket | None = None
        self._measure = draft.measure()
        self.messages: tuple[Message, ...] = ()
        sink(Progress(0, "queued" if pool.info(draft.model) else "loading"))
        counting = pool.count(draft.model, self._measure.drafts, draft.prompt.mode, priority)
        counting.add_done_callback(self._send)

    def cancel(self) -> None:
        """Call it off; returns at once. What was not sent yet ends here, even while its model still loads."""
        with self._lock:
            early = not self._cancelled and not self._sent
            self._cancelled = True
            ticket = self._ticket
        if ticket:
            ticket.cancel()
        elif early:
            self._sink(Chunk(0, stop_reason="cancelled"))

    def _send(self, counting: Future[tuple[int, ...]]) -> None:
        draft = self._draft
        try:
            counts = counting.result()
            info = self._pool.info(draft.model)
            assert info is not None  # counting loaded the model
            messages, notes = draft.fit(self._measure, counts, info)
            with self._lock:
                if self._cancelled:
                    return
                self._sent = True
                self.messages = messages
                self._ticket = self._pool.submit(
                    draft.model,
                    messages,
                    draft.sampling,
                    draft.prompt.mode,
                    add_notes(self._sink, notes),
                    draft.adapters,
                    self._guesses,
                    self._priority,
                    draft.reproducible or None,
                )
        except WorkbenchError as error:
            self._fail(error)
        except Exception as error:  # noqa: BLE001 - on a thread of its own nobody else would hear of it
            self._fail(
                WorkbenchError(f"The prompt could not be sent: {error!r}.", "Run again.", traceback.format_exc())
            )

    def _fail(self, error: WorkbenchError) -> None:
        with self._lock:
            if self._cancelled:
                return
            self._sent = True
        self._sink(Failure(0, error.message, error.hint, error.details))


def add_notes(sink: Sink, notes: tuple[str, ...]) -> Sink:
    """A sink that says these before the notes of a request's last chunk."""

    def tell(event: Event) -> None:
        if isinstance(event, Chunk) and event.stop_reason is not None:
            event = msgspec.structs.replace(event, notes=(*notes, *event.notes))
        sink(event)

    return tell if notes else sink


def enabled_examples(variant: Variant, prompt: Prompt) -> tuple[Example, ...]:
    """The prompt's examples that the variant has not switched off; none where the prompt places none."""
    if prompt.placement == "none":
        return ()
    return tuple(example for example in prompt.examples if example.id not in variant.examples_off)
