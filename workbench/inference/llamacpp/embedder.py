"""Embeddings by llama.cpp, pooled as the file says, by the mean where it says nothing."""

from __future__ import annotations

import ctypes
import os
from typing import Any

import numpy as np
from numpy.typing import NDArray

from workbench.errors import EngineError, ModelError
from workbench.inference.embedding.protocol import TextKind
from workbench.inference.embedding.worker import too_many_tokens
from workbench.inference.llamacpp.native import LOG, native
from workbench.inference.llamacpp.weights import LoadedWeights
from workbench.models.reference import Model

_MOST_TOKENS = 8192
_UNSPECIFIED, _NONE, _MEAN, _RANK = -1, 0, 1, 4
"""llama.cpp's kinds of pooling"""


class GgufEmbedder:
    """A GGUF file; one text at a time is evaluated."""

    def __init__(self, model: Model) -> None:
        """Raises ModelError."""
        self._name = model.name
        self._weights = LoadedWeights(model.path, lambda fraction: True)
        trained = int(native.llama_model_n_ctx_train(self._weights.model))
        self._limit = min(model.context_tokens or trained or _MOST_TOKENS, _MOST_TOKENS)
        self._context = self._open(_UNSPECIFIED)
        if native.llama_pooling_type(self._context) == _NONE:
            native.llama_free(self._context)
            self._context = self._open(_MEAN)
        if native.llama_pooling_type(self._context) == _RANK:
            raise ModelError(f"{model.name} ranks pairs of texts, and gives no embeddings.", "Choose another model.")
        self._dimensions = int(native.llama_model_n_embd(self._weights.model))
        self._vocabulary = native.llama_model_get_vocab(self._weights.model)
        self._memory = native.llama_get_memory(self._context)
        self._batch = native.llama_batch_init(self._limit, 0, 1)

    def embed(self, texts: tuple[str, ...], kind: TextKind) -> NDArray[np.float32]:
        return np.stack([self._embed(text) for text in texts])

    def _open(self, pooling: int) -> Any:
        parameters = native.llama_context_default_params()
        parameters.embeddings = True
        parameters.pooling_type = pooling
        # an encoder sees a text as a whole, so that it has to fit into one step
        parameters.n_ctx = parameters.n_batch = parameters.n_ubatch = self._limit
        parameters.n_threads = parameters.n_threads_batch = max(1, min(os.cpu_count() or 1, 8))
        context = native.llama_init_from_model(self._weights.model, parameters)
        if not context:
            raise ModelError(
                f"A context of {self._limit:,} tokens could not be opened for {self._name}.",
                "Give the model a smaller context_tokens in the bench.",
                "\n".join(LOG.lines),
            )
        return context

    def _embed(self, text: str) -> NDArray[np.float32]:
        tokens = self._tokenize(text)
        if len(tokens) > self._limit:
            raise too_many_tokens(self._name, text, len(tokens), self._limit)
        if self._memory:
            native.llama_memory_clear(self._memory, True)
        batch = self._batch
        batch.n_tokens = len(tokens)
        for index, token in enumerate(tokens):
            batch.token[index], batch.pos[index], batch.logits[index] = token, index, 1
            batch.n_seq_id[index], batch.seq_id[index][0] = 1, 0
        evaluate = native.llama_decode if self._memory else native.llama_encode
        status = evaluate(self._context, batch)
        vector = native.llama_get_embeddings_seq(self._context, 0) if status == 0 else None
        if not vector:
            raise EngineError(
                f"llama.cpp gave no embedding (status {status}).", "Choose another model.", "\n".join(LOG.lines)
            )
        return np.ctypeslib.as_array(vector, (self._dimensions,)).astype(np.float32)

    def _tokenize(self, text: str) -> list[int]:
        data = text.encode("utf-8", "replace")
        room = len(data) + 16
        buffer = (ctypes.c_int32 * room)()
        count = native.llama_tokenize(self._vocabulary, data, len(data), buffer, room, True, False)
        if count < 1:
            raise EngineError(f"{self._name} makes no token of a text.", "Leave empty texts out.")
        return list(buffer[:count])
