from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from workbench.analysis.summary import Estimate
from workbench.errors import SearchError
from workbench.prompting.prompt import Example
from workbench.search.candidate import Candidate
from workbench.search.journal import (
    CandidateEvaluated,
    CandidateProposed,
    CandidateRefused,
    CaseResult,
    Refusal,
    RoundEnded,
    SearchEnded,
    SearchJournal,
    read_journal,
)
from workbench.search.result import PartScores, SearchResult
from workbench.search.state import SearchState

RECORDS = (
    CandidateProposed(candidate=Candidate("c1", "c0", "body", (Example("e", {"m": "x"}, "y"),), "turns"), at=1.0),
    CandidateRefused(candidate=Candidate("c2", "c1", "b"), refusals=(Refusal("leak", "x"),), same_as="c1", at=2.0),
    CandidateEvaluated(candidate="c1", part="dev", results=(CaseResult(3, 0.5, "a"), CaseResult(4)), run="r", at=3.0),
    RoundEnded(number=1, improved=True, at=4.0),
)


def test_records_come_back_as_they_were_written(tmp_path):
    path = tmp_path / "journal.jsonl"
    journal = SearchJournal(path)
    for record in RECORDS:
        journal.append(record)
    assert read_journal(path).records == RECORDS  # before it is closed: a reader follows a running search
    journal.close()


@given(st.text(), st.text(), st.text())
def test_any_text_survives(body, answer, reason):
    record = CandidateProposed(
        candidate=Candidate("c1", "c0", body, (Example("e", {"m": answer}, answer),), "turns", reason=reason)
    )
    import tempfile
    from pathlib import Path

    with tempfile.TemporaryDirectory() as folder:
        journal = SearchJournal(Path(folder) / "j")
        try:
            journal.append(record)
        except UnicodeEncodeError:  # half a character is no text that a prompt file could hold
            assert any("\ud800" <= sign <= "\udfff" for sign in body + answer + reason)
            return
        finally:
            journal.close()
        assert read_journal(Path(folder) / "j").records == (record,)


def test_a_result_without_an_interval_comes_back(tmp_path):
    seed = Candidate("c0", "", "b")
    unknown = Estimate(0.5, float("nan"), float("nan"), 3, "too few cases")
    part = PartScores(unknown, unknown, 0.0, float("nan"), float("inf"), 1.0, 1.0, 1, "none", 3)
    journal = SearchJournal(tmp_path / "j")
    journal.append(SearchEnded(result=SearchResult(seed, seed, False, "it was", "exact_match", dev=part)))
    journal.close()
    (record,) = read_journal(tmp_path / "j").records
    assert isinstance(record, SearchEnded)
    assert math.isnan(record.result.dev.low) and math.isinf(record.result.dev.high)
    assert math.isnan(record.result.dev.winner.low) and record.result.dev.needed_cases is None


def test_a_torn_last_line_is_cut_off_and_a_hole_is_refused(tmp_path):
    path = tmp_path / "journal.jsonl"
    journal = SearchJournal(path)
    journal.append(RECORDS[0])
    journal.close()
    with path.open("ab") as stream:
        stream.write(b'{"record": "round", "numb')
    assert read_journal(path).records == RECORDS[:1]
    journal = SearchJournal(path)
    journal.append(RECORDS[3])
    journal.close()
    assert read_journal(path).records == (RECORDS[0], RECORDS[3])
    path.write_bytes(b"not a record\n" + path.read_bytes())
    with pytest.raises(SearchError, match=r"journal.jsonl:1: not a record of a search"):
        read_journal(path)


def test_reading_goes_on_where_it_ended(tmp_path):
    path = tmp_path / "journal.jsonl"
    journal = SearchJournal(path)
    journal.append(RECORDS[0])
    page = read_journal(path)
    journal.append(RECORDS[1])
    assert read_journal(path, page.offset).records == (RECORDS[1],)
    journal.close()


def test_a_state_adds_up(tmp_path):
    state = SearchState()
    for record in RECORDS:
        state.add(record)
    assert list(state.candidates) == ["c1"]
    assert state.score("c1") == 0.5
    assert state.count_refusals() == {"leak": 1}
    assert state.rounds == 1
