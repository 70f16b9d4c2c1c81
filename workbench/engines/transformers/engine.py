"""The transformers engine: requests to token ids by the folder's chat template, and their rows in the scheduler.

Knows nothing of processes; it belongs into one of its own, because torch is slow to load and holds its memory.
"""

from __future__ import annotations

import functools
import time
from collections.abc import Callable, Sequence
from typing import Any

import msgspec
import psutil
import torch

from workbench.cores.lease import Lease
from workbench.engines.answer import Answer
from workbench.engines.bandwidth import bandwidth_share
from workbench.engines.engine import EngineStatus, Outcome, Request, Tokenized, Weighing
from workbench.engines.interrupts import Interrupts
from workbench.engines.limits import check_length, check_sampling, find_biases
from workbench.engines.pace import STEP_SECONDS
from workbench.engines.prompts import Prompts
from workbench.engines.sampler import Sampler
from workbench.engines.sizes import PARKED_BYTES, context_size, prompt_pace
from workbench.engines.tally import Tally
from workbench.engines.transformers import checkpoint
from workbench.engines.transformers.adapters import Adapters
from workbench.engines.transformers.checkpoint import Checkpoint, load_checkpoint
from workbench.engines.transformers.memory import Memory, choose_memory
from workbench.engines.transformers.pace import PassPace
from workbench.engines.transformers.prefixes import Prefixes
from workbench.engines.transformers.prepared import prepare
from workbench.engines.transformers.row import MemoryRow, WeighingRow
from workbench.engines.transformers.scheduler import Scheduler, Tools
from workbench.engines.transformers.vocabulary import TransformersVocabulary
from workbench.engines.weighing import Branches
from workbench.models.cache_size import SEQUENCES, cache_cells
from workbench.models.folder import inspect_folder
from workbench.models.inspect import check_fits
from workbench.models.precision import size_in_memory
from workbench.models.reference import Model, ModelInfo

MOST_READ = 1024
"""Prompt tokens of a step at most, however fast the machine."""


