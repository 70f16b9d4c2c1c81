from __future__ import annotations

import msgspec
import pytest

from workbench.datasets import Case
from workbench.prompting.prompt import Example, Prompt
from workbench.search.candidate import Candidate
from workbench.search.guards import Guards

BODY = """system:
Name the queue of the message: Lantern or Abacus. Answer in JSON.

user:
{{ message }}
"""
ANSWER = "please send the parcel back to our depot in the north today"
TRAIN = (Case(1, {"message": "where is it"}, "Lantern"), Case(2, {"message": "how much"}, "Abacus"))
DEV = (
    Case(3, {"message": "the courier who came on monday did not ring the bell at all"}, "Lantern"),
    Case(4, {"message": "long"}, "Abacus", also=(ANSWER,)),
)
TEST = (Case(5, {"message": "A  sealed case"}, "Lantern"),)
SEED = Candidate("c0", "", BODY, (Example("e1", {"message": "lost"}, "Lantern"),), "turns")


@pytest.fixture
def guards():
    return Guards(SEED, Prompt("ask", BODY), TRAIN, DEV, TEST)


def make(body=BODY, **fields):
    return msgspec.structs.replace(SEED, id="c1", parent="c0", body=body, **fields)


REFUSED = [
    ("variables", BODY.replace("{{ message }}", "the message"), "message lost"),
    ("variables", BODY.replace("Name", "{{ question }} Name"), "question invented"),
    ("template code", BODY.replace("Name", "{{ ''.__class__ }} Name"), "''.__class__"),
    ("template code", BODY.replace("Name", "{% for a in range(9) %}x{% endfor %} Name"), "range(9)"),
    ("syntax", BODY + "{% if message", ""),
    ("roles", BODY.replace("user:", "assistant:\nLantern\n\nuser:"), "system, assistant, user"),
    ("roles", BODY.replace("system:\n", "user:\n"), "user, user"),
    ("output form", BODY.replace("Lantern or Abacus", "one of them"), "Abacus, Lantern"),
    ("output form", BODY.replace(" Answer in JSON.", ""), "json"),
    ("control characters", BODY.replace("Name", "\x1b[31mName"), "steer a terminal"),
    ("control characters", BODY.replace("Name", "\u202eName"), "steer a terminal"),
    ("empty", "system:\n\nuser:\n{{ message }}\n", "no instruction"),
    ("length", BODY + "x" * 100_000, "100,"),
    ("leak", BODY.replace("Name", f"{ANSWER.upper()}. Name"), "please send the parcel back"),
    ("leak", BODY.replace("Name", "The courier who came on Monday did not ring: Lantern. Name"), "courier"),
]


@pytest.mark.parametrize(("guard", "body", "detail"), REFUSED, ids=[f"{n}-{r[0]}" for n, r in enumerate(REFUSED)])
def test_a_bad_body_is_refused_by_name(guards, guard, body, detail):
    found = {one.guard: one.detail for one in guards.check(make(body), {})}
    assert guard in found
    assert detail.casefold() in found[guard].casefold()


def test_a_sound_rewrite_passes(guards):
    body = BODY.replace("Name the queue of the message", "Decide which queue fits the message best")
    assert guards.check(make(body), {}) == ()


def test_seven_words_of_an_answer_are_no_leak_and_what_the_seed_says_is_none(guards):
    assert guards.check(make(BODY.replace("Name", f"{' '.join(ANSWER.split()[:7])}. Name")), {}) == ()
    told = msgspec.structs.replace(SEED, body=BODY.replace("Name", f"{ANSWER}. Name"))
    own = Guards(told, Prompt("ask", told.body), TRAIN, DEV)
    assert own.check(make(told.body.replace("Name", "Say")), {}) == ()


def test_a_candidate_that_equals_an_earlier_one_but_for_white_space_is_a_duplicate(guards):
    same = make(BODY.replace("JSON.\n", "JSON.   \n") + "\n\n")
    (refusal,) = guards.check(same, {SEED.digest: "c0"})
    assert (refusal.guard, refusal.detail) == ("duplicate", "it equals c0")
    assert guards.check(make(thinking="on"), {SEED.digest: "c0"}) == ()


def test_examples_of_dev_and_test_are_refused_and_those_of_train_are_not(guards):
    sealed = Example("x", {"message": "a sealed CASE"}, "Lantern")
    assert [one.guard for one in guards.check(make(examples=(sealed,)), {})] == ["leak"]
    dev = Example("x", {"message": "long"}, "Abacus")
    assert "dev part" in guards.check(make(examples=(dev,)), {})[0].detail
    train = Example("x", {"message": "how much"}, "Abacus")
    assert guards.check(make(examples=(train,)), {}) == ()
    assert [one.guard for one in guards.check(make(examples=(train, train)), {})] == ["examples"]


def test_what_does_not_fit_the_context_is_refused_last():
    asked = []

    def fits(candidate):
        asked.append(candidate.id)
        return "2,000 tokens with the longest case, and the context holds 1,000"

    own = Guards(SEED, Prompt("ask", BODY), TRAIN, DEV, TEST, fits)
    assert own.check(make(BODY.replace("Name", "Say")), {})[0].guard == "context"
    own.check(make(BODY + "x" * 100_000), {})
    assert asked == ["c1"]


def test_a_body_that_was_not_changed_is_not_blamed_for_what_it_is():
    body = "user:\n{{ message }}\n"
    seed = Candidate("c0", "", body, (), "turns")
    own = Guards(seed, Prompt("ask", body), TRAIN, DEV)
    shown = msgspec.structs.replace(seed, id="c1", examples=(Example("x", {"message": "how much"}, "Abacus"),))
    assert own.check(shown, {}) == ()
