"""Nearest examples: most like the case, the most like it last, never the case itself; in prompts, runs and files."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.runs.evaluating import Desk, bench, carry_out
from workbench.analysis.summary import summarize
from workbench.datasets import Case
from workbench.errors import PromptError
from workbench.library.formats import prompty
from workbench.prompting.prompt import Example, Prompt
from workbench.runs.bench import Variant
from workbench.runs.generation import examples_for
from workbench.runs.nearest_examples import choose_nearest
from workbench.runs.view import RunView

TEXTS = ("Where is my parcel?", "I was charged twice.", "The parcel came broken.", "My parcel is late, where is it?")
EXAMPLES = tuple(Example(f"e{n}", {"message": text}, f"label{n}") for n, text in enumerate(TEXTS, 1))


def ids(case: Case, k: int, examples=EXAMPLES) -> list[str]:
    return [example.id for example in choose_nearest(examples, case, k)]


def test_the_nearest_stands_last() -> None:
    assert ids(Case(1, {"message": "parcel late"}), 2) == ["e3", "e4"] or ids(
        Case(1, {"message": "parcel late"}), 1
    ) == ["e4"]
    assert ids(Case(1, {"message": "Charged!"}), 1) == ["e2"]


def test_the_case_itself_is_never_shown_however_it_is_written() -> None:
    for text in (TEXTS[0], "where is my PARCEL", "  Where is my parcel ?! "):
        assert "e1" not in ids(Case(1, {"message": text}), 4)
        assert len(ids(Case(1, {"message": text}), 4)) == 3


def test_others_fill_up_where_too_few_are_like_the_case() -> None:
    assert ids(Case(1, {"message": "zzz"}), 3) == ["e3", "e2", "e1"]
    assert ids(Case(1, {"message": "x"}), 9, ()) == []


def test_a_prompt_sends_the_nearest_of_those_switched_on() -> None:
    prompt = Prompt("p", "user:\n{{ message }}\n", placement="turns", examples=EXAMPLES, nearest=1)
    case = Case(1, {"message": "My parcel is late"})
    assert [one.id for one in examples_for(Variant("v", "p", "m"), prompt, case)] == ["e4"]
    assert [one.id for one in examples_for(Variant("v", "p", "m", examples_off=("e4",)), prompt, case)] == ["e1"]


def test_a_run_sends_each_case_its_own_and_a_case_among_the_examples_is_not_contaminated(tmp_path: Path) -> None:
    desk = Desk(tmp_path)
    body = "{% for e in examples %}{{ e.answer }}{% endfor %}{{ message }}"
    desk.prompts["near"] = Prompt("near", f"user:\n{body}\n", placement="inline", examples=EXAMPLES, nearest=1)
    desk.model("desk", rules=[{"regex": r"(?P<label>label\d)", "reply": "{label}"}])
    cases = (Case(1, {"message": TEXTS[3]}, "label4"), Case(2, {"message": "charged"}, "label2"))
    evaluation = desk.evaluation(bench(Variant("near", "near", "desk"), scorers=("exact_match",)), cases)
    answers = {cell.case: cell.completion.text for cell in carry_out(evaluation)}
    assert answers == {1: "label1", 2: "label2"}
    view = RunView(desk.store, evaluation.run)
    assert view.origin("near").prompt.nearest == 1
    assert summarize(view).variant("near").seen == 0
    desk.close()


def test_a_file_says_how_many() -> None:
    text = "---\nmetadata:\n  workbench:\n    placement: turns\n    nearest: 4 # of sixteen\n---\nuser:\n{{ q }}\n"
    loaded = prompty.load(text, "p", Path("p.prompty")).prompt
    assert loaded.nearest == 4
    assert prompty.dump(loaded, text) == text
    import msgspec

    changed = prompty.dump(msgspec.structs.replace(loaded, nearest=2), text)
    assert prompty.load(changed, "p", Path("p.prompty")).prompt.nearest == 2
    without = prompty.dump(msgspec.structs.replace(loaded, nearest=0), text)
    assert "nearest" not in without
    with pytest.raises(PromptError, match="expected a number from 0"):
        prompty.load(text.replace("nearest: 4", "nearest: four"), "p", Path("p.prompty"))
