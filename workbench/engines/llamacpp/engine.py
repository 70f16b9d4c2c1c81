"""The llama.cpp engine: requests to token ids by the model's chat template, and their rows in the scheduler.

Knows nothing of processes; it must run in one of its own, because native code can end its process.
"""

from __future__ import annotations

import contextlib
import dataclasses
import functools
import time
from collections.abc import Callable, Sequence

import msgspec
import psutil

from workbench.cores.lease import Lease
from workbench.cores.machine import count_cores
from workbench.engines.answer import Answer
from workbench.engines.bandwidth import bandwidth_share
from workbench.engines.engine import EngineStatus, Outcome, Request, Sampling, Tokenized, Weighing
from workbench.engines.limits import check_length, check_sampling, find_biases
from workbench.engines.llamacpp.adapters import Adapters, Laid, Use
from workbench.engines.llamacpp.admission import Limits
from workbench.engines.llamacpp.annex import Annex
from workbench.engines.llamacpp.build import Build, choose_build
from workbench.engines.llamacpp.context import Context
from workbench.engines.llamacpp.contexts import Contexts
from workbench.engines.llamacpp.crew import Crew
from workbench.engines.llamacpp.grammar import Grammar, write_grammar
from workbench.engines.llamacpp.layouts import Layouts
from workbench.engines.llamacpp.parking import Parking
from workbench.engines.llamacpp.row import LlamaRow, WeighingRow
from workbench.engines.llamacpp.scheduler import Scheduler
from workbench.engines.llamacpp.sizes import adapts_to_length, on_gpu
from workbench.engines.llamacpp.tools import Tools
from workbench.engines.llamacpp.tuning import Tuning
from workbench.engines.llamacpp.vocabulary import LlamaVocabulary
from workbench.engines.llamacpp.weights import Weights
from workbench.engines.pace import UNSEEN, YIELDING, Pace
from workbench.engines.prompts import Prompts
from workbench.engines.sampler import Sampler
from workbench.engines.sizes import (
    context_size,
    may_prepare,
    overlay_cells,
    prompt_pace,
)
from workbench.engines.tally import Tally
from workbench.engines.weighing import Branches
from workbench.errors import ModelError
from workbench.models.cache_size import shared_cells
from workbench.models.inspect import check_fits, inspect_gguf
from workbench.models.reference import Model, ModelInfo


