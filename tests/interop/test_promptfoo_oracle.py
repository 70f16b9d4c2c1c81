"""Our import of promptfoo's configurations against promptfoo itself, cell by cell."""

from __future__ import annotations

import json
from pathlib import Path
from typing import NamedTuple

import pytest

from tests.interop.promptfoo_oracle import find_promptfoo, list_configs, read_recorded, run_promptfoo
from workbench.inference.types import Completion
from workbench.interop.bounded_files import BoundedFiles
from workbench.interop.import_plan import ImportPlan, ImportRequest
from workbench.interop.importing import plan_import
from workbench.interop.loss import LossList
from workbench.interop.promptfoo_checks import make_case_checks
from workbench.interop.promptfoo_makers import AssertionContext
from workbench.prompting.render import render
from workbench.scoring.factory import make_scorers
from workbench.scoring.scorer import ScoringInput
from workbench.settings import Settings

CONFIGS = [pytest.param(folder, id=folder.name) for folder in list_configs()]
LEAST_EQUAL = 0.99
"""The part of all assertion cells that must come out as in promptfoo."""


class Compared(NamedTuple):
    equal: int
    lost: int
    differing: list[str]


@pytest.fixture(scope="module", autouse=True)
def home(tmp_path_factory):
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("WORKBENCH_HOME", str(tmp_path_factory.mktemp("home")))
        yield


def plan(folder: Path) -> ImportPlan:
    return plan_import(ImportRequest((folder / "promptfooconfig.yaml",), folder, model="desk-q8_0"), Settings())


def rendered(plan: ImportPlan, cell) -> str:
    """What we send for a cell, as promptfoo writes it: a text, or the JSON of a conversation."""
    prompt, case = plan.prompts[cell["prompt"]], plan.cases[cell["test"]]
    messages = render(prompt, case.values)
    if is_chat(cell["raw"]):
        return json.dumps([{"role": one.role, "content": one.content} for one in messages], ensure_ascii=False)
    assert [one.role for one in messages] in (["user"], []), messages
    return "".join(one.content for one in messages)


def is_chat(raw: str) -> bool:
    try:
        value = json.loads(raw)
    except ValueError:
        return False
    return isinstance(value, list) and bool(value) and all(isinstance(one, dict) and "role" in one for one in value)


def same(raw: str, ours: str) -> bool:
    return json.loads(raw) == json.loads(ours) if is_chat(raw) else raw == ours


@pytest.mark.parametrize("folder", CONFIGS)
def test_every_prompt_is_rendered_as_promptfoo_renders_it(folder):
    planned = plan(folder)
    cells = read_recorded(folder)
    assert len(planned.cases) == len({cell["test"] for cell in cells})
    differing = {(cell["raw"], ours) for cell in cells if not same(cell["raw"], ours := rendered(planned, cell))}
    assert not differing


def score(check, output: str):
    (scorer,) = make_scorers(["checks"])
    from workbench.datasets import Case

    case = Case(1, {}, checks=json.dumps(check))
    found = scorer.score_input(ScoringInput(output, case, (), Completion(output), 0.0))
    assert found.applies, found.explanation
    return found


def compare(folder: Path) -> Compared:
    return compare_cells(folder, read_recorded(folder))


def compare_cells(folder: Path, cells) -> Compared:
    """Each assertion by itself on the answer that promptfoo saw."""
    equal, lost, differing = 0, 0, []
    for cell in cells:
        for one in cell["assertions"]:
            losses = LossList()
            context = AssertionContext(BoundedFiles(folder), cell["vars"], {"PLACE": "here"}, losses)
            checks = make_case_checks([one["assertion"]], context)
            if not checks:
                lost += 1
                continue
            ours = score(checks, cell["output"]).value == 1
            if ours == one["pass"] or one["assertion"].get("weight") == 0:
                equal += 1
            else:
                differing.append(f"{one['assertion']} on {cell['output']!r}: promptfoo {one['pass']}, we {ours}")
    return Compared(equal, lost, differing)


def test_assertions_pass_and_fail_as_in_promptfoo():
    found = {folder.name: compare(folder) for folder in list_configs()}
    differing = [line for one in found.values() for line in one.differing]
    equal = sum(one.equal for one in found.values())
    lost = sum(one.lost for one in found.values())
    assert equal > 250
    assert equal / (equal + len(differing)) >= LEAST_EQUAL, differing
    assert lost <= 12  # not-is-json with a schema, and JSON schemas that are files of scripts


@pytest.mark.parametrize("folder", CONFIGS)
def test_a_cell_passes_with_the_score_and_the_metrics_that_promptfoo_gives(folder):
    planned = plan(folder)
    wheres = {one.where.partition(", assertion")[0] for one in planned.losses.losses if one.noun == "assertions"}
    if wheres:
        pytest.skip("a test without all of its assertions has another score")
    for cell in read_recorded(folder):
        case = planned.cases[cell["test"]]
        if not case.checks:
            assert cell["success"]
            continue
        found = score(json.loads(case.checks), cell["output"])
        assert (found.value == 1) == cell["success"], (cell, found.explanation)
        assert found.parts["mean"] == pytest.approx(cell["score"]), (cell, found.explanation)


@pytest.mark.skipif(find_promptfoo() is None, reason="WORKBENCH_PROMPTFOO names no promptfoo")
@pytest.mark.parametrize("folder", CONFIGS)
def test_the_records_are_what_promptfoo_says_today(folder):
    def stable(cells):
        return [{key: value for key, value in cell.items() if key != "metrics"} for cell in cells]

    assert stable(run_promptfoo(find_promptfoo(), folder)) == stable(read_recorded(folder))
