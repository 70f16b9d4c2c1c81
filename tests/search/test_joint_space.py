from __future__ import annotations

import random

from workbench.prompting.prompt import Example
from workbench.search.joint_space import ExampleSet, JointSpace, arrange, draw_mixed, draw_sets

POOL = [Example(f"e{at}", {"message": "word " * (at + 1)}, "abc"[at % 3]) for at in range(12)]


def test_a_drawn_set_has_as_many_different_answers_as_it_can():
    for seed in range(20):
        drawn = draw_mixed(POOL, 3, random.Random(seed))
        assert {one.answer for one in drawn} == {"a", "b", "c"}
        assert len(draw_mixed(POOL, 50, random.Random(seed))) == 12


def test_sets_begin_with_the_prompts_own_examples_and_keep_to_the_limit():
    sets = draw_sets(POOL[:2], POOL, 4, 0)
    assert sets[0] == ExampleSet(tuple(POOL[:2]), "its own 2 examples")
    assert sets[1].examples == ()
    assert max(len(one.examples) for one in sets) == 4
    assert draw_sets(POOL[:2], POOL, 4, 0) == sets
    assert [one.examples for one in draw_sets((), [], 4, 0)] == [()]


def test_orders_rearrange_the_same_examples():
    for order in ("as drawn", "reversed", "shuffled", "longest last"):
        assert sorted(one.id for one in arrange(POOL, order, 1)) == sorted(one.id for one in POOL)
    assert arrange(POOL, "reversed", 1) == tuple(reversed(POOL))
    assert arrange(tuple(reversed(POOL)), "longest last", 1) == tuple(POOL)


def test_a_dimension_of_one_value_is_no_choice():
    space = JointSpace([("body", "its own instruction")], [ExampleSet((), "no examples")], ("default",), 0)
    assert space.choices == {}
    assert space.resolve({}).body == "body"


def test_a_point_says_what_it_is():
    sets = [ExampleSet((), "no examples"), ExampleSet(tuple(POOL[:3]), "3 examples (set 1)")]
    space = JointSpace([("one", "its own instruction"), ("two", "template 1")], sets, ("default", "on"), 0)
    point = space.resolve({"instruction": 1, "examples": 1, "order": "reversed", "thinking": "on"})
    assert (point.body, point.thinking) == ("two", "on")
    assert point.examples == tuple(reversed(POOL[:3]))
    assert point.label == "template 1, 3 examples (set 1), reversed, thinking on"
