"""The transformers engine: requests to token ids by the folder's chat template, and their sequences in the scheduler.

It belongs into a process of its own, because torch is slow to load and holds its memory.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from typing import Any

import msgspec
import psutil
import torch

from workbench.cpu_budget.budget import CpuBudget
from workbench.inference.bandwidth import bandwidth_share
from workbench.inference.chunk_builder import ChunkBuilder
from workbench.inference.constraints import ConstraintCompiler
from workbench.inference.limits import check_length
from workbench.inference.prompt_encoder import PromptEncoder
from workbench.inference.sampler import Sampler
from workbench.inference.sampling_fields import check_sampling
from workbench.inference.sampling_tokens import find_tokens
from workbench.inference.scheduling.backend import Limits
from workbench.inference.scheduling.batch import Part
from workbench.inference.scheduling.host_cache import HostCache
from workbench.inference.scheduling.loglikelihood import Continuations, LoglikelihoodSequence
from workbench.inference.scheduling.preemption import Preemption
from workbench.inference.scheduling.prefill_budget import STEP_SECONDS, PrefillBudget
from workbench.inference.scheduling.scheduler import Scheduler
from workbench.inference.scheduling.sequences import SequenceState
from workbench.inference.scheduling.stats import EngineStats
from workbench.inference.scheduling.step import Resources
from workbench.inference.sizes import PROMPT_CACHE_BYTES, context_size, prefill_chunk
from workbench.inference.transformers import checkpoint
from workbench.inference.transformers.adapter_set import AppliedAdapters
from workbench.inference.transformers.adapters import AdapterSets
from workbench.inference.transformers.backend import LONGEST, MIN_CHUNK, TransformersBackend
from workbench.inference.transformers.checkpoint import LoadedCheckpoint, load_checkpoint
from workbench.inference.transformers.kv_cache import BatchedKVCache, KVCache, choose_kv_cache
from workbench.inference.transformers.picture_adapters import check_adapters
from workbench.inference.transformers.pictures import ProcessorPictures
from workbench.inference.transformers.placement import measure_placement
from workbench.inference.transformers.prepacked import prepack
from workbench.inference.transformers.processor import load_processor
from workbench.inference.transformers.vocabulary import TransformersVocabulary
from workbench.inference.types import EngineStatus, GenerateRequest, LoglikelihoodRequest, Outcome, Tokenized
from workbench.models.hf_folder import inspect_folder
from workbench.models.memory_estimate import SEQUENCES, kv_cache_tokens, size_in_memory
from workbench.models.model_info import check_fits
from workbench.models.reference import Applied, Model, ModelInfo

MOST_PREFILL = 1024
"""Prompt tokens of a step at most, however fast the machine."""


class TransformersEngine:
    """Engine over transformers and peft; see types.py for the protocol."""

    def __init__(
        self,
        model: Model,
        info: ModelInfo,
        loaded: LoadedCheckpoint,
        cache: KVCache,
        limits: Limits,
        resources: Resources,
        cpu_budget: CpuBudget,
        prepacked_bytes: int = 0,
        reload: Callable[[], Any] | None = None,
    ) -> None:
        """reload: loads the model's weights anew, should an adapter have changed them."""
        self._info = info
        self._model = loaded.model
        self._clock = resources.clock
        self._vocabulary = resources.vocabulary
        template = model.chat_template or loaded.chat_template
        schema = getattr(loaded.tokenizer, "response_schema", None)
        self._pictures = _open_pictures(model, loaded, cache)
        self._prompts = PromptEncoder(
            self._vocabulary, template, completes_template=False, response_schema=schema, pictures=self._pictures
        )
        self._constraints = ConstraintCompiler(self._vocabulary)
        self._adapters = AdapterSets(model, loaded.model, reload)
        self._weights_bytes = sum(tensor.nbytes for tensor in loaded.model.parameters())
        self._prepacked_bytes = prepacked_bytes
        self._cache = cache
        self._resources = resources
        self._cpu_budget = cpu_budget
        self._scheduler = Scheduler(TransformersBackend(cache, limits, self._pictures), resources)

    @classmethod
    def open(
        cls,
        model: Model,
        threads: int,
        max_context_tokens: int,
        advance: Callable[[float | None], bool],
        prompt_cache_bytes: int = -1,
        step_seconds: float = 0.0,
    ) -> TransformersEngine:
        """Load a model. Raises ModelError with one clear message for each way in which that can fail.

        prompt_cache_bytes, step_seconds: see the Open command.
        """
        info = inspect_folder(model.path)
        size = context_size(model, info, max_context_tokens)
        device = checkpoint.choose_device(model.device_map)
        dtype = checkpoint.choose_dtype(info.quantization, device, model.dtype)
        info = size_in_memory(model, info, _name(dtype))
        check_fits(info, size, checkpoint.free_bytes(device))
        cpu_budget = CpuBudget.open(threads)
        torch.set_num_threads(cpu_budget.threads())
        loaded = load_checkpoint(model, dtype, device, advance)
        if not checkpoint.computes_on_cpu(loaded.model):
            cpu_budget = CpuBudget.none()
        advance(0.9)
        free = checkpoint.free_bytes(device) or psutil.virtual_memory().available + info.file_bytes
        head = loaded.model.get_output_embeddings()
        opened = msgspec.structs.replace(
            info,
            file_bytes=inspect_folder(model.path).file_bytes,
            context_tokens=size,
            vocabulary=info.vocabulary if head is None else head.weight.shape[0],
            memory_bytes=info.file_bytes + info.kv_bytes_per_token * size,
            has_chat_template=bool(model.chat_template or loaded.chat_template),
            engine="transformers",
            device=device.type,
            dtype=_name(loaded.model.dtype),
            quantization=loaded.quantization or info.quantization,
            placement=measure_placement(loaded.model, info.kv_bytes_per_token * size),
        )
        rows = min(SEQUENCES, kv_cache_tokens(info, size, free) // size)
        prepacked = prepack(loaded.model, psutil.virtual_memory().available)
        preemption = Preemption()
        cache = choose_kv_cache(loaded.model, rows, size, preemption)
        chunk = prefill_chunk(info)
        seconds = step_seconds if step_seconds > 0 else STEP_SECONDS
        least = (min(MIN_CHUNK, chunk), chunk)  # each pass over the weights costs much, however few tokens it has

        def choose_threads(parts: Sequence[Part]) -> int:
            fixed = any(part.sequence.deterministic for part in parts)
            return 1 if fixed else cpu_budget.threads()  # how many threads add up moves the last bits

        resources = Resources(
            TransformersVocabulary(loaded.tokenizer, opened.vocabulary, loaded.ends),
            time.perf_counter,
            PrefillBudget(MOST_PREFILL, chunk, seconds, least=least),
            HostCache(prompt_cache_bytes if prompt_cache_bytes >= 0 else PROMPT_CACHE_BYTES),
            EngineStats(),
            preemption,
            choose_threads,
        )
        opened = msgspec.structs.replace(opened, memory_bytes=opened.memory_bytes + prepacked)

        def reload() -> Any:
            return load_checkpoint(model, dtype, device, lambda _: True).model

        return cls(
            model, opened, loaded, cache, make_limits(cache, rows, size), resources, cpu_budget, prepacked, reload
        )

    @property
    def info(self) -> ModelInfo:
        return self._info

    @property
    def busy(self) -> bool:
        return self._scheduler.busy

    @property
    def status(self) -> EngineStatus:
        stats, host, (rows, tokens) = self._resources.stats, self._resources.host, self._cache.size
        running, waiting = self._scheduler.sizes
        return EngineStatus(
            tokens_per_second=stats.tokens_per_second if self.busy else 0.0,
            running=running,
            waiting=waiting,
            prefill_tokens=stats.prefill_tokens,
            cached_tokens=stats.cached_tokens,
            completion_tokens=stats.completion_tokens,
            kv_tokens=rows * tokens,
            used_kv_tokens=self._scheduler.used_tokens,
            weights_bytes=self._weights_bytes + self._prepacked_bytes,
            kv_cache_bytes=self._cache.bytes,
            prompt_cache_bytes=host.bytes,
            offloaded_prefixes=len(host),
            threads=self._cpu_budget.granted,
            cores=self._cpu_budget.cores,
            bandwidth_share=bandwidth_share(self._weights_bytes, stats.step_seconds),
        )

    def submit(self, request: GenerateRequest) -> None:
        """Take a request. Raises EngineError, TemplateError or ModelError for one that cannot be run."""
        check_sampling(request.sampling, self._info.unsupported_sampling)
        _, prompt = self._prompts.read(request)
        check_length(len(prompt), self._info.context_tokens)
        tokens = find_tokens(request.sampling, self._vocabulary)
        adapters = self._apply(request.adapters)
        check_length(len(prompt) + adapters.tokens, self._info.context_tokens)
        chunks = self._prompts.begin_answer(request, self._clock())
        chunks.deterministic = request.deterministic
        sampler = Sampler(request.sampling, tokens, prompt, self._constraints.compile(request.sampling))
        pictures = self._prompts.spans(request)
        if pictures:
            check_adapters(adapters.module, self._model, request.adapters)
        self._scheduler.add(SequenceState(chunks, sampler, adapters, adapters.key, pictures))

    def loglikelihood(self, asked: LoglikelihoodRequest) -> None:
        """Take a request. Raises EngineError, TemplateError or ModelError for one that cannot be done."""
        continuations = Continuations(asked, self._prompts, self._info.context_tokens, asked.deterministic)
        adapters = self._apply(asked.adapters)
        if continuations.pictures:
            check_adapters(adapters.module, self._model, asked.adapters)
        check_length(continuations.longest + adapters.tokens, self._info.context_tokens)
        chunks = ChunkBuilder(continuations.request, continuations.shared, self._clock(), (), None)
        self._scheduler.add(LoglikelihoodSequence(chunks, continuations, adapters, adapters.key))

    def _apply(self, applied: Sequence[Applied]) -> AppliedAdapters:
        in_use = (one for one in self._scheduler.adapters if isinstance(one, AppliedAdapters))
        return self._adapters.apply(applied, in_use)

    def abort(self, request_id: int) -> None:
        self._resources.preemption.abort(request_id)

    def preempt(self, sign: int) -> None:
        self._resources.preemption.preempt(sign)

    def resume(self, sign: int) -> None:
        self._resources.preemption.resume(sign)

    def cancel(self, request_id: int) -> None:
        self._resources.preemption.forget(request_id)
        self._scheduler.cancel(request_id)

    def step(self) -> Sequence[Outcome]:
        self._cpu_budget.begin(self._scheduler.interactive)
        stats = self._resources.stats
        prefill, completed, started = stats.prefill_tokens, stats.completion_tokens, self._clock()
        events = self._scheduler.step()
        prefill, completed = stats.prefill_tokens - prefill, stats.completion_tokens - completed
        if prefill or completed:
            self._cpu_budget.record((prefill.bit_length(), completed), self._clock() - started)
        if not self.busy:
            self._cpu_budget.end()
        return events

    def tokenize(self, request: GenerateRequest) -> Tokenized:
        return self._prompts.show(request)

    def count(self, requests: Sequence[GenerateRequest]) -> tuple[int, ...]:
        return tuple(len(self._prompts.read(request)[1]) for request in requests)

    def close(self) -> None:
        self._cpu_budget.close()
        self._scheduler.close()


def make_limits(cache: KVCache, rows: int, context_tokens: int) -> Limits:
    """What a KV cache can hold: each row has room for a whole context, so that tokens are never short."""
    return Limits(
        rows,
        0,
        rows,
        2 * (rows + 1) * context_tokens,
        context_tokens,
        cached_tokens=0,
        outputs=LONGEST,
        min_chunk=MIN_CHUNK,
        prefix_cache=cache.batched,
        whole_prompts=not cache.batched,
        partial_states=cache.batched,
        offloads="all",
        swaps=True,
    )


def _open_pictures(model: Model, loaded: LoadedCheckpoint, cache: KVCache) -> ProcessorPictures | None:
    """None for a model that sees none, or whose KV cache takes a prompt only as a whole."""
    if not checkpoint.sees(loaded.model.config) or not isinstance(cache, BatchedKVCache):
        return None
    return ProcessorPictures(model, loaded.model, cache, lambda: load_processor(model.path))


def _name(dtype: torch.dtype) -> str:
    return str(dtype).removeprefix("torch.")
