"""What llama.cpp's own multimodal helpers answer, by direct calls of the binding: the yardstick for the engine."""

from __future__ import annotations

import ctypes
from collections.abc import Sequence
from pathlib import Path

import llama_cpp.llama_cpp as native  # noqa: TID253
import llama_cpp.mtmd_cpp as mtmd  # noqa: TID253
import numpy as np
from PIL import Image

MARKER = "<__media__>"


class MtmdOracle:
    """A model and its projector, evaluated by `mtmd_helper_eval_chunks`, greedily."""

    def __init__(self, model: Path, projector: Path) -> None:
        native.llama_backend_init()
        self._model = native.llama_model_load_from_file(str(model).encode(), native.llama_model_default_params())
        parameters = mtmd.mtmd_context_params_default()
        parameters.use_gpu = parameters.print_timings = parameters.warmup = False
        parameters.n_threads = 1
        self._projector = mtmd.mtmd_init_from_file(str(projector).encode(), self._model, parameters)
        assert self._projector

    def prefill(self, text: str, pictures: Sequence[Image.Image]) -> tuple[np.ndarray, int]:
        """The logits behind a prompt whose MARKERs are these pictures, and the tokens that it takes."""
        context, chunks, past = self._evaluate(text, pictures)
        count = int(mtmd.mtmd_helper_get_n_tokens(chunks))
        logits = self._logits(context)
        mtmd.mtmd_input_chunks_free(chunks)
        native.llama_free(context)
        assert past > 0
        return logits, count

    def answer(self, text: str, pictures: Sequence[Image.Image], tokens: int) -> list[int]:
        """The likeliest tokens, at most so many, up to one that ends an answer."""
        context, chunks, _ = self._evaluate(text, pictures)
        vocabulary = native.llama_model_get_vocab(self._model)
        written: list[int] = []
        while len(written) < tokens:
            token = int(self._logits(context).argmax())
            if native.llama_vocab_is_eog(vocabulary, token):
                break
            written.append(token)
            batch = native.llama_batch_get_one((ctypes.c_int32 * 1)(token), 1)
            assert native.llama_decode(context, batch) == 0
        mtmd.mtmd_input_chunks_free(chunks)
        native.llama_free(context)
        return written

    def spell(self, tokens: Sequence[int]) -> str:
        vocabulary = native.llama_model_get_vocab(self._model)
        spelled = b""
        for token in tokens:
            buffer = ctypes.create_string_buffer(64)
            count = native.llama_token_to_piece(vocabulary, token, buffer, 64, 0, False)
            spelled += buffer.raw[:count]
        return spelled.decode("utf-8", "replace")

    def close(self) -> None:
        mtmd.mtmd_free(self._projector)
        native.llama_model_free(self._model)

    def _evaluate(self, text: str, pictures: Sequence[Image.Image]) -> tuple[object, object, int]:
        parameters = native.llama_context_default_params()
        parameters.n_ctx, parameters.n_threads, parameters.n_threads_batch = 512, 1, 1
        context = native.llama_init_from_model(self._model, parameters)
        arrays = [np.ascontiguousarray(np.asarray(picture.convert("RGB"), np.uint8)) for picture in pictures]
        kind = ctypes.POINTER(ctypes.c_uint8)
        bitmaps = [mtmd.mtmd_bitmap_init(one.shape[1], one.shape[0], one.ctypes.data_as(kind)) for one in arrays]
        chunks = mtmd.mtmd_input_chunks_init()
        encoded = text.encode()
        given = mtmd.mtmd_input_text(encoded, len(encoded), False, True)
        held = (mtmd.mtmd_bitmap_p_ctypes * len(bitmaps))(*bitmaps)
        assert mtmd.mtmd_tokenize(self._projector, chunks, ctypes.byref(given), held, len(bitmaps)) == 0
        past = ctypes.c_int32(0)
        code = mtmd.mtmd_helper_eval_chunks(self._projector, context, chunks, 0, 0, 256, True, ctypes.byref(past))
        assert code == 0
        for bitmap in bitmaps:
            mtmd.mtmd_bitmap_free(bitmap)
        return context, chunks, past.value

    def _logits(self, context: object) -> np.ndarray:
        vocabulary = int(native.llama_vocab_n_tokens(native.llama_model_get_vocab(self._model)))
        return np.ctypeslib.as_array(native.llama_get_logits_ith(context, -1), shape=(vocabulary,)).copy()
