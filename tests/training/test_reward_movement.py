"""How reward and scorers move: means of the first and the last updates, and a word where the reward is hacked."""

from __future__ import annotations

import pytest

from workbench.training.events import JobEvaluated, JobStarted, JobStep
from workbench.training.reward_movement import describe_hacking, list_movements


def updates(rewards, scores, first=1):
    return [
        JobStep(
            0.0, step, 0.0, 0.0, 0.0, 0.0, 0, 0.0, 0, 0.0, 0.0, {"reward": reward, "KL": 0.1, "sampled style": score}
        )
        for step, (reward, score) in enumerate(zip(rewards, scores, strict=True), first)
    ]


def evaluated(step, **scores):
    return JobEvaluated(0.0, step, None, None, scores)


def test_first_and_last_updates_and_validation():
    steps = updates([0.0, 0.2, 0.4, 0.6, 0.8, 1.0, 1.0, 1.0], [0.5] * 8)
    events = [evaluated(0, style=0.4, right=0.1), *steps, evaluated(8, style=0.6, right=0.3)]
    reward, kl, style, right = list_movements(events)
    assert (reward.name, reward.first, reward.last) == ("reward", pytest.approx(0.1), 1.0)
    assert kl.name == "KL"
    assert (style.name, style.base, style.held_out) == ("style", 0.4, 0.6)
    assert (right.first, right.base, right.held_out) == (None, 0.1, 0.3)
    assert describe_hacking((reward, kl, style, right)) == ""


def test_a_reward_that_rises_while_another_scorer_falls_is_said():
    steps = updates([0.1, 0.2, 0.8, 0.9], [0.9, 0.8, 0.4, 0.3])
    text = describe_hacking(list_movements(steps))
    assert text.startswith("The reward rose from 0.1 to 0.9 while style fell from 0.9 to 0.3 on sampled answers")


def test_a_scorer_that_falls_on_validation_alone_is_said_too():
    steps = updates([0.1, 0.9], [0.5, 0.5])
    text = describe_hacking(list_movements([evaluated(0, right=0.7), *steps, evaluated(2, right=0.2)]))
    assert "right fell from 0.7 to 0.2 on validation" in text


def test_a_reward_that_falls_is_not_hacked():
    assert describe_hacking(list_movements(updates([0.9, 0.1], [0.9, 0.1]))) == ""


def test_updates_made_again_after_a_kill_count_once():
    again = JobStarted(0.0, 1, 1, 4, 1.0, 1, 0, 1, 1, "cpu", "float32", 0.1, 1)
    events = [*updates([0.0, 0.0], [0.5, 0.5]), again, *updates([1.0], [0.5], first=2)]
    reward = list_movements(events)[0]
    assert (reward.first, reward.last) == (0.0, 1.0)


def test_a_training_without_such_figures_has_none():
    assert list_movements([evaluated(0, exact_match=0.5)]) == ()
