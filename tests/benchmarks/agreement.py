"""The embedded model through both engines: on how many of the 200 test cases their greedy answers agree, bare, with the
shipped adapter at half and at full strength, and blended with a second one.
"""

from __future__ import annotations

import contextlib
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path

from workbench import paths
from workbench.inference.pool import Pool
from workbench.models.reference import Adapter, Applied, Model

FILES = {"desk-f16": "at least 98%", "desk-q8_0": "what 8 bits cost"}
"""The forms that are compared with the Hugging Face folder, and what is expected of each."""


def measure() -> list[tuple[str, str, str]]:
    """Rows for the table: what, figure, aim."""
    pool = Pool(threads=1)
    with tempfile.TemporaryDirectory() as folder, contextlib.closing(pool):
        shipped = Adapter("queues-lora", paths.find_shipped("assets/queues-lora"))
        second = Adapter("second", _write_second(Path(folder)))
        sets = {
            "bare": (),
            "LoRA ×0.5": (Applied(shipped, 0.5),),
            "LoRA ×1.0": (Applied(shipped),),
            "two LoRAs blended": (Applied(shipped, 0.8), Applied(second, 0.2)),
        }
        return [(*_row(pool, file, name, laid), aim) for file, aim in FILES.items() for name, laid in sets.items()]


def _row(pool: Pool, file: str, name: str, laid: Sequence[Applied]) -> tuple[str, str]:
    from workbench.analysis.agreement import Side, measure_agreement
    from workbench.datasets.cases import load_cases
    from workbench.datasets.spec import Dataset
    from workbench.library.library import Library

    prompt = Library(paths.find_shipped("prompts")).open("queues/plain").prompt
    cases = load_cases(Dataset(str(paths.find_shipped("assets/data/queues/test.jsonl"))), Path.cwd())
    folder = Model("desk", paths.find_shipped("assets/desk"), "hf")
    gguf = Model(file, paths.find_shipped(f"assets/{file}.gguf"))
    found = measure_agreement(prompt, cases[:], Side(folder, tuple(laid)), Side(gguf, tuple(laid)), pool, 16)
    different = ", ".join(str(difference.case) for difference in found.differences[:8])
    figure = f"{found.share:.1%} of {found.cases}{f'  (differ: {different})' if different else ''}"
    return f"{file} answers as the folder: {name}", figure


def _write_second(folder: Path) -> Path:
    """A small adapter with random numbers, to blend with."""
    sys.path.insert(0, str(Path(__file__).parents[1]))
    from hf_fixture import LINEAR, write_adapter
    from peft import LoraConfig

    return write_adapter(paths.find_shipped("assets/desk"), folder / "second", LoraConfig(r=4, target_modules=LINEAR))
