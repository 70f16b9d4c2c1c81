"""An engine over a device of an RPC server, driven step by step; what was seen goes to standard output as JSON.

It runs in a process of its own, whose environment names the libraries: `python -m … MODEL HOST:PORT`.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

from workbench.cpu_budget.reservations import LockRegistry, shared_folder
from workbench.inference.llamacpp import device_sampling as device_sampling_module
from workbench.inference.llamacpp.backend import SampledOutputs
from workbench.inference.llamacpp.context import Context
from workbench.inference.llamacpp.engine import LlamaEngine
from workbench.inference.llamacpp.native import native
from workbench.inference.llamacpp.step_planner import StepPlanner
from workbench.inference.scheduling.backend import TokenRun
from workbench.inference.types import (
    Chunk,
    GenerateRequest,
    LoglikelihoodRequest,
    LoglikelihoodResult,
    Outcome,
    Sampling,
    fold,
)
from workbench.models.reference import Model
from workbench.models.step_plan import StepPlan
from workbench.offload import Offload
from workbench.prompting.prompt import Message

LONG = "where is the thing in the house " * 60
ROUNDS = (
    ("My parcel is lost.", "I want my money back!", "The invoice is wrong, again."),
    ("Where is my order?", "The app does not open.", "Cancel the subscription."),
    ("You charged me twice.", "How do I change my address?", "The screen is broken."),
)
"""Questions that are each asked once: what is in the cache already decides what a batch holds."""


class Batches:
    """What native code was given and what it said: tokens, ubatch, code of each llama_decode; waits for the device."""

    def __init__(self) -> None:
        self.seen: list[tuple[int, int, int]] = []
        self.waits = 0
        self.on_wait = lambda: None
        own, own_wait = Context.evaluate, Context._wait

        def evaluate(context: Context, runs: Sequence[TokenRun]) -> int:
            tokens, place = sum(len(run.tokens) for run in runs), len(self.seen)
            self.seen.append((tokens, int(native.llama_n_ubatch(context.ctx)), -1))
            code = own(context, runs)
            self.seen[place] = (*self.seen[place][:2], code)
            return code

        def wait(context: Context) -> None:
            self.waits += 1
            self.on_wait()
            own_wait(context)

        Context.evaluate, Context._wait = evaluate, wait  # type: ignore[method-assign]


def ask(number: int, text: str, tokens: int = 40, **more: Any) -> GenerateRequest:
    sampling = Sampling(max_tokens=tokens, ignore_eos=more.pop("ignore_eos", False))
    return GenerateRequest(number, (Message("user", text),), sampling, "completion", **more)


def drain(engine: LlamaEngine) -> list[Outcome]:
    events: list[Outcome] = []
    while engine.busy:
        events += engine.step()
    return events


def text_of(events: Sequence[Outcome], number: int) -> tuple[str, str]:
    found = fold([event for event in events if isinstance(event, Chunk) and event.request == number])
    return found.text, found.stop_reason or ""


def answer(engine: LlamaEngine, questions: Sequence[str], **more: Any) -> list[str]:
    for number, question in enumerate(questions, 1):
        engine.submit(ask(number, question, 24, **more))
    events = drain(engine)
    return [text_of(events, number)[0] for number in range(1, len(questions) + 1)]


def open_engine(path: Path, offload: Offload) -> LlamaEngine:
    return LlamaEngine.open(Model("desk", path, offload=offload), 1, 8192, lambda _: True)


def cancel_while_the_device_computes(engine: LlamaEngine, batches: Batches) -> dict[str, Any]:
    """A long prompt whose cancel comes while the device is at its first piece."""
    engine.submit(ask(9, LONG))
    before, batches.on_wait = len(batches.seen), lambda: engine.abort(9)
    while batches.waits == 0:
        engine.step()
    batches.on_wait = lambda: None
    at_work = len(batches.seen)
    engine.step()  # the cancel is on the way: nothing more is begun for it
    meanwhile = len(batches.seen) - at_work
    engine.cancel(9)
    events = drain(engine)
    return {
        "pieces": at_work - before,
        "meanwhile": meanwhile,
        "afterwards": len(batches.seen) - at_work,
        "stop": text_of(events, 9)[1],
    }


def converse(path: Path, offload: Offload, device_sampling: bool) -> dict[str, Any]:
    """Greedy answers, whose tokens a device may pick, and in between what needs logits; tokens picked in each part."""
    planned = StepPlan(prompt_tokens=256, rows=16, device_sampling=device_sampling, source="measured")
    picked, own = [0], SampledOutputs.likeliest

    def likeliest(outputs: SampledOutputs, indices: Sequence[int]) -> tuple[list[int], list[bool]]:
        picked[-1] += len(indices)
        return own(outputs, indices)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(StepPlanner, "plan", lambda *_: planned)
        patch.setattr(SampledOutputs, "likeliest", likeliest)
        patch.setattr(device_sampling_module, "PATIENCE", 2)
        engine = open_engine(path, offload)
        texts = answer(engine, ROUNDS[0])
        picked.append(0)
        engine.loglikelihood(LoglikelihoodRequest(1, (Message("user", "Billing?"),), (" yes", " no")))
        [scored] = [event for event in drain(engine) if isinstance(event, LoglikelihoodResult)]
        texts += answer(engine, ROUNDS[1], top_logprobs=2)
        picked.append(0)
        texts += answer(engine, ROUNDS[2])
        engine.close()
    return {"texts": texts, "picked": picked, "likelihoods": [one.logprob for one in scored.likelihoods]}


def main() -> None:
    path, address = Path(sys.argv[1]), sys.argv[2]
    offload, batches = Offload(rpc=(address,)), Batches()
    engine = open_engine(path, offload)
    found: dict[str, Any] = {"plan": engine.info.step_plan and engine.info.step_plan.describe()}
    batches.seen.clear()
    batches.waits = 0
    others = LockRegistry(shared_folder())
    engine.submit(ask(8, ROUNDS[0][0]))
    engine.step()
    found["reserved"], found["status"] = len(others.others()), [engine.status.threads, engine.status.cores]
    drain(engine)
    batches.waits = 0
    found["cancel"] = cancel_while_the_device_computes(engine, batches)
    found["batches"] = batches.seen
    engine.close()
    found["logits"] = converse(path, offload, device_sampling=False)
    found["sampled"] = converse(path, offload, device_sampling=True)
    partial = open_engine(path, Offload(rpc=(address,), gpu_layers=2))
    partial.submit(ask(1, ROUNDS[0][0]))
    partial.step()
    found["partial"] = {"device": partial.info.device, "reserved": len(others.others())}
    partial.close()
    print(json.dumps(found))


if __name__ == "__main__":
    main()
