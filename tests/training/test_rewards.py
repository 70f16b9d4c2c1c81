"""Rewards of sampled answers: from a reward model that was trained here, from a scorer of one's own, after a kill."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch  # noqa: TID253
from lesson import job_dir_of

from workbench.errors import TrainingError
from workbench.models.compatibility import check_compatible
from workbench.models.reference import Adapter, Model
from workbench.scoring.trust import find_code, trust
from workbench.training.events import read_events
from workbench.training.job import merge_steps
from workbench.training.job_dir import JobControl
from workbench.training.registry import Registry
from workbench.training.sampled_answers import read_answers

pytestmark = pytest.mark.filterwarnings("ignore")
GRPO = (
    "objective: grpo\ntraining: {max_steps: 4, batch_size: 4, learning_rate: 0.01, device: cpu}\n"
    "evaluation: {eval_steps: 2, cases: 2, max_tokens: 3}\n"
)


@pytest.fixture(autouse=True)
def one_thread():
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


def carry_out(job_dir):
    from workbench.training.child.run import run_job

    return run_job(job_dir)


def steps_of(job_dir):
    return merge_steps(read_events(job_dir.events).events)


def test_a_reward_model_gives_the_numbers_of_its_training_and_is_a_reward(lesson):
    import peft
    import transformers
    from lesson import open_lesson

    from workbench.training.child.reward_head import RewardModel
    from workbench.training.child.rewards import find_reward_adapter
    from workbench.training.child.training_model import load_training_model

    pairs = [
        {"variables": {"message": f"Where is {at}?"}, "chosen": "parcel here", "rejected": "kettle"} for at in range(12)
    ]
    (lesson / "pairs.jsonl").write_text("\n".join(map(json.dumps, pairs)))
    changes = "objective: reward\nname: judge\npreference: {path: pairs.jsonl}\n"
    ended = carry_out(
        job_dir_of(lesson, f"{changes}training: {{max_steps: 6, batch_size: 4, learning_rate: 0.01, device: cpu}}")
    )
    assert ended.outcome == "done", ended
    assert Registry().find("judge").manifest.method == "lora, reward"
    (reason,) = check_compatible(Adapter("judge", Path(ended.adapter), "peft"), Model("tiny", lesson / "tiny", "hf"))
    assert "it is a reward model" in reason

    task = open_lesson(lesson)
    loaded = load_training_model(task, torch.device("cpu"))
    model = RewardModel(find_reward_adapter("judge", lesson), task.base, loaded.dtype, loaded.device, loaded.encoder)
    from workbench.training.rows import render_training

    rows = render_training(task).rows[:3]
    better, worse = model.score(rows, ["parcel here"] * 3), model.score(rows, ["kettle"] * 3)
    assert all(one > other for one, other in zip(better, worse, strict=True))
    base = transformers.AutoModelForSequenceClassification.from_pretrained(
        lesson / "tiny", num_labels=1, pad_token_id=loaded.tokenizer.pad_token_id
    )
    plain = peft.PeftModel.from_pretrained(base, ended.adapter).eval()
    ids = torch.tensor([loaded.encoder.join(rows[0], "parcel here").ids])
    assert float(plain(input_ids=ids).logits[0, 0]) == pytest.approx(better[0], abs=1e-4)

    job_dir = job_dir_of(lesson, f"{GRPO}rollouts: {{reward_model: judge, num_generations: 2, max_tokens: 3}}")
    assert carry_out(job_dir).outcome == "done"
    assert all("sampled judge" in step.metrics and "KL" in step.metrics for step in steps_of(job_dir))
    assert all(one.reward == pytest.approx(one.scores["judge"]) for one in read_answers(job_dir.folder))


def test_an_adapter_without_a_head_is_no_reward_model(lesson):
    carry_out(job_dir_of(lesson))
    ended = carry_out(job_dir_of(lesson, f"{GRPO}rollouts: {{reward_model: lesson, num_generations: 2}}"))
    assert (ended.outcome, "lesson is not a reward model" in ended.reason) == ("failed", True)


def test_a_scorer_of_ones_own_needs_trust_and_then_rewards(lesson):
    (lesson / "mine.py").write_text("def score(answer, case):\n    return len(answer) / 100\n")
    spec = {"python": {"file": "mine.py", "function": "score", "name": "mine"}}
    changes = f"{GRPO}rollouts: {{reward: [{json.dumps(spec)}], num_generations: 2, max_tokens: 3}}"
    ended = carry_out(job_dir_of(lesson, changes))
    assert (ended.outcome, "nobody has agreed to" in ended.reason) == ("failed", True)
    trust(find_code([spec], lesson))
    job_dir = job_dir_of(lesson, changes)
    assert carry_out(job_dir).outcome == "done"
    kept = read_answers(job_dir.folder)
    assert kept and all(one.reward == pytest.approx(len(one.answer) / 100) for one in kept)


def test_a_job_that_was_stopped_goes_on_with_the_rewards_of_one_unbroken(lesson):
    changes = f"{GRPO}rollouts: {{reward: [edit_similarity], num_generations: 2, max_tokens: 3, beta: 0.0}}"
    unbroken, broken = job_dir_of(lesson, changes, "unbroken"), job_dir_of(lesson, changes, "broken")
    assert carry_out(unbroken).outcome == "done"
    broken.write_control(JobControl("stop", keep=False))
    assert carry_out(broken).outcome == "stopped"
    assert [step.step for step in steps_of(broken)] == [1]
    broken.write_control(JobControl())
    assert carry_out(broken).outcome == "done"
    rewards = [[step.metrics["reward"] for step in steps_of(one)] for one in (unbroken, broken)]
    assert rewards[1] == pytest.approx(rewards[0])
    assert [one.step for one in read_answers(broken.folder)] == [step for step in (1, 2, 3, 4) for _ in range(4)]


def test_what_cannot_be_a_reward_is_named(lesson):
    ended = carry_out(job_dir_of(lesson, f"{GRPO}rollouts: {{reward: [latency], num_generations: 2}}"))
    assert (ended.outcome, "latency cannot be a reward" in ended.reason) == ("failed", True)


def test_too_few_prompts_for_an_update_are_told(lesson):
    changes = GRPO.replace("batch_size: 4", "batch_size: 64")
    ended = carry_out(job_dir_of(lesson, f"{changes}rollouts: {{num_generations: 2}}"))
    assert "12 prompts are too few" in ended.reason


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ("objective: grpo\ntraining: {batch_size: 12}", "expected a multiple of rollouts.num_generations"),
        ("objective: sft\nrollouts: {beta: 0.1}", "sft samples no answers"),
        ("rollouts: {num_generations: 1}", "expected a number from 2"),
        ("rollouts: {reward: [exact_match], reward_weights: [1, 2]}", "expected 1, one for each reward"),
        ("rollouts: {top_p: 1.5}", "rollouts.top_p"),
    ],
)
def test_rollouts_that_cannot_be_are_named(changes, words):
    from lesson import read

    with pytest.raises(TrainingError, match=words):
        read(changes)