class LlamaEngine:
    """Engine over llama.cpp; see engine.py for the protocol."""

    def __init__(
        self,
        model: Model,
        info: ModelInfo,
        weights: Weights,
        base: Context,
        open_context: Callable[[Laid], Context],
        build: Build,
        clock: Callable[[], float] = time.perf_counter,
    ) -> None:
        """base: a context of the bare model. open_context: one with adapters laid over the weights."""
        self._info = info
        self._weights = weights
        self._build = build
        self._clock = clock
        self._vocabulary = LlamaVocabulary(weights)
        self._prompts = Prompts(self._vocabulary, model.chat_template or weights.read_text("tokenizer.chat_template"))
        self._adapters = Adapters(model, weights)
        self._interrupts = build.interrupts
        self._parking = Parking(build.parked_bytes)
        self._tally = Tally()
        self._curious = False
        self._lease = Lease.open(build.threads)
        self._annex = self._open_annex(open_context)
        self._tools = Tools(
            self._vocabulary,
            clock,
            Pace(build.tokens, prompt_pace(info), build.step_seconds, unseen=YIELDING if build.shares else UNSEEN),
            self._parking,
            Crew(build.interrupts, clock),
            self._tally,
            build.outputs,
            self._lease.threads,
            Layouts(splits=self._annex is not None),
            self._annex,
        )
        self._tuning = self._tune(base) if build.lays_out else None
        self._contexts = Contexts(base, open_context, self._schedule, self._may_open, self._tools)

    def _open_annex(self, open_context: Callable[[Laid], Context]) -> Annex | None:
        """A second context for halves of a step, where that can pay and there is memory."""
        if self._build.lays_out and self._may_open():
            with contextlib.suppress(ModelError):  # it is not needed
                return Annex(open_context(()), self._build.sequences)
        return None

    def _tune(self, base: Context) -> Tuning:
        contexts = [base, self._annex.context] if self._annex else [base]
        tools, build = self._tools, self._build
        found = Tuning(tools.layouts, tools.crew, contexts, build.scratch, self._lease, build.threads, self._clock)
        found.measure()
        return found

    def _may_open(self) -> bool:
        """Whether there is memory for a context that nobody has asked for."""
        return may_prepare(self._info.cell_bytes * self._info.context_tokens, _free_bytes())

    def _schedule(self, context: Context, use: Use) -> Scheduler:
        build, tokens = self._build, self._info.context_tokens
        limits = Limits(build.rows, build.guests, build.sequences, context.cells, tokens, shares=build.shares)
        if not use.fresh:
            return Scheduler(context, limits, self._tools, use)
        alone = limits._replace(rows=1, guests=0, shares=False)
        fixed = Pace(build.tokens, prompt_pace(self._info), fixed=True)
        return Scheduler(context, alone, self._tools._replace(pace=fixed, annex=None), use)

    @classmethod
    def open(
        cls,
        model: Model,
        threads: int,
        max_context_tokens: int,
        advance: Callable[[float | None], bool],
        parked_bytes: int = -1,
        step_seconds: float = 0.0,
    ) -> LlamaEngine:
        """Load a model. Raises ModelError with one clear message for each way in which that can fail.

        parked_bytes, step_seconds: see the Open command.
        """
        info = inspect_gguf(model.path)
        size = context_size(model, info, max_context_tokens)
        if not on_gpu():
            check_fits(info, size)
        cells = shared_cells(info, size, psutil.virtual_memory().available)
        if adapts_to_length(model):
            cells = size
        weights = Weights(model.path, advance)
        try:
            if not weights.can_generate:
                raise ModelError(
                    f"{model.path} is not a model that writes text (its architecture is {info.architecture}).",
                    "Choose a generative model.",
                )
            build = choose_build(weights, info, threads or count_cores())
            if parked_bytes >= 0:
                build = dataclasses.replace(build, parked_bytes=parked_bytes)
            if step_seconds > 0:
                build = dataclasses.replace(build, step_seconds=step_seconds)
            base = build.open(weights, cells)

            def open_context(laid: Laid) -> Context:
                free = psutil.virtual_memory().available
                cells = size if adapts_to_length(model) else overlay_cells(info, size, free)
                return build.open(weights, cells, laid)

            loaded = msgspec.structs.replace(
                info,
                context_tokens=size,
                memory_bytes=info.file_bytes + info.cell_bytes * base.cells,
                has_chat_template=info.has_chat_template or model.chat_template is not None,
                engine="llama.cpp",
                device="gpu" if on_gpu() else "cpu",
            )
            return cls(model, loaded, weights, base, open_context, build)
        except BaseException:
            weights.close()
            raise

    @property
    def info(self) -> ModelInfo:
        return self._info

    @property
    def busy(self) -> bool:
        return self._contexts.busy or self._curious

    @property
    def status(self) -> EngineStatus:
        tally, schedulers = self._tally, self._contexts.schedulers
        contexts = [*self._contexts.contexts, *([self._annex.context] if self._annex else [])]
        cells = sum(context.cells for context in contexts)
        return EngineStatus(
            tokens_per_second=tally.tokens_per_second if self.busy else 0.0,
            running=sum(scheduler.sequences[0] for scheduler in schedulers),
            waiting=sum(scheduler.sequences[1] for scheduler in schedulers) + self._contexts.waiting,
            read_tokens=tally.read,
            cached_tokens=tally.cached,
            written_tokens=tally.written,
            cells=cells,
            used_cells=sum(scheduler.cells for scheduler in schedulers),
            contexts=len(contexts),
            weights_bytes=self._weights.bytes,
            cache_bytes=cells * self._info.cell_bytes,
            parked_bytes=self._parking.bytes,
            parked=len(self._parking),
            threads=self._lease.granted,
            cores=self._lease.cores,
            bandwidth_share=bandwidth_share(self._weights.bytes, tally.step_seconds),
        )

    def submit(self, request: Request) -> None:
        """Take a request. Raises EngineError or TemplateError for one that cannot be run."""
        check_sampling(request.sampling)
        _, prompt = self._prompts.read(request)
        check_length(len(prompt), self._info.context_tokens)
        tokenize = functools.partial(self._vocabulary.tokenize, special=False)
        biases = find_biases(request.sampling, tokenize, self._vocabulary.size)
        answer = self._prompts.begin_answer(request, self._clock())
        laid = self._adapters.lay(request.adapters)
        sampler = Sampler(request.sampling, biases, prompt, self._read_grammar(request.sampling))
        answer.reproducible = request.reproducible
        self._contexts.add(Use(laid, request.reproducible), LlamaRow(answer, sampler))

    def weigh(self, weighing: Weighing) -> None:
        """Take a weighing. Raises EngineError, TemplateError or ModelError for one that cannot be done."""
        branches = Branches(weighing, self._prompts, self._info.context_tokens, weighing.reproducible)
        answer = Answer(branches.request, branches.shared, self._clock(), (), None)
        laid = self._adapters.lay(weighing.adapters)
        self._contexts.add(Use(laid, weighing.reproducible), WeighingRow(answer, branches))

    def interrupt(self, request_id: int) -> None:
        self._interrupts.call_off(request_id)

    def make_way(self, sign: int) -> None:
        self._interrupts.make_way(sign)

    def go_on(self, sign: int) -> None:
        self._interrupts.go_on(sign)

    def cancel(self, request_id: int) -> None:
        self._interrupts.forget(request_id)
        self._contexts.cancel(request_id)

    def step(self) -> Sequence[Outcome]:
        if self._tuning and self._curious:  # the last answer is with who asked, and nobody waits
            self._curious = False
            self._tuning.measure()
            return ()
        self._lease.begin(any(scheduler.watched for scheduler in self._contexts.schedulers))
        read, written, started = self._tally.read, self._tally.written, self._clock()
        events = self._contexts.step()
        read, written = self._tally.read - read, self._tally.written - written
        if read or written:
            self._lease.note((read.bit_length(), written), self._clock() - started)
        self._curious = self._tuning is not None and self._tuning.left and not self._contexts.busy
        if not self.busy:
            self._lease.end()
        return events

    def tokenize(self, request: Request) -> Tokenized:
        return self._prompts.show(request)

    def count(self, requests: Sequence[Request]) -> tuple[int, ...]:
        return tuple(len(self._prompts.read(request)[1]) for request in requests)

    def close(self) -> None:
        self._lease.close()
        self._contexts.close()
        self._tools.crew.close()
        if self._annex:
            self._annex.context.close()
        self._weights.close()

    def _read_grammar(self, sampling: Sampling) -> Grammar | None:
        text = write_grammar(sampling)
        return Grammar(text, self._vocabulary.handle, self._vocabulary.size) if text else None


def _free_bytes() -> int:
    return int(psutil.virtual_memory().available)
