"""Pictures through llama.cpp's mtmd: the projector file (mmproj), a picture's tokens, and their evaluation.

A picture is evaluated outside the scheduler's batch: a llama_batch holds tokens or embeddings, never both, and some
models want their own attention or positions for them. It is encoded once, remembered by its digest, and decoded into
the slot of its sequence between two batches.
"""

from __future__ import annotations

import ctypes
import os
import weakref
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import llama_cpp.mtmd_cpp as mtmd
import numpy as np

from workbench.errors import EngineError, ModelError
from workbench.inference.llamacpp.native import LOG, log_callback, native
from workbench.inference.llamacpp.weights import LoadedWeights
from workbench.inference.picture_decoding import decode_picture
from workbench.inference.picture_tokens import EmbeddingCache, EncodedPicture, PictureChunk, PictureNumbers
from workbench.inference.scheduling.preemption import StepAborted
from workbench.models.projector import check_projector
from workbench.models.reference import Model
from workbench.prompting.pictures import Picture

_SIZES = {"mtmd_context_params": 96, "mtmd_input_text": 24}
"""Bytes of the C structs that this code fills, on 64-bit machines."""

_NODES = 16
"""Of an encoder's graph, evaluated between two looks at whether to go on: less than one of its layers."""

_REMEMBERED = 16
"""Pictures whose prepared pixels are kept."""


class _NativeChunk:
    """A native chunk, freed when nobody refers to it any more. key: of its embeddings."""

    def __init__(self, handle: Any, key: tuple[str, int]) -> None:
        self.handle = handle
        self.key = key
        weakref.finalize(self, mtmd.mtmd_input_chunk_free, handle)


class Projector:
    """The projector of loaded weights, which must stay loaded; it is opened with the first picture."""

    placeholder = ""

    def __init__(self, model: Model, weights: LoadedWeights, threads: int, batch_tokens: int) -> None:
        """batch_tokens: that one call of llama_decode takes at most."""
        self._model, self._weights, self._threads, self._batch_tokens = model, weights, threads, batch_tokens
        self._context: Any = None
        self._numbers = PictureNumbers()
        self._encoded: dict[str, EncodedPicture] = {}
        self._embeddings = EmbeddingCache()
        self._watch = _EncodingWatch()
        self.bytes = 0

    def encode(self, picture: Picture) -> EncodedPicture:
        """Raises ModelError for a model without a projector, EngineError for a picture that cannot be decoded."""
        digest = picture.digest
        if digest not in self._encoded:
            while len(self._encoded) >= _REMEMBERED:
                del self._encoded[next(iter(self._encoded))]
            self._encoded[digest] = self._tokenize(picture, digest)
        return self._encoded[digest]

    def decode(self, chunk: PictureChunk, context: Any, slot: int, position: int, check: Callable[[], None]) -> int:
        """Evaluate a picture's positions in a slot: what llama_decode says, 0 where all went well.

        check: called while the picture is encoded and before it is decoded; may raise StepAborted.
        """
        embeddings = self._embeddings.get(chunk.content.key, lambda: self._embed(chunk.content.handle, check))
        check()
        end = ctypes.c_int32(position)
        kind = ctypes.POINTER(ctypes.c_float)
        return int(
            mtmd.mtmd_helper_decode_image_chunk(
                self._open(),
                context,
                chunk.content.handle,
                embeddings.ctypes.data_as(kind),
                position,
                slot,
                self._batch_tokens,
                ctypes.byref(end),
                mtmd.mtmd_helper_post_decode_callback(),
                None,
            )
        )

    def close(self) -> None:
        self._encoded.clear()
        if self._context:
            mtmd.mtmd_free(self._context)
            self._context = None

    def _embed(self, handle: Any, check: Callable[[], None]) -> np.ndarray[Any, np.dtype[np.float32]]:
        """A chunk's embeddings, [positions, width]. Raises StepAborted."""
        context = self._open()
        LOG.lines.clear()
        with self._watch.begin(check):
            code = mtmd.mtmd_encode_chunk(context, handle)
        if code != 0:
            raise EngineError(
                "llama.cpp could not encode the picture.", "Make it smaller, or run again.", "\n".join(LOG.lines)
            )
        shape = int(mtmd.mtmd_input_chunk_get_n_tokens(handle)), self._weights.input_width
        return np.ctypeslib.as_array(mtmd.mtmd_get_output_embd(context), shape=shape).copy()

    def _tokenize(self, picture: Picture, digest: str) -> EncodedPicture:
        pixels = np.ascontiguousarray(np.asarray(decode_picture(picture), dtype=np.uint8))
        context = self._open()
        height, width, _ = pixels.shape
        bitmap = mtmd.mtmd_bitmap_init(width, height, pixels.ctypes.data_as(ctypes.POINTER(ctypes.c_uint8)))
        chunks = mtmd.mtmd_input_chunks_init()
        try:
            marker = mtmd.mtmd_default_marker()
            text = mtmd.mtmd_input_text(marker, len(marker), False, True)
            bitmaps = (mtmd.mtmd_bitmap_p_ctypes * 1)(bitmap)
            LOG.lines.clear()
            if mtmd.mtmd_tokenize(context, chunks, ctypes.byref(text), bitmaps, 1) != 0:
                raise EngineError(
                    f"llama.cpp could not prepare the picture {picture.name}.", "Try another.", "\n".join(LOG.lines)
                )
            count = int(mtmd.mtmd_input_chunks_size(chunks))
            handles = [mtmd.mtmd_input_chunks_get(chunks, index) for index in range(count)]
            return EncodedPicture(tuple(self._read(handle, digest, at) for at, handle in enumerate(handles)))
        finally:
            mtmd.mtmd_input_chunks_free(chunks)
            mtmd.mtmd_bitmap_free(bitmap)

    def _read(self, handle: Any, digest: str, index: int) -> list[int] | PictureChunk:
        """A chunk of the native list, copied."""
        count = ctypes.c_size_t()
        if mtmd.mtmd_input_chunk_get_type(handle) == mtmd.MTMD_INPUT_CHUNK_TYPE_TEXT:
            tokens = mtmd.mtmd_input_chunk_get_tokens_text(handle, ctypes.byref(count))
            return [] if tokens is None else list(tokens[: count.value])
        size = int(mtmd.mtmd_input_chunk_get_n_tokens(handle))
        if mtmd.mtmd_decode_use_non_causal(self._context, handle) and size > self._batch_tokens:
            raise EngineError(
                f"The picture takes {size:,} tokens, which {self._model.name} has to read at once, and"
                f" {self._batch_tokens:,} are.",
                "Make it smaller.",
            )
        content = _NativeChunk(mtmd.mtmd_input_chunk_copy(handle), (digest, index))
        ids = self._numbers.number(digest, index, size)
        return PictureChunk(ids, int(mtmd.mtmd_input_chunk_get_n_pos(handle)), content)

    def _open(self) -> Any:
        """The native context. Raises ModelError."""
        if self._context is None:
            path = check_projector(self._model)
            _check_library()
            parameters = mtmd.mtmd_context_params_default()
            parameters.use_gpu = self._weights.on_gpu
            parameters.print_timings = parameters.warmup = False
            parameters.n_threads = self._threads
            if not self._weights.on_gpu:  # there it takes milliseconds, and looking on takes fused kernels apart
                parameters.cb_eval = self._watch.callback
            LOG.lines.clear()
            context = mtmd.mtmd_init_from_file(os.fsencode(path), self._weights.model, parameters)
            if not context:
                raise _explain(self._model, path)
            self._context, self.bytes = context, path.stat().st_size
            if not mtmd.mtmd_support_vision(context):
                raise ModelError(f"{path} has no vision encoder.", "Choose the model's mmproj file.")
        return self._context


