"""The calls of one cell: what they add up to, and that they are kept."""

from __future__ import annotations

import msgspec
import pytest

from tests.stored_run import answer, make_cases, plain_variants, store_run
from workbench.inference.types import Completion, ServerReport
from workbench.runs.cell_step import CellStep, sum_steps
from workbench.scoring.scorer import Score
from workbench.store.cell_records import StoredCompletion
from workbench.store.cells import add_cells, find_completions, get_cell


def make_completion(text: str, **fields: object) -> Completion:
    usual = {"prompt_tokens": 10, "output_tokens": 5, "elapsed_seconds": 2.0, "seconds_to_first_token": 0.5}
    return Completion(text=text, tokens_per_second=2.0, stop_reason="eos", **{**usual, **fields})  # type: ignore[arg-type]


def test_tokens_and_times_of_all_calls_are_those_of_the_cell():
    first, last = make_completion("a"), make_completion("b", output_tokens=3, elapsed_seconds=1.0)
    steps = (CellStep("one", completion=first), CellStep("other", state="skipped"), CellStep("two", completion=last))
    whole = sum_steps(steps, last)
    assert (whole.text, whole.prompt_tokens, whole.output_tokens) == ("b", 20, 8)
    assert whole.elapsed_seconds == 3.0
    assert whole.seconds_to_first_token == 2.5  # after the whole of the first call
    assert whole.tokens_per_second == pytest.approx(6 / 3)


def test_tokens_that_one_server_does_not_tell_make_the_sum_unknown():
    untold = make_completion("a", server=ServerReport(counted=False))
    told = make_completion("b", server=ServerReport("http://x"))
    whole = sum_steps((CellStep("one", completion=untold), CellStep("two", completion=told)), told)
    assert whole.server is not None and not whole.server.counted


def test_a_label_tells_the_calls_of_one_step_apart():
    assert CellStep("extract").label == "extract"
    assert CellStep("extract", index=2, sample=3).label == "extract, item 2, sample 3"
    assert CellStep("extract", attempt=1).label == "extract"
    assert CellStep("extract", "check", attempt=2).label == "extract (check), attempt 2"


def test_the_calls_of_a_cell_are_kept_with_it_and_their_answers_for_later_cells(tmp_path):
    (case,) = make_cases(1)
    steps = (
        CellStep("extract", completion=make_completion("5"), cost=0.1, scores=(Score("exact_match", 1.0, "5", ""),)),
        CellStep("answer", state="failed", error="The context is full.", completion=make_completion("")),
    )
    cell = msgspec.structs.replace(answer("plain", case, "Lantern"), steps=steps)
    view = store_run(tmp_path / "store.sqlite", plain_variants("plain"), [case], [cell])
    kept = view.cell("plain", 1)
    assert kept is not None and kept.steps == steps
    assert next(iter(view.cells())).steps == steps

    record = get_cell(view.store, view.run.key, 1, 0, 0)
    assert record is not None
    digest = b"0123456789abcdef"
    known = StoredCompletion(steps[0].completion, 1.0, digest, reusable=True)
    add_cells(view.store, view.run.key, [msgspec.structs.replace(record, answers=(known,))])
    assert find_completions(view.store, [digest])[digest].completion.text == "5"
    again = view.cell("plain", 1)
    assert again is not None and again.steps == steps


def test_a_damaged_record_of_the_calls_leaves_the_cell(tmp_path):
    (case,) = make_cases(1)
    cell = msgspec.structs.replace(answer("plain", case, "Lantern"), steps=(CellStep("extract"),))
    view = store_run(tmp_path / "store.sqlite", plain_variants("plain"), [case], [cell])
    with view.store.write() as connection:
        connection.execute("UPDATE cells SET steps = '[{\"nam'")
    kept = view.cell("plain", 1)
    assert kept is not None
    assert (kept.completion.text, kept.steps) == ("Lantern", ())
