from __future__ import annotations

from collections.abc import Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st

from workbench.errors import BudgetError, MissingVariablesError
from workbench.prompting.budget import Budget, Measure, describe_dropped, fit
from workbench.prompting.prompt import Example, Message, Placement, Prompt
from workbench.prompting.render import render

TEXT = st.text("ab \n", max_size=20)
EXAMPLES = st.lists(st.tuples(TEXT, TEXT), max_size=5).map(
    lambda pairs: tuple(Example(f"e{n}", {"m": text}, answer) for n, (text, answer) in enumerate(pairs))
)
BODY = "system:\nRoute it.\nuser:\n{% for e in examples %}{{ e.m }}={{ e.answer }}\n{% endfor %}Message: {{ m }}"


def count(messages: Sequence[Message]) -> int:
    """A stand-in for a tokenizer under a chat template: three tokens a message, and one for each character."""
    return 2 + sum(3 + len(message.content) for message in messages)


def measure(
    examples: tuple[Example, ...], on: tuple[Example, ...], m: str, placement: Placement
) -> tuple[Measure, list[int]]:
    measured = Measure(Prompt("a", BODY, placement=placement, examples=examples), {"m": m}, on)
    return measured, [count(draft) for draft in measured.drafts]


@given(EXAMPLES, TEXT, st.sampled_from(["turns", "inline", "none"]), st.data())
def test_the_parts_add_up_to_exactly_what_is_sent(
    examples: tuple[Example, ...], m: str, placement: Placement, data: st.DataObject
) -> None:
    on = tuple(example for example in examples if data.draw(st.booleans()))
    measured, counts = measure(examples, on, m, placement)
    budget = measured.budget(counts, output=7, limit=100)
    sent = count(render(Prompt("a", BODY, placement=placement), {"m": m}, on))
    assert budget.system + budget.examples + budget.input == sent
    assert budget.used == sent + 7
    assert budget.over == (sent + 7 > 100)
    assert sum(budget.per_example[example.id] for example in on) == budget.examples
    assert min(budget.system, budget.examples, budget.input) >= 0
    assert set(budget.per_example) == {example.id for example in examples}


def test_each_part_is_what_its_name_says() -> None:
    examples = (Example("e1", {"m": "abc"}, "x"), Example("e2", {"m": "a"}, "yz"))
    measured, counts = measure(examples, examples[:1], "hello", "turns")
    assert measured.budget(counts, output=10, limit=50) == Budget(
        system=2 + 3 + len("Route it.") + 3 + len("Message: "),
        examples=3 + len("Message: abc") + 3 + len("x"),
        input=len("hello"),
        output=10,
        limit=50,
        per_example={"e1": 3 + len("Message: abc") + 3 + 1, "e2": 3 + len("Message: a") + 3 + 2},
    )


def test_the_cost_of_an_example_that_is_off_is_what_it_would_add() -> None:
    examples = tuple(Example(f"e{n}", {"m": "m" * n}, "a") for n in range(4))
    measured, counts = measure(examples, examples[:2], "x", "inline")
    switched_on, more = measure(examples, (*examples[:2], examples[3]), "x", "inline")
    before, after = measured.budget(counts, 0, 0), switched_on.budget(more, 0, 0)
    assert after.used - before.used == before.per_example["e3"]


@given(EXAMPLES, TEXT, st.integers(0, 200), st.sampled_from(["turns", "inline"]))
def test_dropping_keeps_the_most_examples_that_fit(
    examples: tuple[Example, ...], m: str, limit: int, placement: Placement
) -> None:
    prompt = Prompt("a", BODY, placement=placement)
    measured, counts = measure(examples, examples, m, placement)
    sizes = [count(render(prompt, {"m": m}, examples[:kept])) for kept in range(len(examples) + 1)]
    fitting = [kept for kept, size in enumerate(sizes) if size + 5 <= limit]
    if fitting:
        assert fit(measured, counts, 5, limit, "drop") == examples[: max(fitting)]
    else:
        with pytest.raises(BudgetError, match="does not fit"):
            fit(measured, counts, 5, limit, "drop")


def test_refusing_says_the_numbers_and_what_to_do() -> None:
    examples = (Example("e1", {"m": "abc"}, "x"),)
    measured, counts = measure(examples, examples, "hello", "turns")
    sent = counts[2]
    assert fit(measured, counts, 10, sent + 10, "refuse") == examples
    with pytest.raises(BudgetError) as caught:
        fit(measured, counts, 10, sent + 9, "refuse")
    for number in (sent, 10, sent + 10, sent + 9):
        assert str(number) in caught.value.message
    assert "drop" in caught.value.hint


def test_what_was_dropped_can_be_named() -> None:
    examples = tuple(Example(f"e{n}", {"m": "m"}, "a") for n in range(3))
    measured, counts = measure(examples, examples, "x", "turns")
    kept = fit(measured, counts, 0, counts[2], "drop")
    assert measured.dropped(kept) == ("e1", "e2")
    assert describe_dropped(measured, kept) == ("2 of 3 examples are left out to fit the context: e1, e2.",)
    assert describe_dropped(measured, examples) == ()


def test_many_dropped_examples_are_counted_and_the_first_named() -> None:
    examples = tuple(Example(f"e{n}", {"m": "m"}, "a") for n in range(9))
    measured, counts = measure(examples, examples, "x", "turns")
    (said,) = describe_dropped(measured, fit(measured, counts, 0, counts[3], "drop"))
    assert said == "7 of 9 examples are left out to fit the context: e2, e3, e4, e5 and 3 more."


def test_the_budget_is_that_of_what_is_sent() -> None:
    examples = tuple(Example(f"e{n}", {"m": "m"}, "a") for n in range(3))
    measured, counts = measure(examples, examples, "x", "turns")
    kept = fit(measured, counts, 0, counts[2], "drop")
    found = measured.budget(counts, 0, counts[2], kept)
    assert found.dropped == ("e1", "e2")
    assert (found.used, found.over) == (counts[2], False)
    assert measured.budget(counts, 0, counts[2]).over


def test_a_prompt_that_cannot_be_rendered_cannot_be_measured() -> None:
    with pytest.raises(MissingVariablesError):
        Measure(Prompt("a", BODY), {}, ())


def test_counts_that_do_not_belong_to_the_drafts_are_refused() -> None:
    measured, counts = measure((), (), "x", "none")
    with pytest.raises(ValueError, match="2 counts expected"):
        measured.budget([*counts, 1], 0, 0)


@pytest.mark.parametrize(
    ("body", "values", "frame"),
    [
        ("user:\nTitle: {{ doc.title }}!", {"doc": {"title": "Refunds"}}, "Title: !"),
        ("user:\n{% for c in choices %}{{ c.text }}{% endfor %}.", {"choices": [{"text": "a"}]}, "."),
        (
            "user:\n{{ n + 1 }}{{ doc.a.split(',')[0] }}{{ names | join }}.",
            {"n": 1, "doc": {"a": "x,y"}, "names": ["b"]},
            ".",
        ),
        ("user:\n{% if n > 3 %}many{% endif %}.", {"n": 4}, "."),
        ("user:\n{{ n | round }}.", {"n": 1.5}, "2.0."),
    ],
)
def test_the_fixed_text_of_a_prompt_over_typed_values_is_counted(body, values, frame):
    measure = Measure(Prompt("p", body), values, ())
    assert measure.drafts[0][0].content == frame
