from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from workbench.training.events import JobNotice, JobStarted, JobStep, Journal, follow_events, read_events
from workbench.training.job import merge_steps


def notice(text: str) -> JobNotice:
    return JobNotice(1.0, text)


def step(number: int, loss: float) -> JobStep:
    return JobStep(1.0, number, 0.1, loss, 0.1, 1.0, 10, 5.0, 1, 1.0, 1.0)


def test_a_torn_line_is_passed_over_and_the_next_stands_alone(tmp_path):
    path = tmp_path / "events.jsonl"
    journal = Journal(path)
    journal.write(notice("one"))
    journal.close()
    with path.open("ab") as stream:
        stream.write(b'{"event":"notice","at":2,"te')
    assert read_events(path).events == (notice("one"),)
    journal = Journal(path)
    journal.write(notice("two"))
    journal.close()
    assert read_events(path).events == (notice("one"), notice("two"))


def test_a_line_that_is_not_whole_yet_is_read_later(tmp_path):
    path = tmp_path / "events.jsonl"
    path.write_bytes(b'{"event":"notice","at":1.0,"text":"one"}\n{"event":"notice","at":1.0,')
    page = read_events(path)
    assert page.events == (notice("one"),)
    with path.open("ab") as stream:
        stream.write(b'"text":"two"}\n')
    assert read_events(path, page.offset).events == (notice("two"),)


def test_following_ends_when_nobody_writes_and_misses_nothing(tmp_path):
    path = tmp_path / "events.jsonl"
    journal = Journal(path)
    asked = iter([True, True, False])

    def alive() -> bool:
        journal.write(notice(f"{len(read_events(path).events)}"))  # written just before it is asked
        return next(asked)

    told = [event.text for event in follow_events(path, alive, poll_seconds=0) if isinstance(event, JobNotice)]
    assert told == ["0", "1", "2"]
    journal.close()


def test_updates_made_again_after_a_kill_replace_those_that_were_lost():
    began = JobStarted(1.0, 1, 0, 4, 1.0, 8, 2, 1, 2, "cpu", "float32", 0.1, 2)
    again = JobStarted(1.0, 2, 2, 4, 1.0, 8, 2, 1, 2, "cpu", "float32", 0.1, 2)
    events = (began, step(1, 3.0), step(2, 2.0), step(3, 9.0), again, step(3, 1.5), step(4, 1.0))
    assert [(made.step, made.loss) for made in merge_steps(events)] == [(1, 3.0), (2, 2.0), (3, 1.5), (4, 1.0)]


@given(st.lists(st.text()))
def test_whatever_a_notice_says_comes_back(tmp_path_factory, texts):
    path = tmp_path_factory.mktemp("journal") / "events.jsonl"
    journal = Journal(path)
    for text in texts:
        journal.write(notice(text.encode("utf-8", "replace").decode()))
    journal.close()
    assert [event.text for event in read_events(path).events if isinstance(event, JobNotice)] == [
        text.encode("utf-8", "replace").decode() for text in texts
    ]
