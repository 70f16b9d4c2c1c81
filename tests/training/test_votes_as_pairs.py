"""Blind votes as what is learned: from the store to pairs, a dry run, and a model that prefers what was preferred."""

from __future__ import annotations

import pytest
import torch  # noqa: TID253
from lesson import job_dir_of, open_lesson
from stored_run import answer, make_cases, plain_variants, store_run

from workbench import paths
from workbench.analysis.votes import Votes
from workbench.errors import TrainingError
from workbench.prompting.prompt import Prompt
from workbench.store.store import Store
from workbench.training.events import JobEvaluated, read_events
from workbench.training.preference_pairs import read_pairs

pytestmark = pytest.mark.filterwarnings("ignore")


@pytest.fixture
def run(lesson):
    """A run of twenty cases in a person's store, and a vote on every case: `kind` is always preferred."""
    variants = plain_variants("kind", "curt")
    cases = make_cases(20)
    texts = {"kind": "parcel here", "curt": "kettle"}
    cells = [answer(one.name, case, texts[one.name]) for case in cases for one in variants]
    home = paths.data_folder()
    home.mkdir(parents=True, exist_ok=True)

    def prompt(variant):
        return Prompt(variant.name, f"system:\nBe {variant.name}.\n\nuser:\n{{{{ message }}}}\n")

    view = store_run(home / "workbench.sqlite", variants, cases, cells, prompt=prompt)
    votes = Votes(Store(home / "workbench.sqlite"), view)
    while (ballot := votes.next()) is not None and len(votes.list()) < 20:
        votes.cast(ballot, "left" if ballot.left_variant == "kind" else "right")
    return view.run.id


def changes(run: str, more: str = "") -> str:
    return f"preference: {{votes: {run}}}\n{more}".rstrip()


def test_votes_become_rows_of_a_preferred_and_a_rejected_answer(lesson, run):
    pairs = read_pairs(open_lesson(lesson, changes(run)))
    assert (len(pairs.train), len(pairs.validation)) == (18, 2)
    assert {(pair.chosen, pair.rejected) for pair in (*pairs.train, *pairs.validation)} == {("parcel here", "kettle")}
    first = pairs.train[0]
    assert [message.role for message in first.row.messages] == ["system", "user"]
    assert first.row.messages[0].content == "Be kind."
    assert len({pair.row.messages[1].content for pair in (*pairs.train, *pairs.validation)}) == 20


def test_a_dry_run_counts_them_and_shows_what_the_model_reads(lesson, run):
    from workbench.training.child.preview import preview_training

    found = preview_training(job_dir_of(lesson, changes(run)))
    assert (found.rows, found.validation_rows) == (18, 2)
    assert "".join(piece.text for piece in found.previews[0].pieces if piece.learned) == "parcel here<|end|>"


def test_learning_from_votes_raises_the_margin_on_those_held_out(lesson, run):
    from workbench.training.child.run import run_job

    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    more = "training: {max_steps: 6, batch_size: 4, learning_rate: 0.01, device: cpu}\n"
    more += "evaluation: {eval_steps: 3, cases: 0}"
    job_dir = job_dir_of(lesson, changes(run, more))
    ended = run_job(job_dir)
    torch.set_num_threads(threads)
    assert ended.outcome == "done", ended
    evaluated = [event for event in read_events(job_dir.events).events if isinstance(event, JobEvaluated)]
    margins = [found.scores["reward margin"] for found in evaluated]
    assert margins[0] == pytest.approx(0, abs=1e-4)
    assert margins[-1] > 0.1


def test_a_run_nobody_voted_on_says_what_to_do(lesson, run):
    store = Store(paths.data_folder() / "workbench.sqlite")
    with store.write() as connection:
        connection.execute("DELETE FROM votes")
    with pytest.raises(TrainingError, match="No preference pairs") as caught:
        read_pairs(open_lesson(lesson, changes(run)))
    assert "Vote on a run first" in caught.value.hint
