"""How the contexts of one model are built: how many sequences and tokens they take, and what they can do.

Knows nothing of requests.
"""

from __future__ import annotations

from dataclasses import dataclass, field

from workbench.engines.llamacpp.adapters import Laid
from workbench.engines.llamacpp.context import Context
from workbench.engines.llamacpp.interrupts import NativeInterrupts
from workbench.engines.llamacpp.native import native
from workbench.engines.llamacpp.sizes import on_gpu
from workbench.engines.llamacpp.weights import Weights
from workbench.engines.pace import STEP_SECONDS
from workbench.engines.sizes import PARKED_BYTES
from workbench.models.reference import ModelInfo

_OUTPUT_BYTES = 32 * 2**20
"""Memory for the logits of one batch, where a few rows do not need more."""

_FEWEST_OUTPUTS, _MOST_OUTPUTS = 80, 512


@dataclass(frozen=True, slots=True)
class Build:
    """The measures of a context.

    rows, guests, sequences, shares: see Limits. tokens: of prompts and answers, that one batch takes at most.
    outputs: tokens of a batch whose logits are wanted at most. parked_bytes: memory for prefixes that wait outside.
    step_seconds: what a step may take while someone looks on.
    """

    rows: int
    guests: int
    sequences: int
    tokens: int
    outputs: int
    threads: int
    shares: bool
    parked_bytes: int = PARKED_BYTES
    step_seconds: float = STEP_SECONDS
    interrupts: NativeInterrupts = field(default_factory=NativeInterrupts)

    def open(self, weights: Weights, cells: int, laid: Laid = ()) -> Context:
        """A context of so many cells. Raises ModelError."""
        batch = self.tokens + self.rows + self.guests
        # a state that is left in the middle of a step could not be brought back to where it was
        interrupts = self.interrupts if self.shares else None
        return Context(weights, cells, self.sequences + 1, batch, self.threads, laid, self.outputs, interrupts)

    @property
    def lays_out(self) -> bool:
        """Whether there is a choice of how a step is laid out over cores."""
        return self.shares and self.threads > 1 and not on_gpu()

    @property
    def scratch(self) -> int:
        """The number of a sequence that no request gets, for trials."""
        return self.sequences


def choose_build(weights: Weights, info: ModelInfo, threads: int) -> Build:
    """Recurrent models keep a state for each sequence, and know no part of one: they get few, and share nothing."""
    outputs = min(_MOST_OUTPUTS, max(_FEWEST_OUTPUTS, _OUTPUT_BYTES // (4 * max(1, info.vocabulary))))
    if native.llama_model_is_recurrent(weights.model) or native.llama_model_is_hybrid(weights.model):
        return Build(8, 8, 17, 256, outputs, threads, shares=False)
    return Build(32, 32, 80, 512, outputs, threads, shares=True)
