"""A prompt with retrieved passages is trained on what a run would show it, but never on a row's own text."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from lesson import open_lesson

from workbench.errors import TrainingError
from workbench.runs.passage_finder import PassageFinder
from workbench.training.cluster.task_digest import digest_task
from workbench.training.row_passages import NOTHING, PASSED_OVER
from workbench.training.rows import render_training, render_validation

BENCH = """\
models: {tiny: {path: tiny}}
dataset: {path: train.jsonl, relevant: relevant}
corpus: {path: shops, chunk: 200}
variants:
  - {name: plain, prompt: ask, model: tiny, retrieve: {by: bm25, k: 1}}
  - {name: oracle, prompt: ask, model: tiny, retrieve: oracle}
  - {name: none, prompt: ask, model: tiny, retrieve: none}
"""
CHANGES = "bench: my.bench.yaml\nvariant: {}\nlibrary: ''"
CITIES = ("Oslo", "York", "Bath")


@pytest.fixture
def shops(lesson: Path) -> Path:
    """A lesson about shops, each of which has a document; that of Bath repeats the question of a row."""
    (lesson / "ask.prompty").write_text("---\nname: ask\n---\nuser:\n{{ passages }}\n{{ message }}\n")
    (lesson / "my.bench.yaml").write_text(BENCH)
    (lesson / "shops").mkdir()
    for hour, city in enumerate(CITIES, 7):
        (lesson / "shops" / f"{city}.md").write_text(
            f"When {city} wakes: does the shop in {city} open? It opens at {hour}."
        )
    (lesson / "shops" / "faq.md").write_text("When does the shop in Bath open? Bath, please.")
    for name in ("train", "validation"):
        rows = [
            {"message": f"When does the shop in {city} open?", "expected": str(hour), "relevant": f"{city}.md"}
            for hour, city in enumerate(CITIES, 7)
        ]
        (lesson / f"{name}.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    return lesson


def test_rows_show_what_the_search_finds_but_not_their_own_question(shops: Path) -> None:
    task = open_lesson(shops, CHANGES.format("plain"))
    rendered = render_training(task)
    shown = [row.messages[-1].content for row in rendered.rows]
    assert ["opens at 7" in shown[0], "opens at 8" in shown[1], "opens at 9" in shown[2]] == [True] * 3
    assert not any("please" in text for text in shown)
    assert rendered.remarks == ((PASSED_OVER, 1),)
    assert [row.answer for row in rendered.rows] == ["7", "8", "9"]
    assert all("passages" not in row.inputs for row in rendered.rows)
    assert "opens at 7" in render_validation(task).rows[0].messages[-1].content
    assert task.passages is not None
    found = PassageFinder().find(task.passages, next(iter(task.train or ())))
    assert [one.document for one in found] == ["Oslo.md"]  # as a run shows it


def test_each_way_to_retrieve_is_trained_as_it_is_asked(shops: Path) -> None:
    unmapped = render_training(open_lesson(shops, CHANGES.format("oracle")))
    assert unmapped.remarks == ((NOTHING, 3),)  # the recipe's file does not say what is relevant
    mapped = CHANGES.format("oracle") + "\ntrain: {path: train.jsonl, relevant: relevant}"
    oracle = render_training(open_lesson(shops, mapped)).rows
    assert [row.messages[-1].content.count("[1]") for row in oracle] == [1, 1, 1]
    none = render_training(open_lesson(shops, CHANGES.format("none"))).rows
    assert none[0].messages[-1].content == "When does the shop in Oslo open?"


def test_turns_retrieve_each_by_their_own_message(shops: Path) -> None:
    turns = [{"message": f"When does the shop in {city} open?", "expected": "x"} for city in CITIES[:2]]
    (shops / "train.jsonl").write_text(json.dumps({"turns": turns}) + "\n")
    (row,) = render_training(open_lesson(shops, CHANGES.format("plain"))).rows
    asked = [message.content for message in row.messages if message.role == "user"]
    assert ["Oslo wakes" in asked[0], "York wakes" in asked[1], "York wakes" in asked[0]] == [True, True, False]


def test_machines_with_other_documents_train_something_else(shops: Path) -> None:
    def digest() -> dict[str, str]:
        return digest_task(open_lesson(shops, CHANGES.format("plain")), lambda path: str(path))

    before = digest()
    (shops / "shops" / "Oslo.md").write_text("Closed.")
    after = digest()
    assert [part for part in before if before[part] != after[part]] == ["passages"]


def test_what_cannot_be_retrieved_names_the_row_and_pairs_are_refused(shops: Path) -> None:
    for path in (shops / "shops").iterdir():
        path.unlink()
    with pytest.raises(TrainingError, match=r"No passages for case 1: "):
        render_training(open_lesson(shops, CHANGES.format("plain")))
    pairs = CHANGES.format("plain") + "\nobjective: dpo\npreference: {path: train.jsonl}"
    with pytest.raises(TrainingError, match="plain retrieves passages, which the rows of dpo do not have"):
        open_lesson(shops, pairs)