class TransformersEngine:
    """Engine over transformers and peft; see engine.py of the floor above for the protocol."""

    def __init__(
        self,
        model: Model,
        info: ModelInfo,
        loaded: Checkpoint,
        memory: Memory,
        rows: int,
        tools: Tools,
        lease: Lease,
        prepared_bytes: int = 0,
        reload: Callable[[], Any] | None = None,
    ) -> None:
        """reload: loads the model's weights anew, should an adapter have changed them."""
        self._info = info
        self._clock = tools.clock
        self._vocabulary = tools.vocabulary
        template = model.chat_template or loaded.chat_template
        schema = getattr(loaded.tokenizer, "response_schema", None)
        self._prompts = Prompts(self._vocabulary, template, completes_template=False, response_schema=schema)
        self._adapters = Adapters(model, loaded.model, reload)
        self._weights_bytes = sum(tensor.nbytes for tensor in loaded.model.parameters())
        self._prepared_bytes = prepared_bytes
        self._memory = memory
        self._tools = tools
        self._lease = lease
        self._scheduler = Scheduler(memory, tools, rows, info.context_tokens)

    @classmethod
    def open(
        cls,
        model: Model,
        threads: int,
        max_context_tokens: int,
        advance: Callable[[float | None], bool],
        parked_bytes: int = -1,
        step_seconds: float = 0.0,
    ) -> TransformersEngine:
        """Load a model. Raises ModelError with one clear message for each way in which that can fail.

        parked_bytes, step_seconds: see the Open command.
        """
        info = inspect_folder(model.path)
        size = context_size(model, info, max_context_tokens)
        device = checkpoint.choose_device()
        dtype = checkpoint.choose_dtype(info.quantization, device, model.dtype)
        info = size_in_memory(model, info, _name(dtype))
        check_fits(info, size, checkpoint.free_bytes(device))
        lease = Lease.open(threads)
        torch.set_num_threads(lease.threads())
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
        pace = prompt_pace(info)
        tools = Tools(
            vocabulary=TransformersVocabulary(loaded.tokenizer, opened.vocabulary, loaded.ends),
            clock=time.perf_counter,
            pace=PassPace(MOST_READ, pace, step_seconds if step_seconds > 0 else STEP_SECONDS),
            own_pace=pace,
            tally=Tally(),
            prefixes=Prefixes(parked_bytes if parked_bytes >= 0 else PARKED_BYTES),
            interrupts=Interrupts(),
            threads=lease.threads,
        )
        prepared = prepare(loaded.model, psutil.virtual_memory().available)
        memory = choose_memory(loaded.model, rows, size, tools.interrupts)
        opened = msgspec.structs.replace(opened, memory_bytes=opened.memory_bytes + prepared)

        def reload() -> Any:
            return load_checkpoint(model, dtype, device, lambda _: True).model

        return cls(model, opened, loaded, memory, rows, tools, lease, prepared, reload)

    @property
    def info(self) -> ModelInfo:
        return self._info

    @property
    def busy(self) -> bool:
        return self._scheduler.busy

    @property
    def status(self) -> EngineStatus:
        tally, prefixes, (rows, cells) = self._tools.tally, self._tools.prefixes, self._memory.size
        running, waiting = self._scheduler.sequences
        return EngineStatus(
            tokens_per_second=tally.tokens_per_second if self.busy else 0.0,
            running=running,
            waiting=waiting,
            read_tokens=tally.read,
            cached_tokens=tally.cached,
            written_tokens=tally.written,
            cells=rows * cells,
            used_cells=self._scheduler.cells,
            weights_bytes=self._weights_bytes + self._prepared_bytes,
            cache_bytes=self._memory.bytes,
            parked_bytes=prefixes.bytes,
            parked=len(prefixes),
            threads=self._lease.granted,
            cores=self._lease.cores,
            bandwidth_share=bandwidth_share(self._weights_bytes, tally.step_seconds),
        )

    def submit(self, request: Request) -> None:
        """Take a request. Raises EngineError, TemplateError or ModelError for one that cannot be run."""
        check_sampling(request.sampling, self._info.unsupported_sampling)
        _, prompt = self._prompts.read(request)
        check_length(len(prompt), self._info.context_tokens)
        tokenize = functools.partial(self._vocabulary.tokenize, special=False)
        biases = find_biases(request.sampling, tokenize, self._info.vocabulary)
        overlay = self._adapters.lay(request.adapters, self._scheduler.overlays)
        check_length(len(prompt) + overlay.tokens, self._info.context_tokens)
        answer = self._prompts.begin_answer(request, self._clock())
        answer.reproducible = request.reproducible
        self._scheduler.add(MemoryRow(answer, Sampler(request.sampling, biases, prompt), overlay))

    def weigh(self, weighing: Weighing) -> None:
        """Take a weighing. Raises EngineError, TemplateError or ModelError for one that cannot be done."""
        branches = Branches(weighing, self._prompts, self._info.context_tokens, weighing.reproducible)
        overlay = self._adapters.lay(weighing.adapters, self._scheduler.overlays)
        check_length(branches.longest + overlay.tokens, self._info.context_tokens)
        answer = Answer(branches.request, branches.shared, self._clock(), (), None)
        self._scheduler.add(WeighingRow(answer, overlay, branches))

    def interrupt(self, request_id: int) -> None:
        self._tools.interrupts.call_off(request_id)

    def make_way(self, sign: int) -> None:
        self._tools.interrupts.make_way(sign)

    def go_on(self, sign: int) -> None:
        self._tools.interrupts.go_on(sign)

    def cancel(self, request_id: int) -> None:
        self._tools.interrupts.forget(request_id)
        self._scheduler.cancel(request_id)

    def step(self) -> Sequence[Outcome]:
        self._lease.begin(self._scheduler.watched)
        events = self._scheduler.step()
        if not self.busy:
            self._lease.end()
        return events

    def tokenize(self, request: Request) -> Tokenized:
        return self._prompts.show(request)

    def count(self, requests: Sequence[Request]) -> tuple[int, ...]:
        return tuple(len(self._prompts.read(request)[1]) for request in requests)

    def close(self) -> None:
        self._lease.close()
        self._scheduler.close()


def _name(dtype: torch.dtype) -> str:
    return str(dtype).removeprefix("torch.")