class _EncodingWatch:
    """Leaves the encoding of a picture in the middle: the scheduler of ggml's backends (`ggml_backend_sched`) evaluates
    a graph up to each node that its callback wants to see, and leaves it where the callback then says no.

    It calls on the thread that encodes. callback: for native code. nodes: of the graph that it has come to.
    """

    def __init__(self) -> None:
        self.callback: Any = native.ggml_backend_sched_eval_callback(self._look)
        self._check: Callable[[], None] = lambda: None
        self.nodes = 0
        self._left = False

    @contextmanager
    def begin(self, check: Callable[[], None]) -> Iterator[None]:
        """check: as in Projector.decode; raises what it raised, once the native code is left."""
        self._check, self.nodes, self._left = check, 0, False
        yield
        if self._left:
            raise StepAborted

    def _look(self, tensor: Any, asks: bool, data: Any) -> bool:
        """asks: whether it is to be called again when the node is evaluated."""
        if asks:
            self.nodes += 1
            return self._left or self.nodes % _NODES == 0
        try:
            self._check()
        except StepAborted:  # no exception can pass through native code
            self._left = True
        return not self._left


def _check_library() -> None:
    """Raise ModelError where the native structs are not those that this code knows."""
    odd = [name for name, size in _SIZES.items() if ctypes.sizeof(getattr(mtmd, name)) != size]
    if odd:
        raise ModelError(
            f"llama-cpp-python's {', '.join(odd)} is not what was expected.", "Install the version the project names."
        )
    mtmd.mtmd_log_set(log_callback, None)
    mtmd.mtmd_helper_log_set(log_callback, None)


def _explain(model: Model, path: Path) -> ModelError:
    words = "\n".join(LOG.lines)
    if "mismatch between text model" in words:
        reason = next(line for line in LOG.lines if "mismatch between text model" in line)
        return ModelError(
            f"The projector {path.name} does not belong to {model.name}: {reason[reason.index('mismatch') :]}.",
            "Choose the mmproj file that was published with this model.",
            words,
        )
    return ModelError(
        f"llama.cpp could not load the projector {path}.",
        "The file may be damaged, or of a kind that this version does not know; fetch it again.",
        words,
    )
