"""A run in a store, made without an engine: what its cells hold is decided by the test."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from pathlib import Path

from workbench import yaml_document
from workbench.datasets import Case
from workbench.inference.types import Completion
from workbench.models.reference import Model
from workbench.prompting.prompt import Prompt
from workbench.runs.bench import Bench, Variant
from workbench.runs.cell import Cell
from workbench.runs.provenance import ModelTrace, Provenance
from workbench.runs.serialisation import write_case, write_cell
from workbench.runs.view import RunView
from workbench.scoring.scorer import Score
from workbench.store.cell_records import StoredCompletion
from workbench.store.cells import add_cells, add_inputs
from workbench.store.provenance import set_provenance
from workbench.store.runs import MetricRecord, Run, create_run
from workbench.store.store import Store

EXACT = (MetricRecord("exact_match", binary=True, threshold=1.0),)
LABELS = ("Lantern", "Abacus", "Harbour", "Thicket")


def make_cases(count: int) -> list[Case]:
    """Messages to route, the expected queue in turn."""
    return [Case(at + 1, {"message": f"message {at + 1}"}, LABELS[at % 4], at + 1) for at in range(count)]


def answer(
    variant: str,
    case: Case,
    text: str,
    repeat: int = 0,
    error: str = "",
    cached: bool = False,
    seconds: float = 0.2,
    tokens: int = 50,
    cost: float = 0.0,
) -> Cell:
    """A cell whose one score is an exact match."""
    right = text == case.expected
    told = "The same." if right else f"Expected {case.expected!r}, got {text!r}."
    score = Score("exact_match", float(right), text, told)
    done = Completion(text, "", tokens, 0, 2, 0, seconds / 2, seconds / 2, 40.0, seconds, "eos")
    return Cell(variant, case.number, done, () if error else (score,), error, "", repeat, cached, cost)


def store_run(
    path: Path,
    variants: Sequence[Variant],
    cases: Sequence[Case],
    cells: Iterable[Cell],
    metrics: Sequence[MetricRecord] = EXACT,
    scorers: Sequence[str] = ("exact_match",),
    prompt: Callable[[Variant], Prompt] | None = None,
    started: float = 1_795_000_000.0,
    bench: str = "demo",
) -> RunView:
    """Keep a finished run; a view of it."""
    store = Store(path)
    text = yaml_document.encode(Bench(tuple(variants), scorers=tuple(scorers)))
    run = create_run(
        store, Run("", bench, text, str(path.parent), started=started), [v.name for v in variants], metrics
    )
    add_inputs(store, run.key, [write_case(case) for case in cases])
    names = [variant.name for variant in variants]
    scored = [metric.name for metric in metrics]
    records = [
        write_cell(cell, StoredCompletion(cell.completion, cell.completion.elapsed_seconds), names, scored)
        for cell in cells
    ]
    for start in range(0, len(records), 1000):
        add_cells(store, run.key, records[start : start + 1000])
    for place, variant in enumerate(variants):
        if prompt:
            trace = ModelTrace(Model("desk", Path("/models/desk.gguf"), "gguf"), "0" * 16)
            set_provenance(store, run.key, place, Provenance(variant, prompt(variant), trace).encode())
    return RunView(store, run.id)


def plain_variants(*names: str) -> list[Variant]:
    return [Variant(name, f"queues/{name}", "desk") for name in names]
