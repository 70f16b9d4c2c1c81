"""The llama.cpp engine: requests to token ids by the model's chat template, and their sequences in the scheduler.

It must run in a process of its own, because native code can end its process.
"""

from __future__ import annotations

import dataclasses
import time
from collections.abc import Callable, Sequence

import msgspec
import psutil

from workbench.cpu_budget.budget import CpuBudget
from workbench.cpu_budget.machine import count_cores
from workbench.errors import ModelError
from workbench.inference.bandwidth import bandwidth_share
from workbench.inference.chunk_builder import ChunkBuilder
from workbench.inference.constraints import ConstraintCompiler
from workbench.inference.limits import check_length
from workbench.inference.llamacpp.adapters import ContextKey, LlamaAdapters, LoraSet
from workbench.inference.llamacpp.backend import LlamaBackend
from workbench.inference.llamacpp.build import ContextBuild, choose_build
from workbench.inference.llamacpp.context import Context
from workbench.inference.llamacpp.context_pool import ContextPool
from workbench.inference.llamacpp.decode_strategy import DecodeStrategy
from workbench.inference.llamacpp.loading import PlacedLoader, find_devices
from workbench.inference.llamacpp.projector import Projector
from workbench.inference.llamacpp.vocabulary import LlamaVocabulary
from workbench.inference.llamacpp.weights import LoadedWeights
from workbench.inference.prompt_encoder import PromptEncoder
from workbench.inference.sampler import Sampler
from workbench.inference.sampling_fields import check_sampling
from workbench.inference.sampling_tokens import find_tokens
from workbench.inference.scheduling.batch import Part
from workbench.inference.scheduling.host_cache import HostCache
from workbench.inference.scheduling.loglikelihood import Continuations, LoglikelihoodSequence
from workbench.inference.scheduling.prefill_budget import BATCH_FACTOR, PREEMPTED_FACTOR, PrefillBudget
from workbench.inference.scheduling.scheduler import Scheduler
from workbench.inference.scheduling.sequences import SequenceState
from workbench.inference.scheduling.stats import EngineStats
from workbench.inference.scheduling.step import Resources
from workbench.inference.sizes import adapter_cells, context_size, fits_spare, prefill_chunk
from workbench.inference.types import EngineStatus, GenerateRequest, LoglikelihoodRequest, Outcome, Tokenized
from workbench.models.context_shape import adapts_to_length, choose_kv_tokens, expect_work
from workbench.models.memory_estimate import with_kv_type
from workbench.models.model_info import check_fits, inspect_gguf
from workbench.models.reference import Model, ModelInfo


