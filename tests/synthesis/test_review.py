from __future__ import annotations

import json

import pytest

from workbench import files
from workbench.errors import FileChangedError, SynthesisError
from workbench.synthesis.records import RowProposed, SynthesisStarted
from workbench.synthesis.request import SynthesisRequest
from workbench.synthesis.review import create_review, open_review


def to_cells(variables, expected):
    return {**variables, "expected": expected}


@pytest.fixture
def review(tmp_path):
    request = SynthesisRequest(str(tmp_path / "cases.jsonl"), "m", 3, str(tmp_path / "more.jsonl"))
    made = create_review(SynthesisStarted(request=request, inputs=("message",), answered=True), to_cells)
    for call, text in enumerate(["first", "second", "third"]):
        made.append(RowProposed(call=call, variables={"message": text}, expected="a"))
    yield made
    made.close()


def read(review):
    return [json.loads(line) for line in review.out.read_text().splitlines()]


def test_the_file_holds_what_is_accepted_at_any_time(review):
    review.decide(0, "accept")
    review.edit(2, {"message": "third, mended"}, "b")
    assert read(review) == [
        {"message": "first", "expected": "a", "origin": "synthetic"},
        {"message": "third, mended", "expected": "b", "origin": "synthetic"},
    ]
    review.decide(0, "undecided")
    review.decide(1, "reject")
    assert [row["message"] for row in read(review)] == ["third, mended"]


def test_a_review_is_taken_up_where_it_was_left_with_what_was_being_typed(review):
    review.decide(1, "accept")
    review.keep_unfinished(0, {"message": "first, half typ"}, "a")
    review.close()
    again = open_review(review.path, to_cells)
    assert [row.decision for row in again.state.rows] == ["undecided", "accept", "undecided"]
    assert again.state.rows[0].unfinished.variables == {"message": "first, half typ"}
    assert again.state.rows[0].variables == {"message": "first"}
    again.close()


def test_a_decision_that_was_kept_and_not_written_is_written_when_it_is_opened(review, monkeypatch):
    review.decide(0, "accept")

    def killed(*_, **__):
        raise KeyboardInterrupt

    monkeypatch.setattr(files, "write_text", killed)
    with pytest.raises(KeyboardInterrupt):
        review.decide(1, "accept")
    monkeypatch.undo()
    assert len(read(review)) == 1
    review.close()
    again = open_review(review.path, to_cells)
    again.close()
    assert [row["message"] for row in read(again)] == ["first", "second"]


def test_rows_that_someone_else_changed_are_not_written_over(review):
    review.decide(0, "accept")
    review.out.write_text("mine\n")
    with pytest.raises(FileChangedError):
        review.decide(1, "accept")
    assert review.state.rows[1].decision == "undecided"
    review.close()
    with pytest.raises(FileChangedError):
        open_review(review.path, to_cells)
    assert review.out.read_text() == "mine\n"


def test_a_damaged_line_is_named(review):
    review.path.write_text(review.path.read_text() + "{]\n")
    review.close()
    with pytest.raises(SynthesisError, match=r"more.review.jsonl:5: not a record"):
        open_review(review.path, to_cells)


def test_one_process_at_a_time(review):
    with pytest.raises(SynthesisError, match="is open in another process"):
        open_review(review.path, to_cells)
