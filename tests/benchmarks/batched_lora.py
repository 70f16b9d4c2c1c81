"""Four LoRA adapters on a Hugging Face base: one batch of all against one after another, and stepping a scale
against loading an adapter.

Run as a module it is the measured process: torch would be in every later measurement's way.
"""

from __future__ import annotations

import json
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from workbench.inference.transformers.engine import TransformersEngine
    from workbench.models.reference import Applied

ADAPTERS, TOKENS, ROUNDS = 4, 64, 5


def measure() -> list[tuple[str, str, str]]:
    """Rows for the table: what, figure, aim."""
    done = subprocess.run([sys.executable, "-m", __name__], capture_output=True, text=True, check=True)
    found = json.loads(done.stdout)
    ratio = found["together"] / found["serial"]
    steps = f"{_ms(found['together'] / TOKENS)} / {_ms(found['serial'] / TOKENS)}"
    scale = f"{found['load'] / found['step']:.0f}  ({_ms(found['load'])} / {_ms(found['step'])})"
    return [
        (f"hf: {ADAPTERS} LoRAs, a token each: one batch / serial", f"{ratio:.2f}  ({steps})", "at most 0.60"),
        ("hf: load an adapter / step its scale", scale, "at least 20"),
    ]


def report() -> None:
    """Print the medians, in seconds, as JSON."""
    sys.path.insert(0, str(Path(__file__).parents[1]))
    from hf_fixture import LINEAR, write_adapter
    from peft import LoraConfig

    from workbench import paths
    from workbench.inference.transformers.engine import TransformersEngine
    from workbench.models.reference import Adapter, Applied, Model

    base = paths.find_shipped("assets/desk")
    with tempfile.TemporaryDirectory() as scratch:
        configs = [(Path(scratch) / str(number), LoraConfig(r=16, target_modules=LINEAR)) for number in range(ADAPTERS)]
        adapters = [
            Adapter(path.name, write_adapter(base, path, config, number))
            for number, (path, config) in enumerate(configs)
        ]
        engine = TransformersEngine.open(Model("desk", base, "hf"), 1, 1024, lambda _: True)
        laid = [(Applied(adapter),) for adapter in adapters]
        times: dict[str, list[float]] = {"together": [], "serial": []}
        times["load"] = [_time(lambda one=one: engine._adapters.apply(one, ())) for one in laid]
        scaled = [(Applied(adapters[0], step / 10),) for step in range(1, 1 + ROUNDS)]
        times["step"] = [_time(lambda one=one: engine._adapters.apply(one, ())) for one in scaled]
        for _ in range(ROUNDS):  # in turns, so that other load meets both
            times["together"].append(_time(lambda: _answer(engine, laid)))
            times["serial"].append(_time(lambda: [_answer(engine, [one]) for one in laid]))
    print(json.dumps({name: statistics.median(found) for name, found in times.items()}))


def _answer(engine: TransformersEngine, laid: Sequence[tuple[Applied, ...]]) -> None:
    from workbench.inference.types import GenerateRequest, Sampling
    from workbench.prompting.prompt import Message

    never = {f"id:{token}": -1000.0 for token in range(engine.info.vocabulary) if engine._vocabulary.ends(token)}
    sampling = Sampling(max_tokens=TOKENS, logit_bias=never)
    for number, one in enumerate(laid):
        engine.submit(GenerateRequest(number, (Message("user", "Where is my parcel?"),), sampling, "chat", one))
    while engine.busy:
        engine.step()


def _time(work: Callable[[], object]) -> float:
    started = time.perf_counter()
    work()
    return time.perf_counter() - started


def _ms(seconds: float) -> str:
    return f"{seconds * 1000:.1f} ms"


if __name__ == "__main__":
    report()
