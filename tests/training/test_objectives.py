"""Every objective has a trainer and trains; a new one is a file of its own, and nothing else."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch  # noqa: TID253
from lesson import job_dir_of, read

from workbench.errors import TrainingError
from workbench.training.events import REWARD_MARGIN, JobEvaluated, JobStep, read_events
from workbench.training.objectives import OBJECTIVES, Objective
from workbench.training.recipe import find_loss_args, find_objective
from workbench.training.reward_movement import list_movements
from workbench.training.sampled_answers import read_answers

pytestmark = pytest.mark.filterwarnings("ignore")
ARGS = (
    "training: {max_steps: 2, batch_size: 2, learning_rate: 0.01, device: cpu}\nevaluation: {eval_steps: 2, cases: 0}"
)


@pytest.fixture(autouse=True)
def one_thread():
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


def write_pairs(folder: Path) -> None:
    pairs = [
        {"variables": {"message": f"Where is my parcel {at}?"}, "chosen": "parcel here", "rejected": "kettle"}
        for at in range(12)
    ]
    (folder / "pairs.jsonl").write_text("\n".join(map(json.dumps, pairs)))


def changes_for(objective: Objective) -> str:
    pairs = "\npreference: {path: pairs.jsonl}" if objective.data in ("pairs", "labelled") else ""
    sampled = "\nrollouts: {num_generations: 2, max_tokens: 3}" if objective.data == "prompts" else ""
    return f"objective: {objective.name}\n{ARGS}{pairs}{sampled}"


@pytest.mark.parametrize("objective", OBJECTIVES.values(), ids=lambda one: one.name)
def test_every_objective_trains_and_is_evaluated(lesson, objective):
    from workbench.training.child.run import run_job

    write_pairs(lesson)
    job_dir = job_dir_of(lesson, changes_for(objective))
    ended = run_job(job_dir)
    assert (ended.outcome, ended.details) == ("done", "")
    events = read_events(job_dir.events).events
    assert [event.step for event in events if isinstance(event, JobStep)] == [1, 2]
    last = [event for event in events if isinstance(event, JobEvaluated)][-1]
    assert last.scores.keys() == set(objective.metrics.values())


def test_losses_of_one_form_of_data_differ():
    recipe = read("preference: {path: pairs.jsonl}")
    specs = [one.load() for one in OBJECTIVES.values()]
    options = [(spec.config, spec.options(find_loss_args(recipe))) for spec in specs]
    assert all(options.count(one) == 1 for one in options)


def test_preference_pairs_alone_mean_dpo():
    assert find_objective(read()).name == "sft"
    assert find_objective(read("preference: {path: pairs.jsonl}")).name == "dpo"


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ("objective: ipo", "preference: ipo learns from preference pairs"),
        ("objective: sft\npreference: {path: pairs.jsonl}", "preference: sft does not learn from preference pairs"),
        ("preference: {path: p}\nmethod: {kind: prefix}", "method.kind: dpo is trained by lora, qlora, ia3, full"),
        ("preference: {path: p}\ntraining: {packing: true}", "training.packing: dpo cannot pack rows"),
        ("objective: ppo", "objective"),
        ("objective: kto\n" + ARGS.replace("batch_size: 2", "batch_size: 1"), "kto compares the answers of a batch"),
    ],
)
def test_what_does_not_go_together_is_named(changes, words):
    with pytest.raises(TrainingError, match=words):
        read(changes)


@pytest.mark.parametrize("name", ["dpo", "ipo", "hinge", "orpo", "kto", "reward"])
def test_every_preference_method_raises_its_margin_on_pairs_that_were_held_out(lesson, name):
    from workbench.training.child.run import run_job

    pairs = [
        {"variables": {"message": f"Where is my parcel {at}?"}, "chosen": "parcel here", "rejected": "kettle"}
        for at in range(40)
    ]
    (lesson / "pairs.jsonl").write_text("\n".join(map(json.dumps, pairs)))
    args = ARGS.replace("max_steps: 2, batch_size: 2", "max_steps: 8, batch_size: 8")
    job_dir = job_dir_of(lesson, f"objective: {name}\npreference: {{path: pairs.jsonl}}\n{args}")
    ended = run_job(job_dir)
    assert ended.outcome == "done", ended
    events = read_events(job_dir.events).events
    margins = [event.scores[REWARD_MARGIN] for event in events if isinstance(event, JobEvaluated)]
    assert margins[-1] - margins[0] > 0.05
    assert all(REWARD_MARGIN in event.metrics for event in events if isinstance(event, JobStep))


@pytest.mark.parametrize("name", ["grpo", "rloo"])
def test_sampled_answers_are_rewarded_by_scorers_and_kept(lesson, name):
    """The reward is a vowel in the answer, which a model that answers at random learns within twelve updates."""
    from workbench.training.child.run import run_job

    vowel = "{regex: {pattern: '[aeiou]', compare: false, name: vowel}}"
    changes = (
        f"objective: {name}\nscorers: [exact_match, {vowel}]\n"
        "training: {max_steps: 12, batch_size: 16, learning_rate: 0.02, device: cpu}\n"
        "evaluation: {eval_steps: 6, cases: 4, max_tokens: 4}\n"
        f"rollouts: {{reward: [{vowel}], num_generations: 8, beta: 0.0, samples: 3}}"
    )
    job_dir = job_dir_of(lesson, changes)
    ended = run_job(job_dir)
    assert ended.outcome == "done", ended
    events = read_events(job_dir.events).events
    steps = [event for event in events if isinstance(event, JobStep)]
    assert all(
        {"reward", "completion length", "sampled vowel", "sampled exact_match"} <= set(one.metrics) for one in steps
    )
    movement = {one.name: one for one in list_movements(events)}
    assert movement["reward"].last > movement["reward"].first
    assert movement["vowel"].held_out is not None
    kept = read_answers(job_dir.folder)
    assert [one.step for one in kept] == [step for step in range(1, 13) for _ in range(3)]
    assert all(one.reward == one.scores["vowel"] for one in kept)
