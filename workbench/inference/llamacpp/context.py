"""One llama_context: evaluates batches of tokens that belong to many sequences, and gives their logits."""

from __future__ import annotations

import ctypes
from collections.abc import Sequence

import numpy as np

from workbench.errors import ModelError, OutOfMemoryError
from workbench.inference.llamacpp.abort_callback import AbortCallback
from workbench.inference.llamacpp.device_sampling import DeviceSampling
from workbench.inference.llamacpp.devices import ask_memory
from workbench.inference.llamacpp.native import LOG, native
from workbench.inference.llamacpp.weights import LoadedWeights
from workbench.inference.logprobs import Logits
from workbench.inference.scheduling.backend import TokenRun
from workbench.offload import Offload

_KV_TYPES = {"f32": 0, "f16": 1, "q4_0": 2, "q4_1": 3, "q5_0": 6, "q5_1": 7, "q8_0": 8, "iq4_nl": 20, "bf16": 30}
"""ggml_type in ggml.h"""

_FLASH_ATTENTION = {"auto": -1, "off": 0, "on": 1}
"""llama_flash_attn_type in llama.h"""

_USUAL = Offload()


class Context:
    """A KV cache of `kv_tokens` tokens shared by `sequences` sequences, and the buffers of a batch.

    The batch points into numpy arrays, which are filled twenty times faster than ctypes ones.
    """

    def __init__(
        self,
        weights: LoadedWeights,
        kv_tokens: int,
        sequences: int,
        batch_tokens: int,
        threads: int,
        adapters: Sequence[tuple[int, float]] = (),
        outputs: int = 0,
        abort: AbortCallback | None = None,
        offload: Offload = _USUAL,
        remote: Sequence[int] = (),
        device_sampling: bool = False,
    ) -> None:
        """Raises OutOfMemoryError when there is not enough memory, ModelError for a KV cache that cannot be had.

        adapters: addresses of native adapters with their scales. outputs: tokens of a batch
        whose logits are wanted at most, one a sequence at least. abort: what may stop an evaluation in the middle.
        offload: the KV cache's type and place, flash attention. remote: devices of RPC servers that compute layers, by
        their handles. device_sampling: a device may pick greedy tokens.
        """
        parameters = native.llama_context_default_params()
        parameters.n_ctx = kv_tokens
        parameters.n_seq_max = sequences
        # one call of llama_decode is one ubatch: on a device nothing stops it before its end (abort_callback.py)
        parameters.n_batch = parameters.n_ubatch = batch_tokens
        parameters.n_outputs_max = max(outputs, sequences)  # with fewer llama.cpp ends the process
        parameters.swa_full = True
        parameters.n_threads = parameters.n_threads_batch = threads
        parameters.kv_unified = True
        parameters.type_k = parameters.type_v = _KV_TYPES[offload.kv_type]
        parameters.flash_attn_type = _FLASH_ATTENTION[offload.flash_attention]
        parameters.offload_kqv = offload.offload_kv
        self._sampling = DeviceSampling(sequences) if device_sampling else None
        if self._sampling:
            self._sampling.configure(parameters)
        LOG.lines.clear()
        self.ctx = native.llama_init_from_model(weights.model, parameters)
        if not self.ctx:
            if self._sampling:
                self._sampling.forget()
            if any("cache type" in line or "quantized V cache" in line for line in LOG.lines):
                raise ModelError(
                    f"The KV cache cannot have the type {offload.kv_type} with this model: {LOG.lines[-1].strip()}",
                    "Choose another kv_type, such as f16, or flash_attention: auto.",
                    "\n".join(LOG.lines),
                )
            raise OutOfMemoryError(
                f"A context of {kv_tokens:,} tokens could not be opened.",
                "Give the model a smaller context in the bench or the settings, or unload another model.",
                "\n".join(LOG.lines),
            )
        self._memory = native.llama_get_memory(self.ctx)
        self._threads = threads
        self._remote = tuple(remote)
        if self._sampling:
            self._sampling.adopt(self.ctx)
        self.sampled = False
        """whether a device picked the tokens of the last batch, which has no logits then"""
        if abort:
            native.llama_set_abort_callback(self.ctx, abort.callback, abort.data)
        if adapters:
            self.apply(adapters)
        self._vocabulary = int(native.llama_vocab_n_tokens(native.llama_model_get_vocab(weights.model)))
        self._make_batch(batch_tokens, sequences)

    @property
    def kv_tokens(self) -> int:
        return int(native.llama_n_ctx(self.ctx))

    def evaluate(self, runs: Sequence[TokenRun]) -> int:
        """Evaluate runs in one batch: what llama_decode says, 0 where all went well. Returns once it is computed, not
        once it is queued: a cancel must not wait for all that is queued, and its time is what later steps go by."""
        outputs = [run for run in runs if run.outputs]
        if outputs and self._sampling:
            self.sampled = self._sampling.prepare(all(run.greedy and run.logits == "last" for run in outputs))
        lengths = [len(run.tokens) for run in runs]
        count = sum(lengths)
        self._tokens[:count] = [token for run in runs for token in run.tokens]
        self._positions[:count] = [
            position
            for run, length in zip(runs, lengths, strict=True)
            for position in range(run.position, run.position + length)
        ]
        self._rows[:count] = np.repeat(self._row_addresses[[run.slot for run in runs]], lengths)
        self._outputs[:count] = np.repeat([run.logits == "all" for run in runs], lengths)
        self._outputs[np.cumsum(lengths) - 1] = [run.logits != "none" for run in runs]
        self._batch.n_tokens = count
        code = int(native.llama_decode(self.ctx, self._batch))
        if code == 0 and not outputs:  # else whoever reads the outputs waits for them
            self._wait()
        return code

    def read_sampled(self, indices: Sequence[int]) -> tuple[list[int], list[bool]]:
        """The tokens that the device picked behind tokens of the last batch, by their index in it; whether each row was
        sound."""
        assert self._sampling
        return self._sampling.read(indices, self._vocabulary)

    @property
    def picks(self) -> bool:
        """Whether a device picks the tokens of the next batch, should nothing else be asked of it."""
        return self._sampling is not None and self._sampling.attached

    def _wait(self) -> None:
        """Until the devices have computed what was queued.

        llama_synchronize waits until RPC servers have been sent everything. They answer in order, so that any answer
        means that what came before is done (ggml-rpc.cpp, rpc_dispatcher).
        """
        native.llama_synchronize(self.ctx)
        for handle in self._remote:
            ask_memory(handle)

    def logits(self, count: int) -> Logits:
        """The logits of the last batch, one row for each of its `count` tokens that wanted them, in its order; a view
        that the next batch overwrites."""
        if not count:
            return np.empty((0, self._vocabulary), np.float32)
        return np.ctypeslib.as_array(native.llama_get_logits(self.ctx), shape=(count, self._vocabulary))

    def use_threads(self, threads: int) -> None:
        """Compute with so many threads from now on."""
        if threads != self._threads:
            native.llama_set_n_threads(self.ctx, threads, threads)
            self._threads = threads

    def copy(self, source: int, target: int, start: int, end: int) -> None:
        """Let a sequence have the tokens in these positions as another one has seen them; no cell is copied."""
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
            if self._sampling:
                self._sampling.forget()

    def apply(self, adapters: Sequence[tuple[int, float]]) -> None:
        """Apply other adapters, and forget every sequence. Raises ModelError, and is closed then."""
        native.llama_memory_clear(self._memory, False)
        kind = native.llama_adapter_lora_p_ctypes
        handles = (kind * len(adapters))(*(ctypes.cast(address, kind) for address, _ in adapters))
        scales = (ctypes.c_float * len(adapters))(*(scale for _, scale in adapters))
        if native.llama_set_adapters_lora(self.ctx, handles, len(adapters), scales) != 0:
            self.close()
            raise ModelError(
                "llama.cpp could not apply the adapters to the model.",
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
