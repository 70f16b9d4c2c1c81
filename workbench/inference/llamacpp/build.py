"""How the contexts of one model are built: how many sequences and tokens they take, and what they can do."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import Literal

from workbench.inference.llamacpp.abort_callback import AbortCallback
from workbench.inference.llamacpp.adapters import LoraSet
from workbench.inference.llamacpp.context import Context
from workbench.inference.llamacpp.native import native
from workbench.inference.llamacpp.weights import LoadedWeights
from workbench.inference.scheduling.backend import Limits
from workbench.inference.scheduling.prefill_budget import STEP_SECONDS
from workbench.inference.sizes import PROMPT_CACHE_BYTES, prefill_chunk
from workbench.models.context_shape import EXTRA_ROWS, count_outputs
from workbench.models.reference import ModelInfo
from workbench.models.step_plan import PROMPT_TOKENS, ROWS, StepPlan
from workbench.offload import Offload

OTHER_SLOTS = EXTRA_ROWS + 16
"""Slots beside those of batch requests: the others are for continuations and cached prefixes."""

_USUAL = Offload()


@dataclass(frozen=True, slots=True)
class ContextBuild:
    """The measures of a context.

    running, extra, slots, prefix_cache, outputs: see Limits. tokens: of prompts and continuations, that one batch takes
    at most. prompt_cache_bytes: host memory for offloaded prefixes. step_seconds: what a step may take while a request
    is interactive. offload: the KV cache's type and where it is, flash attention. on_device: devices compute some of
    it. remote: those of RPC servers, by their handles. plan: what their steps are limited to.
    """

    running: int
    extra: int
    slots: int
    tokens: int
    outputs: int
    threads: int
    prefix_cache: bool
    prompt_cache_bytes: int = PROMPT_CACHE_BYTES
    step_seconds: float = STEP_SECONDS
    offload: Offload = _USUAL
    on_device: bool = False
    remote: tuple[int, ...] = ()
    plan: StepPlan | None = None
    abort: AbortCallback = field(default_factory=AbortCallback)

    @property
    def batch_tokens(self) -> int:
        """Tokens that one batch takes at most, those that decode among them."""
        return self.tokens + self.running + self.extra

    def open(self, weights: LoadedWeights, kv_tokens: int, adapters: LoraSet = ()) -> Context:
        """A context for so many tokens. Raises ModelError."""
        # a recurrent state that is left in the middle of a step could not be brought back to where it was
        abort = self.abort if self.prefix_cache else None
        return Context(
            weights,
            kv_tokens,
            self.slots,
            self.batch_tokens,
            self.threads,
            adapters,
            self.outputs,
            abort,
            self.offload,
            self.remote,
            self.plan is not None and self.plan.device_sampling,
        )

    @property
    def prompt_tokens(self) -> int:
        """Of a step at most, outside the deterministic mode, whose steps no measurement changes."""
        return self.plan.prompt_tokens if self.plan else self.tokens

    def with_plan(self, plan: StepPlan, info: ModelInfo) -> ContextBuild:
        """The same, with steps as they are planned."""
        slots = plan.rows + OTHER_SLOTS
        return replace(
            self,
            running=plan.rows,
            slots=slots,
            tokens=max(plan.prompt_tokens, prefill_chunk(info)),
            outputs=max(self.outputs, slots),
            plan=plan,
        )

    def limits(self, kv_tokens: int, context_tokens: int, deterministic: bool) -> Limits:
        """What a context can hold; in deterministic mode one sequence at a time, which shares nothing."""
        if deterministic:
            return Limits(1, 0, self.slots, kv_tokens, context_tokens, outputs=self.outputs, prefix_cache=False)
        plan = self.plan or StepPlan()
        offloads: Literal["interactive", "none"] = "interactive" if plan.saves_prefixes else "none"
        return Limits(
            self.running,
            self.extra,
            self.slots,
            kv_tokens,
            context_tokens,
            plan.cached_tokens,
            self.outputs,
            prefix_cache=self.prefix_cache,
            offloads=offloads,
        )


def choose_build(weights: LoadedWeights, info: ModelInfo, threads: int, offload: Offload = _USUAL) -> ContextBuild:
    """Recurrent models keep a state for each sequence, and know no part of one: they get few, and share nothing."""
    outputs = count_outputs(info)
    if native.llama_model_is_recurrent(weights.model) or native.llama_model_is_hybrid(weights.model):
        return ContextBuild(8, 8, 17, 256, outputs, threads, prefix_cache=False, offload=offload)
    return ContextBuild(
        ROWS, EXTRA_ROWS, ROWS + OTHER_SLOTS, PROMPT_TOKENS, outputs, threads, prefix_cache=True, offload=offload
    )
