from __future__ import annotations

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from workbench.errors import BenchError
from workbench.prompting.prompt import Example, Prompt
from workbench.prompting.render import render
from workbench.runs.bench import Bench, Perturbation, Perturbations, Variant, parse_bench
from workbench.runs.perturbations import add_perturbations, perturb

BODY = """system:
Choose the right queue for the customer's message.
Answer with its name only.

user:
{{ message }} {# a Comment #}{% if Extra is defined %}{{ Extra }}{% endif %}
"""
EXAMPLES = tuple(Example(f"e{at}", {"message": f"m{at}"}, f"A{at}") for at in range(5))
PROMPT = Prompt("queues/few-shot", BODY, placement="turns", examples=EXAMPLES)
KINDS = ("whitespace", "casing", "order", "typos")
VARIANT = Variant("few-shot", "queues/few-shot", "desk")


def spread(prompt=PROMPT, variant=VARIANT, **wanted):
    bench = Bench((variant,), perturbations=Perturbations(**wanted))
    return add_perturbations(bench, lambda name: prompt).variants


def say(prompt, message="Where is My parcel?"):
    return [message.content for message in render(prompt, {"message": message}, prompt.examples)]


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("seed", range(5))
def test_a_perturbation_is_the_same_each_time_and_leaves_the_case_alone(kind, seed):
    one = perturb(PROMPT, Perturbation("few-shot", kind, seed))
    assert perturb(PROMPT, Perturbation("few-shot", kind, seed)) == one
    before, after = say(PROMPT), say(one)
    assert after[-1].strip() == before[-1].strip() == "Where is My parcel?"
    assert len(after) == len(before)
    assert sorted(after[1:-1]) == sorted(before[1:-1])


def test_each_kind_changes_what_it_says():
    whitespace = perturb(PROMPT, Perturbation("", "whitespace", 0))
    assert whitespace.body != BODY
    assert whitespace.body.split() == BODY.split()
    casing = perturb(PROMPT, Perturbation("", "casing", 2)).body
    assert casing.startswith("system:\nCHOOSE THE RIGHT QUEUE")
    assert "{# a Comment #}{% if Extra is defined %}{{ Extra }}" in casing
    order = perturb(PROMPT, Perturbation("", "order", 0))
    assert order.body == BODY
    assert (
        sorted(each.id for each in order.examples) == [each.id for each in EXAMPLES] != [e.id for e in order.examples]
    )
    typos = {perturb(PROMPT, Perturbation("", "typos", seed)).body for seed in range(8)}
    assert len(typos) > 1
    assert {"".join(sorted(body)) for body in typos} == {"".join(sorted(BODY))}


def test_a_variant_gets_alternates_that_all_differ():
    written, *alternates = spread(kinds=KINDS, count=2)
    assert written == VARIANT
    assert [one.name for one in alternates] == [f"few-shot ~ {kind} {at}" for kind in KINDS for at in (1, 2)]
    prompts = [perturb(PROMPT, one.perturbation) for one in alternates]
    assert all(one != other for at, one in enumerate(prompts) for other in [PROMPT, *prompts[:at]])
    assert all(one.perturbation.of == "few-shot" for one in alternates)


def test_what_changes_nothing_gives_no_alternate():
    plain = Prompt("p", "user:\n{{ message }}")
    assert spread(plain) == (VARIANT,)
    off = Variant("few-shot", "p", "desk", examples_off=tuple(each.id for each in EXAMPLES[1:]))
    assert spread(PROMPT, off, kinds=("order",)) == (off,)


def test_alternates_stand_after_all_variants_and_have_none_of_their_own():
    bench = Bench((VARIANT, Variant("plain", "p", "desk")), perturbations=("casing",))
    once = add_perturbations(bench, lambda name: PROMPT)
    assert [one.name for one in once.variants] == [
        *("few-shot", "plain", "few-shot ~ casing 1", "few-shot ~ casing 2", "plain ~ casing 1", "plain ~ casing 2")
    ]
    unsaid = add_perturbations(Bench((VARIANT,)), lambda name: PROMPT)
    assert {one.perturbation.kind for one in unsaid.variants[1:]} == {"whitespace", "casing", "order"}


def test_a_bench_says_its_perturbations_briefly_or_in_detail():
    head = "variants: [{name: a, prompt: p, model: m}]\nperturbations: "
    assert parse_bench(head + "[casing, order]", "b").perturbations == ("casing", "order")
    detailed = parse_bench(head + "{kinds: [casing], count: 3}", "b").perturbations
    assert detailed == Perturbations(("casing",), 3, 0)
    with pytest.raises(BenchError, match=r"perturbations\.count: expected a number from 1"):
        parse_bench(head + "{count: 0}", "b")
    with pytest.raises(BenchError, match="caseing"):
        parse_bench(head + "[caseing]", "b")


WORDS = st.text(st.sampled_from("ab {}%#\n:é") | st.characters(codec="utf-8"), max_size=60)


@given(WORDS, st.sampled_from(KINDS), st.integers(0, 3))
def test_no_text_upsets_a_perturbation(text, kind, seed):
    prompt = Prompt("p", f"user:\n{text}{{{{ message }}}}\nassistant:\n", mode="chat")
    after = perturb(prompt, Perturbation("", kind, seed))
    tags = r"\{\{.*?\}\}|\{%.*?%\}|\{#.*?#\}"
    assert re.findall(tags, after.body, re.DOTALL) == re.findall(tags, prompt.body, re.DOTALL)
    assert perturb(prompt, None) == prompt
