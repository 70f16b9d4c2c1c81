from __future__ import annotations

import sys
from collections.abc import Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st

from workbench.errors import MissingVariablesError
from workbench.prompting import prompt_parts
from workbench.prompting.context_fit import (
    Budget,
    EncodedPrompt,
    Fitted,
    RenderedPrompt,
    Strategy,
    describe_dropped,
    fit_prompt,
    too_long,
)
from workbench.prompting.prompt import Example, Message, Placement, Prompt
from workbench.prompting.prompt_parts import render_prompt
from workbench.prompting.render import render

TEXT = st.text("ab \n", max_size=20)
EXAMPLES = st.lists(st.tuples(TEXT, TEXT), max_size=5).map(
    lambda pairs: tuple(Example(f"e{n}", {"m": text}, answer) for n, (text, answer) in enumerate(pairs))
)
BODY = "system:\nRoute it.\nuser:\n{% for e in examples %}{{ e.m }}={{ e.answer }}\n{% endfor %}Message: {{ m }}"


class Characters:
    """A tokenizer whose tokens are characters, under a chat template that puts `<u>` before and `.` behind a message,
    and `<a>` where the answer begins. encoded: how many conversations it has read with the places of their tokens."""

    def __init__(self) -> None:
        self.encoded = 0

    def count(self, messages: Sequence[Message]) -> int:
        return len(self._lay_out(messages)[0])

    def encode(self, messages: Sequence[Message]) -> EncodedPrompt:
        self.encoded += 1
        text, starts = self._lay_out(messages)
        return EncodedPrompt(text, starts, range(len(text)))

    def count_text(self, text: str) -> int:
        return len(text)

    def _lay_out(self, messages: Sequence[Message]) -> tuple[str, list[int]]:
        text, starts = "^", []
        for message in messages:
            text += f"<{message.role[0]}>"
            starts.append(len(text))
            text += f"{message.content}."
        return text + "<a>", starts


def fit(prompt: RenderedPrompt, output: int = 0, limit: int = 10_000, detailed: bool = True) -> Fitted:
    return fit_prompt(prompt, output, limit, Characters(), detailed)


def rendered(
    examples: Sequence[Example],
    on: Sequence[Example],
    m: str,
    placement: Placement,
    overflow: Strategy = "refuse",
) -> RenderedPrompt:
    return render_prompt(Prompt("a", BODY, placement=placement, examples=tuple(examples)), {"m": m}, on, overflow)


@given(EXAMPLES, TEXT, st.sampled_from(["turns", "inline", "none"]), st.data())
def test_the_parts_add_up_to_exactly_what_is_sent(
    examples: tuple[Example, ...], m: str, placement: Placement, data: st.DataObject
) -> None:
    on = tuple(example for example in examples if data.draw(st.booleans())) if placement != "none" else ()
    budget = fit(rendered(examples, on, m, placement), 7, 100).budget
    sent = Characters().count(render(Prompt("a", BODY, placement=placement), {"m": m}, on))
    assert budget.system + budget.examples + budget.input == sent
    assert budget.used == sent + 7
    assert budget.over == (sent + 7 > 100)
    assert sum(budget.per_example[example.id] for example in on) == budget.examples
    assert min(budget.system, budget.examples, budget.input) >= 0
    assert set(budget.per_example) == {example.id for example in examples}


@pytest.mark.parametrize("placement", ["turns", "inline"])
def test_each_part_is_what_its_name_says(placement: Placement) -> None:
    examples = (Example("e1", {"m": "abc"}, "x"), Example("e2", {"m": "a"}, "yz"))
    one, two = (
        (len("<u>Message: abc.") + len("<a>x."), len("<u>Message: a.") + len("<a>yz."))
        if placement == "turns"
        else (len("abc=x\n"), len("a=yz\n"))
    )
    assert fit(rendered(examples, examples[:1], "hello", placement), 10, 50).budget == Budget(
        system=len("^<s>Route it.<u>Message: .") + len(".<a>"),
        examples=one,
        input=len("hello"),
        output=10,
        limit=50,
        per_example={"e1": one, "e2": two},
    )


