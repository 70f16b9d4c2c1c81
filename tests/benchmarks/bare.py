"""llama.cpp by hand: contexts over shared weights, a batch in numpy arrays, and the likeliest token; nothing else.

What the layouts of steps are held against. Knows nothing of the engine.
"""

from __future__ import annotations

import ctypes
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np


class Weights:
    """A file's weights, and adapters for them."""

    def __init__(self, path: Path) -> None:
        from workbench.inference.llamacpp.native import native, start

        start()
        self.native: Any = native
        self.model = native.llama_model_load_from_file(str(path).encode(), native.llama_model_default_params())
        assert self.model
        self.vocabulary = int(native.llama_vocab_n_tokens(native.llama_model_get_vocab(self.model)))

    def load(self, adapter: Path) -> Any:
        found = self.native.llama_adapter_lora_init(self.model, str(adapter).encode())
        assert found
        return found

    def close(self) -> None:
        self.native.llama_model_free(self.model)


class BareContext:
    """A unified cache of `cells` tokens, computed with so many threads."""

    def __init__(self, weights: Weights, cells: int, sequences: int, threads: int, batch: int = 512) -> None:
        native = weights.native
        parameters = native.llama_context_default_params()
        parameters.n_ctx, parameters.n_seq_max, parameters.kv_unified = cells, sequences, True
        parameters.n_batch = parameters.n_ubatch = batch
        parameters.n_outputs_max = sequences
        parameters.n_threads = parameters.n_threads_batch = threads
        self._native, self._vocabulary = native, weights.vocabulary
        self._ctx = native.llama_init_from_model(weights.model, parameters)
        assert self._ctx
        self._memory = native.llama_get_memory(self._ctx)
        self._make_batch(batch, sequences)

    def lay(self, adapter: Any) -> None:
        kind = self._native.llama_adapter_lora_p_ctypes
        self._native.llama_set_adapters_lora(self._ctx, (kind * 1)(adapter), 1, (ctypes.c_float * 1)(1.0))

    def clear(self) -> None:
        self._native.llama_memory_clear(self._memory, False)

    def begin(self, prompt: Sequence[int], rows: Sequence[int]) -> None:
        """Read a prompt, and let every row begin with it."""
        self.clear()
        self._evaluate(list(prompt), range(len(prompt)), [rows[0]] * len(prompt), [len(prompt) - 1])
        for row in rows[1:]:
            self._native.llama_memory_seq_cp(self._memory, rows[0], row, -1, -1)

    def step(self, tokens: Sequence[int], position: int, rows: Sequence[int]) -> list[int]:
        """One token for each row; the likeliest next ones."""
        return self._evaluate(tokens, [position] * len(rows), rows, range(len(rows)))

    def read(self, tokens: Sequence[int], row: int) -> int:
        """A row's prompt; the likeliest next token."""
        self._native.llama_memory_seq_rm(self._memory, row, -1, -1)
        return self._evaluate(tokens, range(len(tokens)), [row] * len(tokens), [len(tokens) - 1])[0]

    def close(self) -> None:
        self._native.llama_free(self._ctx)

    def _evaluate(
        self, tokens: Sequence[int], positions: Sequence[int], rows: Sequence[int], wanted: Sequence[int]
    ) -> list[int]:
        count = len(tokens)
        self._tokens[:count], self._positions[:count] = tokens, positions
        self._rows[:count] = self._addresses[list(rows)]
        self._outputs[:count] = 0
        self._outputs[list(wanted)] = 1
        self._batch.n_tokens = count
        code = self._native.llama_decode(self._ctx, self._batch)
        assert code == 0, code
        return [int(self._logits(index).argmax()) for index in wanted]

    def _logits(self, index: int) -> Any:
        pointer = self._native.llama_get_logits_ith(self._ctx, index)
        return np.ctypeslib.as_array(pointer, shape=(self._vocabulary,))

    def _make_batch(self, size: int, sequences: int) -> None:
        native, pointer = self._native, ctypes.POINTER
        self._tokens, self._positions = np.zeros(size, np.int32), np.zeros(size, np.int32)
        self._outputs, self._counts = np.zeros(size, np.int8), np.ones(size, np.int32)
        self._ids = np.arange(sequences, dtype=np.int32)
        self._addresses = self._ids.ctypes.data + 4 * np.arange(sequences, dtype=np.uint64)
        self._rows = np.zeros(size, np.uint64)
        batch = native.llama_batch()
        batch.token = self._tokens.ctypes.data_as(pointer(native.llama_token))
        batch.pos = self._positions.ctypes.data_as(pointer(native.llama_pos))
        batch.n_seq_id = self._counts.ctypes.data_as(pointer(ctypes.c_int32))
        batch.seq_id = self._rows.ctypes.data_as(pointer(pointer(native.llama_seq_id)))
        batch.logits = self._outputs.ctypes.data_as(pointer(ctypes.c_int8))
        self._batch = batch