class LlamaEngine:
    """Engine over llama.cpp; see types.py for the protocol."""

    def __init__(
        self,
        model: Model,
        info: ModelInfo,
        weights: LoadedWeights,
        base: Context,
        open_context: Callable[[LoraSet], Context],
        build: ContextBuild,
        clock: Callable[[], float] = time.perf_counter,
        on_cpu: bool = True,
    ) -> None:
        """base: a context without adapters. open_context: one with them. on_cpu: the CPU computes some of it."""
        self._info = info
        self._weights = weights
        self._build = build
        self._clock = clock
        self._vocabulary = LlamaVocabulary(weights)
        self._projector = Projector(model, weights, build.threads, build.batch_tokens)
        template = model.chat_template or weights.read_text("tokenizer.chat_template")
        self._prompts = PromptEncoder(self._vocabulary, template, pictures=self._projector)
        self._constraints = ConstraintCompiler(self._vocabulary)
        self._adapters = LlamaAdapters(model, weights)
        self._preemption = build.abort
        self._host = HostCache(build.prompt_cache_bytes)
        self._stats = EngineStats()
        self._on_cpu = on_cpu
        self._cpu_budget = CpuBudget.open(build.threads) if on_cpu else CpuBudget.none()
        self._strategy = DecodeStrategy()
        self._used_granted = True
        # only the CPU leaves a step in the middle: see abort_callback.py
        factor = PREEMPTED_FACTOR if build.prefix_cache and not build.on_device else BATCH_FACTOR
        self._resources = Resources(
            self._vocabulary,
            clock,
            PrefillBudget(build.prompt_tokens, prefill_chunk(info), build.step_seconds, batch_factor=factor),
            self._host,
            self._stats,
            self._preemption,
            self._choose_threads,
        )
        self._contexts = ContextPool(
            base,
            open_context,
            self._schedule,
            self._fits_spare,
            self._resources,
            self._strategy,
            self._cpu_budget.threads,
        )

    def _choose_threads(self, parts: Sequence[Part]) -> int:
        granted = self._cpu_budget.threads()
        if any(part.sequence.deterministic for part in parts):
            threads = 1  # how many threads add up moves the last bits
        else:
            threads = self._strategy.threads(parts, granted) if self._on_cpu else granted
        self._used_granted = threads == granted
        return threads

    def _fits_spare(self) -> bool:
        """Whether there is memory for a context that nobody has asked for."""
        return fits_spare(self._info.kv_bytes_per_token * self._info.context_tokens, _free_bytes())

    def _schedule(self, context: Context, key: ContextKey) -> Scheduler:
        limits = self._build.limits(context.kv_tokens, self._info.context_tokens, key.deterministic)
        backend = LlamaBackend(context, limits, key.deterministic, self._projector, self._preemption.check)
        return Scheduler(backend, self._resources)

    @classmethod
    def open(
        cls,
        model: Model,
        threads: int,
        max_context_tokens: int,
        advance: Callable[[float | None], bool],
        prompt_cache_bytes: int = -1,
        step_seconds: float = 0.0,
    ) -> LlamaEngine:
        """Load a model. Raises ModelError with one clear message for each way in which that can fail.

        prompt_cache_bytes, step_seconds: see the Open command.
        """
        info = with_kv_type(inspect_gguf(model.path), model.offload)
        size = context_size(model, info, max_context_tokens)
        devices = find_devices(model.offload)
        if not devices:
            check_fits(info, size)
        own = [one.device for one in devices]
        kv_tokens = choose_kv_tokens(model, info, size, own, psutil.virtual_memory().available)

        def build_for(weights: LoadedWeights) -> ContextBuild:
            if not weights.can_generate:
                raise ModelError(
                    f"{model.path} is not a model that writes text (its architecture is {info.architecture}).",
                    "Choose a generative model.",
                )
            build = choose_build(weights, info, threads or count_cores(), model.offload)
            if prompt_cache_bytes >= 0:
                build = dataclasses.replace(build, prompt_cache_bytes=prompt_cache_bytes)
            return dataclasses.replace(build, step_seconds=step_seconds) if step_seconds > 0 else build

        placed = PlacedLoader(model, info, expect_work(info, kv_tokens), build_for, advance, devices).load()
        weights, build = placed.weights, placed.build
        try:

            def open_context(adapters: LoraSet) -> Context:
                free = psutil.virtual_memory().available
                kv_tokens = size if adapts_to_length(model) else adapter_cells(info, size, free)
                return build.open(weights, kv_tokens, adapters)

            loaded = msgspec.structs.replace(
                info,
                context_tokens=size,
                memory_bytes=info.file_bytes + info.kv_bytes_per_token * placed.base.kv_tokens,
                has_chat_template=info.has_chat_template or model.chat_template is not None,
                engine="llama.cpp",
                device=placed.device,
                placement=placed.shares,
                load_notes=placed.notes,
                step_plan=build.plan,
            )
            return cls(model, loaded, weights, placed.base, open_context, build, on_cpu=placed.on_cpu)
        except BaseException:
            weights.close()
            raise

    @property
    def info(self) -> ModelInfo:
        return self._info

    @property
    def busy(self) -> bool:
        return self._contexts.busy

    @property
    def status(self) -> EngineStatus:
        stats, schedulers, contexts = self._stats, self._contexts.schedulers, self._contexts.contexts
        kv_tokens = sum(context.kv_tokens for context in contexts)
        return EngineStatus(
            tokens_per_second=stats.tokens_per_second if self.busy else 0.0,
            running=sum(scheduler.sizes[0] for scheduler in schedulers),
            waiting=sum(scheduler.sizes[1] for scheduler in schedulers) + self._contexts.waiting,
            prefill_tokens=stats.prefill_tokens,
            cached_tokens=stats.cached_tokens,
            completion_tokens=stats.completion_tokens,
            kv_tokens=kv_tokens,
            used_kv_tokens=sum(scheduler.used_tokens for scheduler in schedulers),
            contexts=len(contexts),
            weights_bytes=self._weights.bytes + self._projector.bytes,
            kv_cache_bytes=kv_tokens * self._info.kv_bytes_per_token,
            prompt_cache_bytes=self._host.bytes,
            offloaded_prefixes=len(self._host),
            threads=self._cpu_budget.granted,
            cores=self._cpu_budget.cores,
            # of the machine's RAM: weights on a device are read from its own memory
            bandwidth_share=None if self._build.on_device else bandwidth_share(self._weights.bytes, stats.step_seconds),
        )

    def submit(self, request: GenerateRequest) -> None:
        """Take a request. Raises EngineError or TemplateError for one that cannot be run."""
        check_sampling(request.sampling)
        _, prompt = self._prompts.read(request)
        check_length(len(prompt), self._info.context_tokens)
        tokens = find_tokens(request.sampling, self._vocabulary)
        chunks = self._prompts.begin_answer(request, self._clock())
        key = ContextKey(self._adapters.resolve(request.adapters), request.deterministic)
        sampler = Sampler(request.sampling, tokens, prompt, self._constraints.compile(request.sampling))
        chunks.deterministic = request.deterministic
        self._contexts.add(key, SequenceState(chunks, sampler, key=key, pictures=self._prompts.spans(request)))

    def loglikelihood(self, asked: LoglikelihoodRequest) -> None:
        """Take a request. Raises EngineError, TemplateError or ModelError for one that cannot be done."""
        continuations = Continuations(asked, self._prompts, self._info.context_tokens, asked.deterministic)
        chunks = ChunkBuilder(continuations.request, continuations.shared, self._clock(), (), None)
        key = ContextKey(self._adapters.resolve(asked.adapters), asked.deterministic)
        self._contexts.add(key, LoglikelihoodSequence(chunks, continuations, key=key))

    def abort(self, request_id: int) -> None:
        self._preemption.abort(request_id)

    def preempt(self, sign: int) -> None:
        self._preemption.preempt(sign)

    def resume(self, sign: int) -> None:
        self._preemption.resume(sign)

    def cancel(self, request_id: int) -> None:
        self._preemption.forget(request_id)
        self._contexts.cancel(request_id)

    def step(self) -> Sequence[Outcome]:
        self._cpu_budget.begin(any(scheduler.interactive for scheduler in self._contexts.schedulers))
        stats = self._stats
        prefill, completed, started = stats.prefill_tokens, stats.completion_tokens, self._clock()
        events = self._contexts.step()
        prefill, completed = stats.prefill_tokens - prefill, stats.completion_tokens - completed
        if (prefill or completed) and self._used_granted:
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
        self._contexts.close()
        self._projector.close()
        self._weights.close()


def _free_bytes() -> int:
    return int(psutil.virtual_memory().available)
