"""An engine over a device of an RPC server, driven step by step; what was seen goes to standard output as JSON.

It runs in a process of its own, whose environment names the libraries: `python -m … MODEL HOST:PORT`.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from workbench.cpu_budget.reservations import LockRegistry, shared_folder
from workbench.inference.llamacpp import device_sampling, step_planner
from workbench.inference.llamacpp.backend import SampledOutputs
from workbench.inference.llamacpp.context import Context
from workbench.inference.llamacpp.engine import LlamaEngine
from workbench.inference.llamacpp.native import native
from workbench.inference.scheduling.backend import TokenRun
from workbench.inference.types import Chunk, GenerateRequest, LoglikelihoodRequest, Outcome, Sampling, fold
from workbench.models.offload import Offload
from workbench.models.reference import Model
from workbench.models.step_plan import StepPlan
from workbench.prompting.prompt import Message

LONG = "where is the thing in the house " * 60
QUESTIONS = ("My parcel is lost.", "I want my money back!", "The invoice is wrong, again.")


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


def answer(engine: LlamaEngine, **more: Any) -> list[str]:
    for number, question in enumerate(QUESTIONS, 1):
        engine.submit(ask(number, question, 24, **more))
    events = drain(engine)
    return [text_of(events, number)[0] for number in range(1, len(QUESTIONS) + 1)]


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


def sampled_answers(engine: LlamaEngine) -> dict[str, Any]:
    """Greedy answers whose tokens the device picks, with everything that must not be picked there in between."""
    counts = {"sampled": 0}
    own = SampledOutputs.likeliest

    def likeliest(outputs: SampledOutputs, indices: Sequence[int]) -> tuple[list[int], list[bool]]:
        counts["sampled"] += len(indices)
        return own(outputs, indices)

    SampledOutputs.likeliest = likeliest  # type: ignore[method-assign]
    first = answer(engine)
    engine.loglikelihood(LoglikelihoodRequest(1, (Message("user", QUESTIONS[0]),), (" billing", " shipping")))
    scored = [event for event in drain(engine) if not isinstance(event, Chunk)]
    noted = counts["sampled"]
    logprobs = answer(engine, top_logprobs=2)
    unpicked = counts["sampled"] == noted
    device_sampling.PATIENCE, picked = 2, counts["sampled"]
    again = answer(engine)
    counts["resumed"] = counts["sampled"] - picked
    return {**counts, "first": first, "scored": len(scored), "logprobs": logprobs, "unpicked": unpicked, "again": again}


def main() -> None:
    path, address = Path(sys.argv[1]), sys.argv[2]
    offload, batches = Offload(rpc=(address,)), Batches()
    engine = open_engine(path, offload)
    found: dict[str, Any] = {"plan": engine.info.step_plan and engine.info.step_plan.describe()}
    batches.seen.clear()
    batches.waits = 0
    others = LockRegistry(shared_folder())
    engine.submit(ask(8, QUESTIONS[0]))
    engine.step()
    found["reserved"], found["status"] = len(others.others()), [engine.status.threads, engine.status.cores]
    drain(engine)
    batches.waits = 0
    found["cancel"] = cancel_while_the_device_computes(engine, batches)
    found["batches"] = batches.seen
    found["raw"] = answer(engine)
    engine.close()

    planned = StepPlan(prompt_tokens=256, rows=16, device_sampling=True, source="measured")
    step_planner.StepPlanner.plan = lambda *_: planned  # type: ignore[method-assign]
    engine = open_engine(path, offload)
    found["sampling"] = sampled_answers(engine)
    engine.close()
    partial = open_engine(path, Offload(rpc=(address,), gpu_layers=2))
    partial.submit(ask(1, QUESTIONS[0]))
    partial.step()
    found["partial"] = {"device": partial.info.device, "reserved": len(others.others())}
    partial.close()
    print(json.dumps(found))


if __name__ == "__main__":
    main()
