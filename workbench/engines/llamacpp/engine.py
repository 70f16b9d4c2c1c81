"""The llama.cpp engine: requests to token ids by the model's chat template, and their rows in the scheduler.

Knows nothing of processes; it must run in one of its own, because native code can end its process.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence

import msgspec
import psutil

from workbench.engines.answer import Answer
from workbench.engines.engine import Event, Request, Tokenized
from workbench.engines.limits import check_sampling
from workbench.engines.llamacpp.context import Context
from workbench.engines.llamacpp.sampler import Sampler
from workbench.engines.llamacpp.scheduler import Scheduler
from workbench.engines.llamacpp.sizes import adapts_to_length, on_gpu
from workbench.engines.llamacpp.vocabulary import Vocabulary
from workbench.engines.llamacpp.weights import Weights
from workbench.engines.prompts import Prompts
from workbench.engines.sizes import SEQUENCES, cache_cells, choose_threads, context_size, prompt_pace
from workbench.engines.thinking import ThinkingFilter, find_open_tag
from workbench.errors import EngineError, ModelError
from workbench.models.inspect import check_fits, inspect_gguf
from workbench.models.reference import Model, ModelInfo

LARGEST_BIAS = 1e6
"""Beyond every logit; infinities would turn into numbers that are not numbers."""


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
        self._prompts = Prompts(self._vocabulary, model.chat_template or weights.read_text("tokenizer.chat_template"))
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
        text, prompt = self._prompts.read(request)
        self._check_length(prompt)
        chat = request.mode == "chat"
        biases = self._find_biases(request)
        answer = Answer(
            request,
            prompt,
            self._clock(),
            request.sampling.stop + (self._prompts.stops if chat else ()),
            ThinkingFilter(find_open_tag(text)) if chat else None,
        )
        self._scheduler.add(answer, Sampler(request.sampling, biases, self._vocabulary.size, prompt))

    def cancel(self, request_id: int) -> None:
        self._scheduler.cancel(request_id)

    def step(self) -> Sequence[Event]:
        return self._scheduler.step()

    def tokenize(self, request: Request) -> Tokenized:
        _, ids = self._prompts.read(request)
        spelled = [self._vocabulary.spell(token) for token in ids]
        pieces = tuple(piece.decode("utf-8", "replace") for piece in spelled)
        return Tokenized(b"".join(spelled).decode("utf-8", "replace"), tuple(ids), pieces)

    def count(self, requests: Sequence[Request]) -> tuple[int, ...]:
        return tuple(len(self._prompts.read(request)[1]) for request in requests)

    def close(self) -> None:
        self._scheduler.close()
        self._context.close()
        self._weights.close()

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
                biases[token] = min(max(value, -LARGEST_BIAS), LARGEST_BIAS)
        unknown = [str(token) for token in biases if token >= self._vocabulary.size]
        if unknown:
            raise EngineError(
                f"logit_bias names tokens that the model does not have: {', '.join(unknown)}.",
                f"Token ids are below {self._vocabulary.size:,}; other keys are text.",
            )
        return biases