@pytest.mark.parametrize("placement", ["turns", "inline"])
def test_the_cost_of_an_example_that_is_off_is_what_it_would_add(placement: Placement) -> None:
    examples = tuple(Example(f"e{n}", {"m": "m" * n}, "a") for n in range(4))
    before = fit(rendered(examples, examples[:2], "x", placement)).budget
    after = fit(rendered(examples, (*examples[:2], examples[3]), "x", placement)).budget
    assert after.used - before.used == before.per_example["e3"]


@given(EXAMPLES, TEXT, st.integers(1, 200), st.sampled_from(["turns", "inline"]))
def test_dropping_keeps_the_most_examples_that_fit(
    examples: tuple[Example, ...], m: str, limit: int, placement: Placement
) -> None:
    prompt = Prompt("a", BODY, placement=placement)
    found = fit(rendered(examples, examples, m, placement, "drop"), 5, limit, detailed=False)
    sizes = [Characters().count(render(prompt, {"m": m}, examples[:kept])) for kept in range(len(examples) + 1)]
    fitting = [kept for kept, size in enumerate(sizes) if size + 5 <= limit]
    assert found.budget.over == (not fitting)
    kept = max(fitting, default=len(examples))
    assert found.messages == render(prompt, {"m": m}, examples[:kept])
    assert found.budget.dropped == tuple(example.id for example in examples[kept:])
    assert found.budget.used == sizes[kept] + 5


def test_refusing_says_the_numbers_and_what_to_do() -> None:
    examples = (Example("e1", {"m": "abc"}, "x"),)
    prompt = rendered(examples, examples, "hello", "turns")
    sent = Characters().count(prompt.messages)
    assert not fit(prompt, 10, sent + 10).budget.over
    budget = fit(prompt, 10, sent + 9, detailed=False).budget
    assert budget.over
    error = too_long(budget, "refuse")
    for number in (sent, budget.examples, 10, sent + 10, sent + 9):
        assert str(number) in error.message
    assert "drop" in error.hint


def test_what_was_dropped_can_be_named() -> None:
    ids = tuple(f"e{n}" for n in range(9))
    assert describe_dropped((), 3) == ()
    assert describe_dropped(ids[1:3], 3) == ("2 of 3 examples are left out to fit the context: e1, e2.",)
    (said,) = describe_dropped(ids[2:], 9)
    assert said == "7 of 9 examples are left out to fit the context: e2, e3, e4, e5 and 3 more."


def test_a_prompt_is_tokenized_once_however_many_examples_it_has() -> None:
    examples = tuple(Example(f"e{n}", {"m": "m"}, "a") for n in range(80))
    tokenizer = Characters()
    found = fit_prompt(rendered(examples, examples, "x", "turns"), 0, 10_000, tokenizer, True)
    assert (len(found.budget.per_example), tokenizer.encoded) == (80, 1)


def test_a_tokenizer_that_tells_no_places_has_one_part() -> None:
    class Plain(Characters):
        def encode(self, messages: Sequence[Message]) -> EncodedPrompt:
            return EncodedPrompt("", (), ())

    examples = tuple(Example(f"e{n}", {"m": "m"}, "a") for n in range(3))
    prompt = rendered(examples, examples, "x", "turns", "drop")
    sent = Plain().count(prompt.keep(1))
    found = fit_prompt(prompt, 0, sent, Plain(), True)
    assert (found.budget.dropped, found.budget.used) == (("e1", "e2"), sent)
    assert found.messages == prompt.without(found.budget.dropped)


def test_a_prompt_that_cannot_be_rendered_cannot_be_fitted() -> None:
    with pytest.raises(MissingVariablesError):
        render_prompt(Prompt("a", BODY), {}, ())


