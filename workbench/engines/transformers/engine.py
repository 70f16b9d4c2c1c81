"""The transformers engine: requests to token ids by the folder's chat template, and their rows in the scheduler.

Knows nothing of processes; it belongs into one of its own, because torch is slow to load and holds its memory.
"""

from __future__ import annotations

import functools
import time
from collections.abc import Callable, Sequence

import msgspec
import psutil
import torch

from workbench.engines.answer import Answer
from workbench.engines.engine import Outcome, Request, Tokenized, Weighing
from workbench.engines.limits import check_length, check_sampling, find_biases
from workbench.engines.prompts import Prompts
from workbench.engines.sampler import Sampler
from workbench.engines.sizes import SEQUENCES, cache_cells, choose_threads, context_size, prompt_pace
from workbench.engines.transformers import checkpoint
from workbench.engines.transformers.adapters import Adapters
from workbench.engines.transformers.checkpoint import Checkpoint, load_checkpoint
from workbench.engines.transformers.memory import Memory, choose_memory
from workbench.engines.transformers.scheduler import MemoryRow, Scheduler, WeighingRow
from workbench.engines.transformers.vocabulary import TransformersVocabulary
from workbench.engines.weighing import Branches
from workbench.models.folder import inspect_folder
from workbench.models.inspect import check_fits
from workbench.models.precision import size_in_memory
from workbench.models.reference import Model, ModelInfo


class TransformersEngine:
    """Engine over transformers and peft; see engine.py of the floor above for the protocol."""

    def __init__(
        self,
        model: Model,
        info: ModelInfo,
        loaded: Checkpoint,
        memory: Memory,
        rows: int,
        clock: Callable[[], float] = time.perf_counter,
    ) -> None:
        self._info = info
        self._clock = clock
        self._vocabulary = TransformersVocabulary(loaded.tokenizer, info.vocabulary, loaded.ends)
        template = model.chat_template or loaded.chat_template
        self._prompts = Prompts(self._vocabulary, template, completes_template=False)
        self._adapters = Adapters(model, loaded.model)
        self._scheduler = Scheduler(memory, self._vocabulary, rows, prompt_pace(info), info.context_tokens, clock)

    @classmethod
    def open(
        cls, model: Model, threads: int, max_context_tokens: int, advance: Callable[[float | None], bool]
    ) -> TransformersEngine:
        """Load a model. Raises ModelError with one clear message for each way in which that can fail."""
        info = inspect_folder(model.path)
        size = context_size(model, info, max_context_tokens)
        device = checkpoint.choose_device()
        dtype = checkpoint.choose_dtype(info.quantization, device, model.dtype)
        info = size_in_memory(model, info, _name(dtype))
        check_fits(info, size, checkpoint.free_bytes(device))
        torch.set_num_threads(choose_threads(info, threads))
        loaded = load_checkpoint(model, dtype, device, advance)
        advance(0.9)
        free = checkpoint.free_bytes(device) or psutil.virtual_memory().available + info.file_bytes
        head = loaded.model.get_output_embeddings()
        opened = msgspec.structs.replace(
            info,
            file_bytes=inspect_folder(model.path).file_bytes,
            context_tokens=size,
            vocabulary=info.vocabulary if head is None else head.weight.shape[0],
            memory_bytes=info.file_bytes + info.cell_bytes * size,
            has_chat_template=bool(model.chat_template or loaded.chat_template),
            engine="transformers",
            unsupported_sampling=("grammar", "json_schema"),
            device=device.type,
            dtype=_name(loaded.model.dtype),
            quantization=loaded.packed or info.quantization,
        )
        rows = min(SEQUENCES, cache_cells(info, size, free) // size)
        return cls(model, opened, loaded, choose_memory(loaded.model), rows)

    @property
    def info(self) -> ModelInfo:
        return self._info

    @property
    def busy(self) -> bool:
        return self._scheduler.busy

    @property
    def status(self) -> None:
        return None

    def submit(self, request: Request) -> None:
        """Take a request. Raises EngineError, TemplateError or ModelError for one that cannot be run."""
        check_sampling(request.sampling)
        _, prompt = self._prompts.read(request)
        check_length(len(prompt), self._info.context_tokens)
        tokenize = functools.partial(self._vocabulary.tokenize, special=False)
        biases = find_biases(request.sampling, tokenize, self._info.vocabulary)
        overlay = self._adapters.lay(request.adapters, self._scheduler.overlays)
        check_length(len(prompt) + overlay.tokens, self._info.context_tokens)
        answer = self._prompts.begin_answer(request, self._clock())
        self._scheduler.add(MemoryRow(answer, Sampler(request.sampling, biases, prompt), overlay))

    def weigh(self, weighing: Weighing) -> None:
        """Take a weighing. Raises EngineError, TemplateError or ModelError for one that cannot be done."""
        branches = Branches(weighing, self._prompts, self._info.context_tokens)
        overlay = self._adapters.lay(weighing.adapters, self._scheduler.overlays)
        check_length(branches.longest + overlay.tokens, self._info.context_tokens)
        answer = Answer(branches.request, branches.shared, self._clock(), (), None)
        self._scheduler.add(WeighingRow(answer, overlay, branches))

    def interrupt(self, request_id: int) -> None:
        """Its steps are short: prompts are read in pieces."""

    def cancel(self, request_id: int) -> None:
        self._scheduler.cancel(request_id)

    def step(self) -> Sequence[Outcome]:
        return self._scheduler.step()

    def tokenize(self, request: Request) -> Tokenized:
        return self._prompts.show(request)

    def count(self, requests: Sequence[Request]) -> tuple[int, ...]:
        return tuple(len(self._prompts.read(request)[1]) for request in requests)

    def close(self) -> None:
        self._scheduler.close()


def _name(dtype: torch.dtype) -> str:
    return str(dtype).removeprefix("torch.")
