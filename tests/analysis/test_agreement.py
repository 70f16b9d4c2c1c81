from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from workbench.analysis.agreement import Side, measure_agreement
from workbench.datasets import Case
from workbench.errors import EngineError
from workbench.inference.pool import Pool
from workbench.models.reference import Adapter, Applied, Model
from workbench.prompting.prompt import Prompt

PROMPT = Prompt("ask", "user:\n{{ message }}\n")
CASES = [Case(number, {"message": f"message {number}"}) for number in range(1, 6)]


@pytest.fixture
def pool() -> Iterator[Pool]:
    pool = Pool()
    yield pool
    pool.close()


def model(folder: Path, name: str, *rules: dict[str, object]) -> Model:
    path = folder / f"{name}.script.json"
    path.write_text(json.dumps({"rules": [*rules, {"reply": "Lantern"}]}))
    return Model(name, path, "scripted")


def test_answers_that_differ_are_counted_and_shown(pool: Pool, tmp_path: Path) -> None:
    first, second = model(tmp_path, "a"), model(tmp_path, "b", {"contains": "3", "reply": "Harbour"})
    found = measure_agreement(PROMPT, CASES, Side(first), Side(second), pool)
    assert (found.cases, found.share, found.differences) == (5, 0.8, ((3, "Lantern", "Harbour"),))


def test_adapters_belong_to_their_side(pool: Pool, tmp_path: Path) -> None:
    given = model(tmp_path, "a", {"adapter": "calm", "reply": "Harbour"})
    side = Side(given, (Applied(Adapter("calm", tmp_path / "calm")),))
    assert measure_agreement(PROMPT, CASES, Side(given), side, pool).share == 0
    assert measure_agreement(PROMPT, CASES, side, side, pool).share == 1


def test_a_side_that_cannot_answer_ends_it(pool: Pool, tmp_path: Path) -> None:
    broken = model(tmp_path, "b", {"contains": "4", "reply": "one two", "fail_after": 1, "failure": "It fell."})
    with pytest.raises(EngineError, match=r"b could not answer: It fell\."):
        measure_agreement(PROMPT, CASES, Side(model(tmp_path, "a")), Side(broken), pool)
