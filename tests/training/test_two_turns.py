"""A model trained on conversations of two turns answers both in a run of the same cases, in both engines."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest
import torch  # noqa: TID253
from hf_fixture import write_hf
from lesson import job_dir_of

from workbench.datasets import load_cases
from workbench.datasets.spec import Dataset
from workbench.inference.pool import Pool
from workbench.inference.sampling import Sampling
from workbench.models.hf_to_gguf import convert_hf_to_gguf
from workbench.models.reference import Model
from workbench.prompting.prompt import Prompt
from workbench.runs.bench import AdapterChoice, Bench, Variant
from workbench.runs.cell import CellFinished
from workbench.runs.run import Evaluation, RunOptions, Sources
from workbench.store.store import Store
from workbench.training.events import JobEvaluated, read_events

pytestmark = pytest.mark.filterwarnings("ignore")

BODY = "system:\nBe kind.\n\nuser:\n{{ message }}\n"
CHANGES = (
    "training: {max_steps: 90, batch_size: 4, learning_rate: 0.02, device: cpu}\n"
    "evaluation: {eval_steps: 90, cases: 4, max_tokens: 16, early_stopping_patience: 0}\n"
    "validation: {path: train.jsonl}"
)
WORDS = ("house", "parcel", "kettle", "here")


@pytest.fixture(autouse=True)
def one_thread() -> Iterator[None]:
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


def write_rows(path: Path) -> None:
    """The second answer is the first one again: it cannot be known from its own turn."""
    rows = [
        {"turns": [{"message": f"Say {word}", "expected": word}, {"message": "And?", "expected": word}]}
        for word in WORDS
    ]
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))


def test_both_turns_are_answered_as_they_were_trained(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from workbench.training.child.run import run_job

    monkeypatch.setenv("WORKBENCH_HOME", str(tmp_path / "home"))
    monkeypatch.setenv("HF_HUB_CACHE", str(tmp_path / "hub"))
    monkeypatch.chdir(tmp_path)
    (tmp_path / "ask.prompty").write_text(f"---\nname: ask\n---\n{BODY}")
    write_rows(tmp_path / "train.jsonl")
    write_hf(tmp_path / "tiny")
    convert_hf_to_gguf(tmp_path / "tiny", tmp_path / "tiny.gguf", "f32")
    job_dir = job_dir_of(tmp_path, CHANGES)
    ended = run_job(job_dir)
    assert ended.outcome == "done", ended
    last = [event for event in read_events(job_dir.events).events if isinstance(event, JobEvaluated)][-1]
    assert last.scores["exact_match"] == 1.0
    models = {"hf": Model("tiny", tmp_path / "tiny", "hf"), "gguf": Model("tiny", tmp_path / "tiny.gguf")}
    scores = run_turns(tmp_path, models, ended.adapter)
    assert {name: scores[name] for name in ("hf trained", "gguf trained")} == {
        "hf trained": [(1.0, 1.0)] * 4,
        "gguf trained": [(1.0, 1.0)] * 4,
    }
    assert all(score == (0.0, 0.0) for name in ("hf base", "gguf base") for score in scores[name])


def run_turns(folder: Path, models: dict[str, Model], adapter: str) -> dict[str, list[tuple[float, ...]]]:
    """By variant, the score of each turn of each case."""
    sampling = Sampling(max_tokens=8, temperature=0.0)
    choices = {"base": (), "trained": (AdapterChoice(adapter),)}
    variants = tuple(
        Variant(f"{model} {name}", "ask", model, sampling, adapters=chosen)
        for model in models
        for name, chosen in choices.items()
    )
    bench = Bench(variants, scorers=("exact_match",), models={})
    cases = tuple(load_cases(Dataset("train.jsonl"), folder))
    sources = Sources(lambda name: Prompt(name, BODY), models.__getitem__)
    store, pool = Store(folder / "workbench.sqlite"), Pool()
    try:
        evaluation = Evaluation(bench, folder / "demo.bench.yaml", cases, pool, sources, store, RunOptions())
        cells = [event.cell for event in evaluation.events() if isinstance(event, CellFinished)]
    finally:
        pool.close()
        store.close()
    assert not [cell.error for cell in cells if cell.error]
    return {
        variant.name: [
            tuple(score.value for step in cell.steps for score in step.scores)
            for cell in sorted(cells, key=lambda one: one.case)
            if cell.variant == variant.name
        ]
        for variant in variants
    }
