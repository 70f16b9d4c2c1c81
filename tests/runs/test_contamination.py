"""The contamination check of a run: what an adapter or an example has seen is said in the plan and in the summary."""

from __future__ import annotations

from pathlib import Path

import msgspec
from stored_run import make_cases

from workbench.datasets.row_digests import make_digests, write_digests
from workbench.models.reference import Adapter, Applied, Model
from workbench.prompting.prompt import Example, Prompt
from workbench.runs.bench import AdapterChoice, Variant
from workbench.runs.contamination import CaseCheck, check_contamination
from workbench.runs.provenance import AdapterTrace, ModelTrace, Provenance

CASES = make_cases(8)
PROMPT = Prompt("ask", "user:\n{{ message }}")
SHOWING = msgspec.structs.replace(PROMPT, placement="turns", examples=(Example("e1", {"message": "message 7"}, "x"),))


def origin(name="a", adapter: Path | None = None, scale=1.0, prompt=PROMPT, model=Path("/models/desk.gguf")):
    variant = Variant(name, "ask", "desk", adapters=(AdapterChoice(str(adapter)),) if adapter else ())
    applied = Applied(Adapter(adapter.name, adapter, "peft"), scale) if adapter else None
    traces = (AdapterTrace(applied, "0" * 16),) if applied else ()
    return Provenance(variant, prompt, ModelTrace(Model("desk", model, "gguf"), "0" * 16), traces)


def trained(folder: Path, *messages: str, role="train") -> Path:
    folder.mkdir()
    write_digests(folder, [make_digests(role, ("message",), ({"message": text} for text in messages))])
    return folder


def test_cases_that_an_adapter_was_trained_on_are_named(tmp_path):
    adapter = trained(tmp_path / "mine", "message 2", "Message 5!", "something else")
    checked = check_contamination([origin("a", adapter), origin("b", adapter), origin("c")], CASES)
    assert [checked.of(name) for name in "abc"] == [(2, 5), (2, 5), ()]
    assert checked.sentences == (
        "a, b: the adapter mine was trained on 2 test cases (case 2 is row 1 (exact), case 5 is row 2 (normalised)),"
        " so the score is too good.",
    )


def test_rows_that_chose_the_state_or_were_voted_on_are_told_as_such(tmp_path):
    held = trained(tmp_path / "held", "message 1", role="validation")
    voted = trained(tmp_path / "voted", "message 3", role="preference")
    told = check_contamination([origin("a", held), origin("b", voted)], CASES).sentences
    assert "was selected by its score on a test case (case 1" in told[0]
    assert "was trained on votes or preferences about a test case (case 3" in told[1]


def test_an_adapter_without_a_record_is_unknown_and_one_at_scale_0_does_not_count(tmp_path):
    foreign, damaged = tmp_path / "foreign", tmp_path / "damaged"
    foreign.mkdir()
    trained(damaged, "message 1")
    (damaged / "training_rows.msgpack").write_bytes(b"\xc1")
    off = trained(tmp_path / "off", "message 1")
    checked = check_contamination([origin("a", foreign), origin("b", damaged), origin("c", off, scale=0)], CASES)
    assert not checked.contaminated
    assert checked.unknown[0].startswith("Whether foreign was trained on test cases is unknown")
    assert "training_rows.msgpack cannot be read" in checked.unknown[1]
    assert len(checked.unknown) == 2


def test_a_model_that_was_trained_whole_is_checked_and_a_base_is_not_called_unknown(tmp_path):
    whole = trained(tmp_path / "whole", "message 4")
    checked = check_contamination([origin("a", model=whole), origin("b")], CASES)
    assert checked.of("a") == (4,)
    assert checked.unknown == ()
    assert "a: the model whole was trained on a test case" in checked.sentences[0]


def test_examples_and_adapters_count_together(tmp_path):
    adapter = trained(tmp_path / "mine", "message 2")
    checked = check_contamination([origin("a", adapter, prompt=SHOWING)], CASES)
    assert checked.of("a") == (2, 7)
    assert "a: examples of the prompt are test cases (e1 is case 7 (exact))" in checked.sentences[0]


def test_short_texts_that_resemble_a_case_are_told_but_do_not_count():
    sums = msgspec.structs.replace(SHOWING, examples=(Example("e1", {"message": "message 70"}, "x"),))
    checked = check_contamination([origin("a", prompt=sums)], CASES)
    assert checked.of("a") == ()
    assert checked.sentences == ("a: examples of the prompt resemble test cases (e1 is case 7 (near)).",)


def test_one_case_is_checked_against_examples_and_weights(tmp_path):
    learned, held = (
        trained(tmp_path / "learned", "message 2"),
        trained(tmp_path / "held", "message 3", role="validation"),
    )
    check = CaseCheck()
    example = SHOWING.examples
    assert check.describe(example, [], CASES[6]) == "seen as an example"
    assert check.describe((), [Path("/models/desk.gguf"), learned], CASES[1]) == "seen in training"
    assert check.describe((), [held], CASES[2]) == "seen in validation"
    assert check.describe(example, [learned, held], CASES[4]) == ""
