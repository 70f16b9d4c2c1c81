"""What is chosen case by case is in no other format: an export says so instead of leaving it out."""

from __future__ import annotations

import pytest

from workbench.errors import BenchError, ModelError
from workbench.interop.exported import refuse_per_case
from workbench.interop.promptfoo_export import export_promptfoo
from workbench.models.reference import Model
from workbench.prompting.prompt import Example, Prompt
from workbench.runs.bench import Bench, Variant
from workbench.runs.sources import Sources

PROMPT = Prompt("ask", "user:\n{{ passages }}{{ question }}\n")


def find_model(name: str) -> Model:
    raise ModelError(f"no model {name}")


def test_a_variant_that_retrieves_is_a_loss() -> None:
    bench = Bench((Variant("found", "ask", "m", retrieve="bm25"),), corpus="docs")
    found = export_promptfoo(bench, (), Sources(lambda _: PROMPT, find_model))
    assert "found is shown passages that are retrieved for each case (bm25 k=3)" in str(found.losses.lines())


def test_what_is_the_same_for_all_cases_is_exported() -> None:
    examples = (Example("e", {"question": "q"}, "a"),)
    near = Prompt("ask", "user:\n{{ question }}\n", placement="turns", examples=examples, nearest=1)
    with pytest.raises(BenchError, match="the nearest 1 of its examples"):
        refuse_per_case(Variant("v", "ask", "m"), near)
    refuse_per_case(Variant("v", "ask", "m", retrieve="none"), PROMPT)
    refuse_per_case(Variant("v", "ask", "m"), PROMPT)
