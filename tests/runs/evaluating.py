"""A bench over a scripted model, a store, and the ways to carry it out: what tests of runs have in common."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

from workbench.datasets import Case
from workbench.errors import ModelError, PromptError
from workbench.inference.pool import Pool
from workbench.models.reference import Model
from workbench.prompting.prompt import Prompt
from workbench.runs.bench import Bench, Variant
from workbench.runs.cell import Cell, CellFinished
from workbench.runs.run import Evaluation, RunOptions, Sources
from workbench.store.store import Store

CASES = tuple(Case(number, {"message": f"message {number}"}, f"label{number}", number) for number in range(1, 6))
RULES = [{"regex": r"message (?P<n>\d+)", "reply": "label{n}"}]


class Desk:
    """A folder with scripted models, a store in it, and prompts that stand in no file."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.store = Store(folder / "workbench.sqlite")
        self.models: dict[str, Model] = {}
        self.prompts = {
            "plain": Prompt("plain", "user:\n{{ message }}\n"),
            "other": Prompt("other", "user:\nPlease: {{ message }}\n"),
            "wanting": Prompt("wanting", "user:\n{{ nothing }}\n"),
        }
        self.pools: list[Pool] = []
        self.model("desk")

    def model(self, name: str, **script: object) -> Model:
        path = self.folder / f"{name}.script.json"
        path.write_text(json.dumps({"rules": RULES, "context_tokens": 1000, **script}))
        self.models[name] = Model(name, path, "scripted")
        return self.models[name]

    def pool(self, make: Callable[[], Pool] = Pool) -> Pool:
        self.pools.append(make())
        return self.pools[-1]

    @property
    def sources(self) -> Sources:
        return Sources(self._open_prompt, self._find_model)

    def evaluation(
        self, bench: Bench, cases=CASES, options: RunOptions | None = None, pool: Pool | None = None
    ) -> Evaluation:
        path = self.folder / "demo.bench.yaml"
        return Evaluation(bench, path, cases, pool or self.pool(), self.sources, self.store, options or RunOptions())

    def resume(self, run: str = "last", **options: object) -> Evaluation:
        return Evaluation.resume(run, self.pool(), self.sources, self.store, RunOptions(**options))

    def close(self) -> None:
        for pool in self.pools:
            pool.close()
        self.store.close()

    def _open_prompt(self, name: str) -> Prompt:
        if name not in self.prompts:
            raise PromptError(f"no prompt {name}")
        return self.prompts[name]

    def _find_model(self, name: str) -> Model:
        if name not in self.models:
            raise ModelError(f"no model {name}", "look elsewhere")
        return self.models[name]


def bench(*variants: Variant, scorers=("exact_match", "contains"), **fields: object) -> Bench:
    named = variants or (Variant("A", "plain", "desk"), Variant("B", "other", "desk"))
    return Bench(tuple(named), scorers=scorers, **fields)


def carry_out(evaluation: Evaluation) -> list[Cell]:
    """The finished cells."""
    return [event.cell for event in evaluation.events() if isinstance(event, CellFinished)]