@pytest.mark.parametrize(
    ("body", "values", "input"),
    [
        ("user:\nTitle: {{ doc.title }}!", {"doc": {"title": "Refunds"}}, len("Refunds")),
        ("user:\n{% for c in choices %}{{ c.text }}{% endfor %}.", {"choices": [{"text": "a"}]}, 1),
        (
            "user:\n{{ n + 1 }}{{ doc.a.split(',')[0] }}{{ names | join }}.",
            {"n": 1, "doc": {"a": "x,y"}, "names": ["b"]},
            len("2xb"),
        ),
        ("user:\n{{ a }} and {{ b }}.", {"a": "12", "b": "345"}, 5),
        ("user:\n{% if n > 3 %}many{% endif %}.", {"n": 4}, len("many")),
        ("user:\n{{ n | round }}.", {"n": 1.5}, 0),
    ],
)
def test_what_typed_values_add_is_counted(body: str, values: dict[str, object], input: int) -> None:
    assert fit(render_prompt(Prompt("p", body), values, ())).budget.input == input


def test_a_long_text_is_compared_fast() -> None:
    text = "x" * 2_000_000
    found = fit(render_prompt(Prompt("p", "user:\n{{ a }}"), {"a": text}, ()), limit=sys.maxsize)
    assert found.budget.input == len(text)


LOOPS = {
    "plain": "user:\n{% for e in examples %}Q: {{ e.m }} A: {{ e.answer }}\n{% endfor %}{{ m }}",
    "separated": "user:\n{% for e in examples %}{{ e.m }}{% if not loop.last %}, {% endif %}{% endfor %} {{ m }}",
    "twice": "system:\n{% for e in examples %}{{ e.m }}{% endfor %}\nuser:\n{% for e in examples %}{{ e.answer }}"
    "{% endfor %}{{ m }}",
    "chosen": "user:\n{% for e in examples %}{% if e.answer == 'x' %}{{ e.m }}{% endif %};{% endfor %}{{ m }}",
    "counted": "user:\n{{ examples | length }} examples{% for e in examples %} {{ e.m | length }}{% endfor %}{{ m }}",
    "as turns": "{% for e in examples %}user:\n{{ e.m }}\nassistant:\n{{ e.answer }}\n{% endfor %}user:\n{{ m }}",
}


@pytest.mark.parametrize("loop", LOOPS)
@given(examples=EXAMPLES, m=TEXT, limit=st.integers(1, 150))
def test_examples_within_a_message_are_dropped_as_if_they_had_never_been_there(
    loop: str, examples: tuple[Example, ...], m: str, limit: int
) -> None:
    prompt = Prompt("a", LOOPS[loop], placement="inline")
    found = fit(render_prompt(prompt, {"m": m}, examples, "drop"), 0, limit)
    kept = len(examples) - len(found.budget.dropped)
    assert found.messages == render(prompt, {"m": m}, examples[:kept])
    assert found.budget.used == Characters().count(found.messages)
    if not found.budget.over:
        assert kept == max(
            n for n in range(len(examples) + 1) if Characters().count(render(prompt, {"m": m}, examples[:n])) <= limit
        )


def test_a_plain_loop_is_read_from_a_few_renderings(monkeypatch: pytest.MonkeyPatch) -> None:
    renderings: list[int] = []
    monkeypatch.setattr(prompt_parts, "render", lambda *given: renderings.append(1) or render(*given))
    examples = tuple(Example(f"e{n}", {"m": f"message {n}"}, "a") for n in range(80))
    prompt = render_prompt(Prompt("a", LOOPS["plain"], placement="inline"), {"m": "x"}, examples, "drop")
    assert len(renderings) <= 5
    assert fit(prompt).budget.per_example == {f"e{n}": len(f"Q: message {n} A: a\n") for n in range(80)}
