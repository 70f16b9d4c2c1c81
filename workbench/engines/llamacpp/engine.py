"""The llama.cpp engine: requests to token ids by the model's chat template, and their rows in the scheduler.

Knows nothing of processes; it must run in one of its own, because native code can end its process.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Sequence

import msgspec
import psutil

from workbench.engines.engine import Event, Request, Tokenized
from workbench.engines.limits import check_sampling
from workbench.engines.llamacpp.answer import Answer
from workbench.engines.llamacpp.context import Context
from workbench.engines.llamacpp.native import native
from workbench.engines.llamacpp.sampler import Sampler
from workbench.engines.llamacpp.scheduler import Scheduler
from workbench.engines.llamacpp.vocabulary import Vocabulary
from workbench.engines.llamacpp.weights import Weights
from workbench.engines.thinking import ThinkingFilter, find_open_tag
from workbench.errors import EngineError, ModelError
from workbench.models.header import read_header
from workbench.models.inspect import check_fits, inspect_gguf
from workbench.models.reference import Model, ModelInfo
from workbench.prompting.chat import CHATML, PLAIN, PLAIN_STOP, ChatTemplate, Segment, render_segments

SEQUENCES = 16
_SMALL_BYTES = 300 * 2**20
_CACHE_BYTES = 2 * 2**30
"""Memory that the KV cache takes at most, unless a single context needs more."""
_REMEMBERED_PROMPTS = 256


class LlamaEngine:
    """Engine over llama.cpp; see engine.py for the protocol."""

    def __init__(
        self,
        model: Model,
        info: ModelInfo,
        weights: Weights,
        context: Context,
        clock: Callable[[], float] = time.perf_counter,
    ) -> None:
        self._info = info
        self._weights = weights
        self._context = context
        self._clock = clock
        self._vocabulary = Vocabulary(weights)
        self._template, self._stops = self._choose_template(model)
        self._prompts: dict[bytes, tuple[str, list[int]]] = {}
        self._scheduler = Scheduler(context, self._vocabulary, SEQUENCES, prompt_pace(info), info.context_tokens, clock)

    @classmethod
    def open(
        cls, model: Model, threads: int, max_context_tokens: int, advance: Callable[[float | None], bool]
    ) -> LlamaEngine:
        """Load a model. Raises ModelError with one clear message for each way in which that can fail."""
        info = inspect_gguf(model.path)
        size = context_size(model, info, max_context_tokens)
        if not on_gpu():
            check_fits(info, size)
        cells = cache_cells(info, size, psutil.virtual_memory().available)
        if adapts_to_length(model):
            cells = size
        weights = Weights(model.path, advance)
        try:
            if not weights.can_generate:
                raise ModelError(
                    f"{model.path} is not a model that writes text (its architecture is {info.architecture}).",
                    "Choose a generative model.",
                )
            context = Context(weights, cells, SEQUENCES, 256 + SEQUENCES, choose_threads(info, threads))
            loaded = msgspec.structs.replace(
                info,
                context_tokens=size,
                memory_bytes=info.file_bytes + info.cell_bytes * context.cells,
                has_chat_template=info.has_chat_template or model.chat_template is not None,
                engine="llama.cpp",
                device="gpu" if on_gpu() else "cpu",
            )
            return cls(model, loaded, weights, context)
        except BaseException:
            weights.close()
            raise

    @property
    def info(self) -> ModelInfo:
        return self._info

    @property
    def busy(self) -> bool:
        return self._scheduler.busy

    def submit(self, request: Request) -> None:
        """Take a request. Raises EngineError or TemplateError for one that cannot be run."""
        check_sampling(request.sampling)
        text, prompt = self._read(request)
        self._check_length(prompt)
        chat = request.mode == "chat"
        biases = self._find_biases(request)
        answer = Answer(
            request,
            prompt,
            self._clock(),
            request.sampling.stop + (self._stops if chat else ()),
            ThinkingFilter(find_open_tag(text)) if chat else None,
        )
        self._scheduler.add(answer, Sampler(request.sampling, biases, self._vocabulary.size, prompt))

    def cancel(self, request_id: int) -> None:
        self._scheduler.cancel(request_id)

    def step(self) -> Sequence[Event]:
        return self._scheduler.step()

    def tokenize(self, request: Request) -> Tokenized:
        _, ids = self._read(request)
        spelled = [self._vocabulary.spell(token) for token in ids]
        pieces = tuple(piece.decode("utf-8", "replace") for piece in spelled)
        return Tokenized(b"".join(spelled).decode("utf-8", "replace"), tuple(ids), pieces)

    def count(self, requests: Sequence[Request]) -> tuple[int, ...]:
        return tuple(len(self._read(request)[1]) for request in requests)

    def close(self) -> None:
        self._scheduler.close()
        self._context.close()
        self._weights.close()

    def _read(self, request: Request) -> tuple[str, list[int]]:
        """The final text and its token ids; remembered, since a prompt is counted, shown and run."""
        key = msgspec.msgpack.encode((request.mode, request.messages))
        if key not in self._prompts:
            while len(self._prompts) >= _REMEMBERED_PROMPTS:
                del self._prompts[next(iter(self._prompts))]
            segments = self._lay_out(request)
            ids = self._vocabulary.begin(self._tokenize(segments))
            self._prompts[key] = "".join(segment.text for segment in segments), ids
        return self._prompts[key]

    def _lay_out(self, request: Request) -> tuple[Segment, ...]:
        if request.mode == "completion":
            return (Segment("".join(message.content for message in request.messages)),)
        if not request.messages:
            return ()
        return render_segments(self._template, request.messages, self._vocabulary.control)

    def _tokenize(self, segments: Sequence[Segment]) -> list[int]:
        ids: list[int] = []
        for segment in segments:
            tokenize = self._vocabulary.continue_text if ids else self._vocabulary.tokenize
            ids += tokenize(segment.text, not segment.literal)
        return ids

    def _check_length(self, prompt: list[int]) -> None:
        if not prompt:
            raise EngineError("The request is empty.", "Write something into the prompt.")
        if len(prompt) >= self._info.context_tokens:
            raise EngineError(
                f"The prompt has {len(prompt):,} tokens, and the context holds {self._info.context_tokens:,}.",
                "Shorten the prompt, switch examples off, or give the model a larger context.",
            )

    def _find_biases(self, request: Request) -> dict[int, float]:
        biases: dict[int, float] = {}
        for key, value in request.sampling.logit_bias.items():
            by_id = key.isascii() and key.isdigit()
            for token in [int(key)] if by_id else self._vocabulary.tokenize(key, special=False):
                biases[token] = value
        unknown = [str(token) for token in biases if token >= self._vocabulary.size]
        if unknown:
            raise EngineError(
                f"logit_bias names tokens that the model does not have: {', '.join(unknown)}.",
                f"Token ids are below {self._vocabulary.size:,}; other keys are text.",
            )
        return biases

    def _choose_template(self, model: Model) -> tuple[ChatTemplate, tuple[str, ...]]:
        """The template to use and the stop strings that come with it."""
        source = model.chat_template or self._weights.read_text("tokenizer.chat_template")
        stops: tuple[str, ...] = ()
        if not source:
            chatml = self._vocabulary.has("<|im_start|>", "<|im_end|>")
            source, stops = (CHATML, ()) if chatml else (PLAIN, (PLAIN_STOP,))
        names = (self._vocabulary.text(self._vocabulary.bos), self._vocabulary.text(self._vocabulary.eos))
        return ChatTemplate(source, *names), stops


def context_size(model: Model, info: ModelInfo, most: int) -> int:
    """Tokens that one conversation may have: what the model asks for, else what it was trained with up to `most`."""
    return model.context_tokens or min(info.context_trained_tokens or most, most)


def cache_cells(info: ModelInfo, context_tokens: int, free_bytes: int) -> int:
    """Cells of KV cache: as many whole contexts as there are sequences, if memory allows, and always one."""
    spare = min(_CACHE_BYTES, (free_bytes - info.file_bytes) // 2)
    contexts = spare // max(1, info.cell_bytes * context_tokens)
    return context_tokens * max(1, min(SEQUENCES, contexts))


def adapts_to_length(model: Model) -> bool:
    """Whether the model computes positions differently once its context is opened for long texts.

    llama.cpp decides that by the whole cache's size, so such a model gets a cache of one context only.
    """
    return any(tensor.name.startswith("rope_factors_long") for tensor in read_header(model.path).tensors)


def on_gpu() -> bool:
    """Whether llama.cpp was built for a GPU; the weights then lie in its memory, all of them."""
    return bool(native.llama_supports_gpu_offload())


def choose_threads(info: ModelInfo, wanted: int) -> int:
    """Threads to compute with; 0 chooses.

    A small model's step is so short that threads mostly wait for each other, and beside another busy program
    they wait hundreds of times longer than they work; one thread is then as fast and always smooth.
    """
    if wanted > 0:
        return wanted
    if info.file_bytes < _SMALL_BYTES:
        return 1
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def prompt_pace(info: ModelInfo) -> int:
    """Prompt tokens in one step: fewer for large models, whose steps would keep a cancel waiting.

    It follows from the file alone, never from measured times, so that the same run computes the same numbers.
    """
    return 256 if info.file_bytes < 2**30 else 64 if info.file_bytes < 4 * 2**30 else 32
