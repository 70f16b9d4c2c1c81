"""Greedy tokens picked on the device (llama.cpp's backend sampling), so that a vocabulary's logits need no copy a row.

A sampler is attached to a sequence of a context (`llama_set_sampler`) and becomes part of the graph. `greedy` alone
would save nothing: llama-context.cpp still copies the row of logits that it chose from. `temp` with a temperature of 0
is an argmax that leaves one candidate with its logit, and only those two numbers are copied. The logit tells whether
the row was sound, as numpy's argmax does elsewhere.
"""

from __future__ import annotations

import ctypes
import math
from collections.abc import Sequence
from typing import Any

from workbench.inference.llamacpp.native import native

PATIENCE = 64
"""Steps in which only likeliest tokens were asked for, after which the device picks them again: to attach samplers, or
to detach them, makes llama.cpp lay out its graphs and their buffers anew, which takes some milliseconds."""


class DeviceSampling:
    """The samplers of one context's sequences, from before it is opened until after it is closed."""

    def __init__(self, sequences: int) -> None:
        self._ctx: Any = None
        self._sequences = sequences
        self._chains = [_make_chain() for _ in range(sequences)]
        self._configs: Any = None
        self._steps = PATIENCE
        self._possible = True

    @property
    def attached(self) -> bool:
        return bool(self._chains)

    def configure(self, parameters: Any) -> None:
        """Attach them in llama_context_params: a context then has memory for them, or cannot be opened."""
        self._configs = (native.llama_sampler_seq_config * self._sequences)()  # must live as long as the call
        for sequence, chain in enumerate(self._chains):
            self._configs[sequence].seq_id = sequence
            self._configs[sequence].sampler = ctypes.cast(chain, ctypes.c_void_p)
        parameters.samplers, parameters.n_samplers = self._configs, self._sequences

    def adopt(self, ctx: Any) -> None:
        """The context is open."""
        self._ctx, self._configs = ctx, None
        if not all(map(_is_offloaded, self._chains)):
            self._possible = False
            self.detach()

    def prepare(self, greedy: bool) -> bool:
        """Whether the device picks the tokens of the next batch. greedy: nothing else is asked of its outputs."""
        if not greedy:
            self._steps = 0
            self.detach()
            return False
        self._steps += 1
        if not self.attached and self._possible and self._steps > PATIENCE:
            self._attach()
        return self.attached

    def detach(self) -> None:
        """Let the next batch have logits. A chain is initialised once in its life, so these are not used again."""
        for sequence in range(len(self._chains)):
            native.llama_set_sampler(self._ctx, sequence, None)
        self.forget()

    def forget(self) -> None:
        """The context is closed, or knows the samplers no more."""
        for chain in self._chains:
            native.llama_sampler_free(chain)
        self._chains.clear()

    def read(self, indices: Sequence[int], vocabulary: int) -> tuple[list[int], list[bool]]:
        """For tokens of the last batch, by their index in it: the likeliest next, and whether its logit is finite."""
        tokens, sound = [], []
        for index in indices:
            found = native.llama_get_sampled_candidates_count_ith(self._ctx, index) == 1
            token = int(native.llama_get_sampled_candidates_ith(self._ctx, index)[0]) if found else -1
            logit = float(native.llama_get_sampled_logits_ith(self._ctx, index)[0]) if found else math.nan
            tokens.append(token)
            sound.append(0 <= token < vocabulary and math.isfinite(logit))
        return tokens, sound

    def _attach(self) -> None:
        self._chains = [_make_chain() for _ in range(self._sequences)]
        for sequence, chain in enumerate(self._chains):
            native.llama_set_sampler(self._ctx, sequence, chain)


def _make_chain() -> Any:
    chain = native.llama_sampler_chain_init(native.llama_sampler_chain_default_params())
    native.llama_sampler_chain_add(chain, native.llama_sampler_init_temp(0.0))
    return chain


def _is_offloaded(chain: Any) -> bool:
    """Whether the sampler of a chain that was attached runs on the device: its name begins with + then, else with -."""
    name = native.llama_sampler_name(native.llama_sampler_chain_get(chain, 0))
    return bool(name and name.startswith(b"+"))
