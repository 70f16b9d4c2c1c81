"""What the recipe writes: the same every time, the demo apart from the training text, any text readable."""

from __future__ import annotations

import json
import random
import re
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from assets.recipe.batch import encode
from assets.recipe.demo import write_demo
from assets.recipe.document import SPECIALS
from assets.recipe.handbook import write_handbook
from assets.recipe.mix import FINISH, MIDDLE, START, TASKS, draw, draw_task, stage_at
from assets.recipe.tokenizer import load_tokenizer
from assets.recipe.world import load_world

ASSETS = Path(__file__).parents[2] / "assets"
TOKENIZER = load_tokenizer(ASSETS / "desk")
WORLD = load_world()
SPLITS = ("train", "validation", "test")


def _rows(task: str, split: str) -> list[dict[str, str]]:
    return [json.loads(line) for line in (ASSETS / "data" / task / f"{split}.jsonl").read_text().splitlines()]


def test_the_shipped_data_is_what_the_recipe_writes(tmp_path: Path) -> None:
    write_demo(tmp_path, WORLD)
    files = sorted(path.relative_to(tmp_path) for path in tmp_path.rglob("*.jsonl"))
    assert len(files) == 9
    assert {file: (tmp_path / file).read_bytes() for file in files} == {
        file: (ASSETS / "data" / file).read_bytes() for file in files
    }


def test_the_shipped_handbook_is_what_the_recipe_writes_and_each_answer_stands_where_it_says(tmp_path: Path) -> None:
    write_handbook(tmp_path, WORLD)
    files = sorted(path.relative_to(tmp_path) for path in tmp_path.rglob("*.*"))
    assert len(files) == 8
    for file in files:
        assert (tmp_path / file).read_bytes() == (ASSETS / "data/handbook" / file).read_bytes()
    rows = [*_rows("handbook", "test"), *_rows("handbook", "validation")]
    assert len({row["question"] for row in rows}) == len(rows) == 200
    for row in rows:
        name, _, span = row["relevant"].rpartition(":")
        start, end = map(int, span.split("-"))
        assert row["expected"] in (tmp_path / "corpus" / name).read_text()[start:end]


@pytest.mark.parametrize("task", ["queues", "fields", "change"])
def test_no_text_is_in_two_splits(task: str) -> None:
    texts = [row.get("message", row.get("question")) for split in SPLITS for row in _rows(task, split)]
    assert len(texts) == len(set(texts)) == 700


@pytest.mark.parametrize("task", TASKS)
def test_a_seed_gives_the_same_text(task: str) -> None:
    texts = [draw_task(task, WORLD, random.Random(5), FINISH.difficulty, 200) for _ in range(2)]
    assert texts[0] == texts[1]


def test_the_demo_shares_no_frame_and_no_five_words_of_one_with_the_training_text() -> None:
    def bare(frame: str) -> str:
        return re.sub(r"\{\w+\}|\W+", " ", frame).lower().strip()

    def runs(frame: str) -> set[str]:
        stretches = [stretch.split() for stretch in re.split(r"\{\w+\}|[^\w\s]", frame.lower())]
        return {" ".join(words[at : at + 5]) for words in stretches for at in range(len(words) - 4)}

    groups = [WORLD.parts, WORLD.sums, *WORLD.fields.values()]
    trained = [*WORLD.frames, *(text for group in groups for texts in group.values() for text in texts)]
    demo = [*WORLD.demo["frames"], *WORLD.demo["fields"]["frames"], *WORLD.demo["change"]["questions"]]
    assert {bare(text) for text in trained} & {bare(frame) for frame in demo} <= {""}
    assert {run for text in trained for run in runs(text)} & {run for frame in demo for run in runs(frame)} == set()


def test_no_queue_of_the_demo_is_ever_a_label_in_training() -> None:
    names = {queue["name"].lower() for queue in WORLD.demo["queues"]}
    topic_names = {name for topic in WORLD.topics for name in topic.names}
    assert names & ({label.lower() for label in WORLD.labels} | topic_names) == set()
    rng = random.Random(2)
    for _ in range(600):
        task, document = draw(WORLD, rng, rng.choice([START, MIDDLE, FINISH]), 200)
        if task in ("shots", "described", "options", "recall"):
            assert not names & set(re.findall(r"\w+", document.text.lower())), document.text


def test_every_queue_of_the_demo_is_in_every_split() -> None:
    names = {queue["name"] for queue in WORLD.demo["queues"]}
    assert all({row["expected"] for row in _rows("queues", split)} == names for split in SPLITS)


def test_the_examples_of_the_prompts_are_in_no_split() -> None:
    for task in ("queues", "fields"):
        shown = {
            json.loads(line)["message"]
            for line in (ASSETS.parent / "prompts" / task / "examples.jsonl").read_text().splitlines()
        }
        assert shown & {row["message"] for split in SPLITS for row in _rows(task, split)} == set()


@given(st.text())
def test_any_text_is_read_back_from_its_tokens(text: str) -> None:
    assert TOKENIZER.decode(TOKENIZER.encode(text), skip_special_tokens=False) == text


@pytest.mark.parametrize("task", TASKS)
def test_every_token_of_a_document_has_a_weight(task: str) -> None:
    document = draw_task(task, WORLD, random.Random(1), MIDDLE.difficulty, 200)
    ids, weights = encode(TOKENIZER, document)
    assert len(ids) == len(weights)
    assert TOKENIZER.decode(ids) == document.text
    answers = "".join(part for part, weight in document.parts if weight == 1.0)
    assert TOKENIZER.decode([token for token, weight in zip(ids, weights, strict=True) if weight == 1.0]) == answers


def test_special_tokens_are_one_token_each_and_digits_never_merge() -> None:
    assert [len(TOKENIZER.encode(special)) for special in SPECIALS] == [1] * len(SPECIALS)
    assert len(TOKENIZER.encode("4829")) == 4


def test_the_course_ends_with_full_difficulty_and_never_leaves_it() -> None:
    assert stage_at(1.0) == FINISH
    assert [sum(stage_at(step / 20).shares) for step in range(21)] == pytest.approx([1.0] * 21)
