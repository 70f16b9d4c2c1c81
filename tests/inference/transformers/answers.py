"""What the tests of the transformers engine share: answers of the engine, and those of transformers itself."""

from __future__ import annotations

import dataclasses
import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import peft  # noqa: TID253 - the yardstick
import torch  # noqa: TID253 - the yardstick
import transformers  # noqa: TID253 - the yardstick
from peft.tuners.lora import LoraLayer  # noqa: TID253 - the yardstick

from workbench.inference.scheduling.host_cache import HostCache
from workbench.inference.scheduling.prefill_budget import PrefillBudget
from workbench.inference.scheduling.scheduler import Scheduler
from workbench.inference.scheduling.sequences import SequenceState
from workbench.inference.transformers.backend import TransformersBackend
from workbench.inference.transformers.engine import TransformersEngine
from workbench.inference.types import Chunk, Completion, Event, Failure, GenerateRequest, Sampling, fold
from workbench.models.reference import Adapter, Applied, Model
from workbench.prompting.prompt import Message

TOKENS = 12


def open_engine(folder: Path, template: str | None = None) -> TransformersEngine:
    return TransformersEngine.open(Model("tiny", folder, "hf", template), 1, 8192, lambda _: True)


@contextmanager
def rescheduled(
    engine: TransformersEngine, running: int = 0, chunk: int = 0, host_bytes: int | None = None
) -> Iterator[None]:
    """The engine with another scheduler: so many slots, prompt tokens in each step, and host memory for prefixes."""
    before, resources = engine._scheduler, engine._resources
    if chunk:
        resources = dataclasses.replace(resources, budget=PrefillBudget(chunk, chunk, fixed=True))
    if host_bytes is not None:
        resources = dataclasses.replace(resources, host=HostCache(host_bytes))
    limits = engine._scheduler._backend.limits
    if running:
        limits = dataclasses.replace(limits, running=running, slots=running)
    engine._scheduler = Scheduler(TransformersBackend(engine._cache, limits), resources)
    try:
        yield
        run(engine)
    finally:
        engine._scheduler = before


def running(engine: TransformersEngine) -> list[SequenceState]:
    return engine._scheduler._queue.running


def ask(
    number: int, text: str = "Where is my parcel?", adapters: Sequence[tuple[Path, float]] = (), **sampling: Any
) -> GenerateRequest:
    applied = tuple(Applied(Adapter(path.name, path), scale) for path, scale in adapters)
    return GenerateRequest(
        number, (Message("user", text),), Sampling(**{"max_tokens": TOKENS, **sampling}), "chat", applied
    )


def run(engine: TransformersEngine, *requests: GenerateRequest) -> list[Event]:
    for request in requests:
        engine.submit(request)
    events: list[Event] = []
    while engine.busy:
        events += engine.step()
    return events


def complete(engine: TransformersEngine, *requests: GenerateRequest) -> list[Completion]:
    """The answers to requests that run side by side."""
    events = run(engine, *requests)
    assert not [event for event in events if isinstance(event, Failure)]
    return [
        fold([event for event in events if isinstance(event, Chunk) and event.request == request.id])
        for request in requests
    ]


def generate(
    engine: TransformersEngine, folder: Path, request: GenerateRequest, adapters: Sequence[tuple[Path, float]] = ()
) -> str:
    """transformers' own greedy answer to a request, with adapters active through peft's own means."""
    model = transformers.AutoModelForCausalLM.from_pretrained(folder).eval()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        if adapters:
            model = _apply(model, adapters)
        ids = torch.tensor([engine.tokenize(request).ids])
        mask = torch.ones_like(ids)
        made = model.generate(
            input_ids=ids, attention_mask=mask, do_sample=False, max_new_tokens=request.sampling.max_tokens
        )
    tokens = made[0, ids.shape[1] :].tolist()
    ends = [index for index, token in enumerate(tokens) if engine._vocabulary.ends(token)]
    kept = tokens[: ends[0]] if ends else tokens
    return b"".join(map(engine._vocabulary.piece, kept)).decode("utf-8", "replace")


def _apply(model: Any, adapters: Sequence[tuple[Path, float]]) -> Any:
    names = [f"a{index}" for index in range(len(adapters))]
    laid = peft.PeftModel.from_pretrained(model, adapters[0][0], names[0])
    for name, (path, _) in list(zip(names, adapters, strict=True))[1:]:
        laid.load_adapter(path, name)
    for module in laid.modules():
        for name, (_, scale) in zip(names, adapters, strict=True):
            if isinstance(module, LoraLayer) and name in module.scaling:
                module.scaling[name] *= scale
    if len(names) > 1:
        laid.base_model.set_adapter(names)
    return laid.eval()
