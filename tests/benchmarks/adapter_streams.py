"""Four adapters over one GGUF model, a stream of tokens each: a context for each set, as the engine has them, against
switching adapters in one context before every token, and against one stream after another.

Times are those of the processor, so that other programs do not count. Run as a module with a folder it is the measured
process.
"""

from __future__ import annotations

import json
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from tests.benchmarks.adapters import CONTEXT_TOKENS, PANES, write_models

if TYPE_CHECKING:
    from workbench.inference.llamacpp.engine import LlamaEngine
    from workbench.inference.llamacpp.weights import LoadedWeights
    from workbench.inference.types import GenerateRequest

TOKENS, ROUNDS = 24, 3
NEVER_ENDS = {"id:1": -1000.0}
"""keeps the model of the fixture from ending an answer by itself"""


class _Spent(NamedTuple):
    """Seconds: until every stream had its first token, and altogether."""

    first: float
    whole: float


def measure() -> list[tuple[str, str, str]]:
    """Rows for the table: what, figure, aim."""
    with tempfile.TemporaryDirectory() as folder:
        write_models(Path(folder), PANES)
        command = [sys.executable, "-m", __name__, folder]
        done = subprocess.run(command, check=True, capture_output=True, text=True)
    found = json.loads(done.stdout)
    ours, switching, serial = (found[way] for way in ("together", "switching", "serial"))
    return [
        _row(f"{PANES} LoRA streams: own contexts / switching one", ours["whole"], switching["whole"], "below 1"),
        _row(f"{PANES} LoRA streams: own contexts / one by one", ours["whole"], serial["whole"], "about 1"),
        _row(f"{PANES} LoRA streams: all begun / one by one", ours["first"], serial["first"], "at most 0.5"),
    ]


def _row(what: str, ours: float, other: float, aim: str) -> tuple[str, str, str]:
    return what, f"{ours / other:.2f}  ({ours * 1000:.0f} ms / {other * 1000:.0f} ms)", aim


def report(folder: Path) -> None:
    """Print the medians as JSON."""
    from workbench.inference.llamacpp.engine import LlamaEngine
    from workbench.models.reference import Model

    engine = LlamaEngine.open(Model("base", folder / "base.gguf"), 1, CONTEXT_TOKENS, lambda _: True)
    adapters = list(range(PANES))
    (prompt_tokens,) = engine.count([_ask(0, folder, 100)])
    switch = _prepare_switching(engine._weights, folder, prompt_tokens)
    ways: dict[str, Callable[[int], _Spent]] = {
        "together": lambda start: _stream(engine, folder, [adapters], start),
        "serial": lambda start: _stream(engine, folder, [[one] for one in adapters], start),
        "switching": lambda _: switch(),
    }
    ways["together"](1)  # every context is open, as it is in panes that have answered before
    times: dict[str, list[_Spent]] = {way: [] for way in ways}
    for start in range(2, 2 + ROUNDS):  # in turns, so that whatever else happens meets all
        for way, work in ways.items():
            times[way].append(work(start * 100))
    medians = {
        way: {name: statistics.median(getattr(one, name) for one in found) for name in _Spent._fields}
        for way, found in times.items()
    }
    print(json.dumps(medians))


def _ask(number: int, folder: Path, start: int) -> GenerateRequest:
    """A request with one of the adapters; what it says begins unlike that of any other round."""
    from workbench.inference.types import GenerateRequest, Sampling
    from workbench.models.reference import Adapter, Applied
    from workbench.prompting.prompt import Message

    laid = (Applied(Adapter(str(number), folder / f"{number}.gguf", "gguf")),)
    sampling = Sampling(max_tokens=TOKENS, logit_bias=NEVER_ENDS)
    return GenerateRequest(number, (Message("user", f"{start} in the house"),), sampling, adapters=laid)


def _stream(engine: LlamaEngine, folder: Path, groups: list[list[int]], start: int) -> _Spent:
    """Answer with each adapter; those of a group at the same time, the groups one after another."""
    from workbench.inference.types import Chunk

    begun: set[int] = set()
    first, started = 0.0, time.process_time()
    for group in groups:
        for number in group:
            engine.submit(_ask(number, folder, start))
        while engine.busy:
            begun |= {event.request for event in engine.step() if isinstance(event, Chunk)}
            first = first or (time.process_time() - started if len(begun) == PANES else 0.0)
    return _Spent(first, time.process_time() - started)


def _prepare_switching(weights: LoadedWeights, folder: Path, prompt_tokens: int) -> Callable[[], _Spent]:
    """One context in which adapters are switched before each token, over prompts of the same length."""
    import ctypes

    from workbench.inference.llamacpp.context import Context, Run
    from workbench.inference.llamacpp.native import native

    context = Context(weights, CONTEXT_TOKENS, PANES, 272, 1)
    paths = [str(folder / f"{number}.gguf").encode() for number in range(PANES)]
    kind = native.llama_adapter_lora_p_ctypes
    handles = [native.llama_adapter_lora_init(weights.model, path) for path in paths]
    one = (ctypes.c_float * 1)(1.0)

    def step(number: int, position: int, tokens: list[int]) -> None:
        native.llama_set_adapters_lora(context.ctx, (kind * 1)(handles[number]), 1, one)
        code, (index,) = context.evaluate([Run(number, position, tokens, True)])
        assert code == 0
        context.logits(index).argmax()

    def work() -> _Spent:
        prompt = list(range(10, 10 + prompt_tokens))
        started = time.process_time()
        for number in range(PANES):
            context.forget(number)
            step(number, 0, prompt)
        first = time.process_time() - started
        for token in range(TOKENS - 1):
            for number in range(PANES):
                step(number, len(prompt) + token, [40 + token])
        return _Spent(first, time.process_time() - started)

    return work


if __name__ == "__main__":
    report(Path(sys.argv[1]))
