"""The LoRA for the queues: the same answers in both forms and on both engines, nearly all of them right; and the
command that trains it writes the same files every time."""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from assets.recipe.adapter import BASE, NAME, PROMPT, UNASKED, Plan, digest_splits, encode_split, train_adapter
from assets.recipe.tokenizer import load_tokenizer
from workbench.analysis.agreement import Side, measure_agreement
from workbench.datasets import Case, load_cases
from workbench.datasets.row_digests import SeenRows, read_digests
from workbench.datasets.spec import Dataset
from workbench.inference.pool import Pool
from workbench.library.library import Library
from workbench.models.adapter_info import inspect_adapter
from workbench.models.reference import Adapter, Applied, Model, adapter_at, model_at
from workbench.prompting.prompt import Prompt
from workbench.runs.bench import Bench, Variant
from workbench.runs.cell import CellFinished
from workbench.runs.comparison import compare
from workbench.runs.sources import Sources

ROOT = Path(__file__).parents[2]
ASSETS = ROOT / "assets"
FORMS = (ASSETS / f"{NAME}.gguf", ASSETS / NAME)
GGUF = model_at(ASSETS / f"{BASE}-f16.gguf")
DEMO = model_at(ASSETS / f"{BASE}-q8_0.gguf")
FOLDER = model_at(ASSETS / BASE)
shipped = pytest.mark.skipif(
    not all(form.exists() for form in FORMS),
    reason=f"assets/{NAME} is not there: make it with `python -m assets.recipe adapter`",
)


@pytest.fixture(scope="module")
def pool() -> Iterator[Pool]:
    made = Pool(threads=1)
    yield made
    made.close()


@pytest.fixture(scope="module")
def prompt() -> Prompt:
    return Library(ROOT / "prompts").open(PROMPT).prompt


@pytest.fixture(scope="module")
def cases() -> tuple[Case, ...]:
    return load_cases(Dataset("assets/data/queues/test.jsonl"), ROOT)


def share_right(
    prompt: Prompt, cases: tuple[Case, ...], model: Model, adapters: tuple[Adapter, ...], pool: Pool
) -> float:
    applied = tuple(Applied(adapter) for adapter in adapters)
    sources = Sources(lambda _: prompt, lambda _: model, lambda _: applied)
    cells = [
        event.cell
        for event in compare(Bench((Variant("only", PROMPT, model.name),)), cases, pool, sources)
        if isinstance(event, CellFinished)
    ]
    assert [cell.error for cell in cells if cell.error] == []
    return sum(cell.scores[0].value for cell in cells) / len(cells)


@shipped
@pytest.mark.model
def test_with_the_adapter_the_plain_prompt_gets_nearly_every_queue_right(
    prompt: Prompt, cases: tuple[Case, ...], pool: Pool
) -> None:
    assert len(cases) == 200
    assert share_right(prompt, cases, DEMO, (adapter_at(FORMS[0]),), pool) >= 0.95
    assert share_right(prompt, cases, DEMO, (), pool) <= 0.3  # without it the names say nothing


@shipped
@pytest.mark.model
def test_llama_cpp_and_transformers_answer_alike_with_the_adapter(
    prompt: Prompt, cases: tuple[Case, ...], pool: Pool
) -> None:
    before, after = (
        Side(model, (Applied(adapter_at(form)),)) for model, form in zip((GGUF, FOLDER), FORMS, strict=True)
    )
    found = measure_agreement(prompt, cases[:40], before, after, pool, max_tokens=12)
    assert found.cases == 40
    assert found.share >= 0.98, found.differences


@shipped
def test_both_forms_hold_the_same_low_rank_changes_and_stay_small() -> None:
    written, peft = (inspect_adapter(adapter_at(form)) for form in FORMS)
    assert (written.ranks, written.scales, written.parameters) == (peft.ranks, peft.scales, peft.parameters)
    assert peft.base == BASE
    assert written.file_bytes + peft.file_bytes < 4_000_000


def test_only_the_answer_and_its_end_are_learned() -> None:
    tokenizer = load_tokenizer(ASSETS / BASE)
    rows = encode_split(ASSETS, tokenizer, "validation")
    expected = [
        json.loads(line)["expected"] for line in (ASSETS / "data/queues/validation.jsonl").read_text().splitlines()
    ]
    learned = [tokenizer.decode(row[row != UNASKED]) for row in rows.targets]
    assert learned == [f"{answer}{tokenizer.eos_token}" for answer in expected]
    assert all(
        (row[1:][wanted[:-1] != UNASKED] == wanted[wanted != UNASKED]).all()
        for row, wanted in zip(rows.tokens, rows.targets, strict=True)
    )


@pytest.mark.filterwarnings("ignore:`is_gradient_checkpointing`:FutureWarning")
def test_the_same_training_writes_the_same_files_and_leaves_the_base_alone(tmp_path: Path) -> None:
    assets = tmp_path / "assets"
    shutil.copytree(ROOT / "prompts", tmp_path / "prompts")
    shutil.copytree(ASSETS / BASE, assets / BASE)
    shutil.copy(GGUF.path, assets)
    (assets / "data/queues").mkdir(parents=True)
    for split in ("train", "validation", "test"):
        lines = (ASSETS / "data/queues" / f"{split}.jsonl").read_text().splitlines(keepends=True)
        (assets / "data/queues" / f"{split}.jsonl").write_text("".join(lines[:6]))
    before = _read(assets)
    train_adapter(assets, 1, Plan(epochs=1, rows=4))
    first = _read(assets)
    train_adapter(assets, 1, Plan(epochs=1, rows=4))
    assert _read(assets) == first
    assert first.items() >= before.items()
    assert sorted(first.keys() - before.keys()) == [
        f"{NAME}.gguf",
        f"{NAME}.training_rows.msgpack",
        f"{NAME}/adapter_config.json",
        f"{NAME}/adapter_model.safetensors",
        f"{NAME}/training_rows.msgpack",
    ]


def _read(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def test_the_shipped_adapter_tells_what_it_was_trained_on() -> None:
    for adapter in (ASSETS / NAME, ASSETS / f"{NAME}.gguf"):
        assert read_digests(adapter) == digest_splits(ASSETS)
    seen = {split: _find_seen(split) for split in ("train", "test")}
    assert seen == {"train": 400, "test": 0}


def _find_seen(split: str) -> int:
    cases = load_cases(Dataset(str(ASSETS / f"data/queues/{split}.jsonl")), ASSETS)
    return len(SeenRows(read_digests(ASSETS / NAME) or ()).find((case.number, case.variables) for case in cases))
