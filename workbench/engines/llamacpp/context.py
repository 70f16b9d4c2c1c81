"""One native context: evaluates batches of tokens that belong to many sequences, and gives their logits.

Knows nothing of requests or text.
"""

from __future__ import annotations

import ctypes
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from workbench.engines.llamacpp.interrupts import NativeInterrupts
from workbench.engines.llamacpp.native import LOG, native
from workbench.engines.llamacpp.weights import Weights
from workbench.errors import ModelError


class Run(NamedTuple):
    """Tokens to evaluate next in one sequence."""

    sequence: int
    position: int
    tokens: list[int]
    wants_logits: bool
    """of the last of them"""
    wants_all: bool = False


class Context:
    """A KV cache of `cells` tokens shared by `sequences` sequences, and the buffers of a batch.

    The batch points into numpy arrays, which are filled twenty times faster than ctypes ones.
    """

    def __init__(
        self,
        weights: Weights,
        cells: int,
        sequences: int,
        batch_tokens: int,
        threads: int,
        adapters: Sequence[tuple[int, float]] = (),
        outputs: int = 0,
        interrupts: NativeInterrupts | None = None,
    ) -> None:
        """Raises ModelError when there is not enough memory.

        adapters: addresses of native adapters with their scales, laid over the weights. outputs: tokens of a batch
        whose logits are wanted at most, one a sequence at least. interrupts: what may stop an evaluation in the middle.
        """
        parameters = native.llama_context_default_params()
        parameters.n_ctx = cells
        parameters.n_seq_max = sequences
        parameters.n_batch = parameters.n_ubatch = batch_tokens
        parameters.n_outputs_max = max(outputs, sequences)  # with fewer llama.cpp ends the process
        parameters.swa_full = True
        parameters.n_threads = parameters.n_threads_batch = threads
        parameters.kv_unified = True
        self.ctx = native.llama_init_from_model(weights.model, parameters)
        if not self.ctx:
            raise ModelError(
                f"A context of {cells:,} tokens could not be opened.",
                "Give the model a smaller context in the bench or the settings, or unload another model.",
                "\n".join(LOG.lines),
            )
        self._memory = native.llama_get_memory(self.ctx)
        self._threads = threads
        self._kept: list[NDArray[np.float32]] = []
        if interrupts:
            native.llama_set_abort_callback(self.ctx, interrupts.callback, interrupts.data)
        if adapters:
            self.lay(adapters)
        self._vocabulary = int(native.llama_vocab_n_tokens(native.llama_model_get_vocab(weights.model)))
        self._make_batch(batch_tokens, sequences)

    @property
    def cells(self) -> int:
        return int(native.llama_n_ctx(self.ctx))

    def evaluate(self, runs: list[Run], apart: bool = False) -> tuple[int, list[int]]:
        """Evaluate runs in one go, or one by one: the native code's answer (0 is success), and where their logits are.

        An index is only meaningful for a run that wanted logits, and until the next call.
        """
        self._kept.clear()
        if not apart:
            return self._decode(runs)
        for run in runs:
            code, indices = self._decode([run])
            if code != 0:
                return code, []
            self._kept.append(self._read(indices[0]).copy())
        return 0, list(range(len(runs)))

    def logits(self, index: int) -> NDArray[np.float32]:
        """The logits at an index that `evaluate` gave; a view that the next call overwrites."""
        return self._kept[index] if self._kept else self._read(index)

    def _decode(self, runs: list[Run]) -> tuple[int, list[int]]:
        count = 0
        indices = []
        for run in runs:
            end = count + len(run.tokens)
            self._tokens[count:end] = run.tokens
            self._positions[count:end] = np.arange(run.position, run.position + len(run.tokens))
            self._rows[count:end] = self._row_addresses[run.sequence]
            self._outputs[count:end] = run.wants_all
            self._outputs[end - 1] = run.wants_logits or run.wants_all
            indices.append(end - 1)
            count = end
        self._batch.n_tokens = count
        return int(native.llama_decode(self.ctx, self._batch)), indices

    def _read(self, index: int) -> NDArray[np.float32]:
        pointer = native.llama_get_logits_ith(self.ctx, index)
        return np.ctypeslib.as_array(pointer, shape=(self._vocabulary,))

    def use_threads(self, threads: int) -> None:
        """Compute with so many threads from now on."""
        if threads != self._threads:
            native.llama_set_n_threads(self.ctx, threads, threads)
            self._threads = threads

    def copy(self, source: int, target: int, start: int, end: int) -> None:
        """Let a sequence have the tokens in these places as another one has seen them."""
        native.llama_memory_seq_cp(self._memory, source, target, start, end)

    def cut(self, sequence: int, start: int, end: int = -1) -> None:
        """Forget a part of a sequence; recurrent models cannot do that."""
        native.llama_memory_seq_rm(self._memory, sequence, start, end)

    def forget(self, sequence: int) -> None:
        """Free a whole sequence."""
        native.llama_memory_seq_rm(self._memory, sequence, -1, -1)

    def clear(self) -> None:
        """Forget everything, so that what follows is computed as if nothing had been before."""
        native.llama_memory_clear(self._memory, False)

    def save(self, sequence: int) -> bytes:
        """All that a sequence has seen; nothing where that fails."""
        size = int(native.llama_state_seq_get_size(self.ctx, sequence))
        state = np.empty(size, dtype=np.uint8)
        kind = ctypes.POINTER(ctypes.c_uint8)
        written = int(native.llama_state_seq_get_data(self.ctx, state.ctypes.data_as(kind), size, sequence))
        return state[:written].tobytes()

    def load(self, sequence: int, state: bytes) -> bool:
        """Give an empty sequence what was saved; False where that fails, and the sequence is empty then."""
        raw = np.frombuffer(state, dtype=np.uint8)
        kind = ctypes.POINTER(ctypes.c_uint8)
        if native.llama_state_seq_set_data(self.ctx, raw.ctypes.data_as(kind), len(raw), sequence):
            return True
        self.forget(sequence)
        return False

    def close(self) -> None:
        if self.ctx:
            native.llama_free(self.ctx)
            self.ctx = None

    def lay(self, adapters: Sequence[tuple[int, float]]) -> None:
        """Lay other adapters over the weights, and forget every sequence. Raises ModelError, and is closed then."""
        native.llama_memory_clear(self._memory, False)
        kind = native.llama_adapter_lora_p_ctypes
        handles = (kind * len(adapters))(*(ctypes.cast(address, kind) for address, _ in adapters))
        scales = (ctypes.c_float * len(adapters))(*(scale for _, scale in adapters))
        if native.llama_set_adapters_lora(self.ctx, handles, len(adapters), scales) != 0:
            self.close()
            raise ModelError(
                "llama.cpp refused to lay the adapters over the model.",
                "Choose adapters that were trained on this model.",
                "\n".join(LOG.lines),
            )

    def _make_batch(self, tokens: int, sequences: int) -> None:
        self._tokens = np.zeros(tokens, dtype=np.int32)
        self._positions = np.zeros(tokens, dtype=np.int32)
        self._counts = np.ones(tokens, dtype=np.int32)
        self._outputs = np.zeros(tokens, dtype=np.int8)
        self._sequence_ids = np.arange(sequences, dtype=np.int32)
        self._row_addresses = self._sequence_ids.ctypes.data + 4 * np.arange(sequences, dtype=np.uint64)
        self._rows = np.zeros(tokens, dtype=np.uint64)
        kinds = dict(native.llama_batch._fields_)
        self._batch = native.llama_batch(
            n_tokens=0,
            token=self._tokens.ctypes.data_as(kinds["token"]),
            embd=None,
            pos=self._positions.ctypes.data_as(kinds["pos"]),
            n_seq_id=self._counts.ctypes.data_as(kinds["n_seq_id"]),
            seq_id=self._rows.ctypes.data_as(kinds["seq_id"]),
            logits=self._outputs.ctypes.data_as(kinds["logits"]),
        )
