"""Rewards of sampled answers: from a reward model that was trained here, from a scorer of one's own, after a kill."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest
import torch  # noqa: TID253
from lesson import job_dir_of

from workbench import paths
from workbench.cli.app import run
from workbench.errors import TrainingError
from workbench.models.compatibility import check_compatible
from workbench.models.reference import Adapter, Model
from workbench.runs.view import RunView
from workbench.scoring.trust import find_code, trust
from workbench.store.store import Store
from workbench.training.dry_run import describe_time
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


def score_with(folder, capsys, options):
    """What the scorer `reward_model` says of two scripted models' answers to the first three training rows."""
    for name, reply in (("good", "parcel here"), ("bad", "kettle")):
        (folder / f"{name}.script.json").write_text(json.dumps({"rules": [{"reply": reply}], "context_tokens": 1000}))
    (folder / "scored.bench.yaml").write_text(
        f"library: .\ndataset: {{path: train.jsonl}}\nscorers: [reward_model: {options}]\nvariants:\n"
        "  - {name: good, prompt: ask, model: good.script.json}\n  - {name: bad, prompt: ask, model: bad.script.json}\n"
    )
    capsys.readouterr()
    run(["eval", "scored.bench.yaml", "--case", "1-3"], lambda *_: 0)
    store = Store(paths.data_folder() / "workbench.sqlite")
    cells = list(RunView(store, "last").cells())
    store.close()
    found: dict[str, list[float | None]] = {}
    for cell in cells:
        (score,) = cell.scores
        found.setdefault(cell.variant, []).append(score.value if score.applies else None)
    return found, capsys.readouterr().err


def test_a_reward_model_gives_the_numbers_of_its_training_is_a_reward_and_scores_a_bench(lesson, capsys):
    import peft
    import transformers
    from lesson import open_lesson

    from workbench.inference.transformers.reward_model import load_reward_model
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
    adapter = find_reward_adapter("judge", lesson)
    model = load_reward_model(adapter, task.base, loaded.dtype, loaded.device, loaded.encoder.prompts)
    from workbench.training.rows import render_training

    rows = render_training(task).rows[:3]
    asked = [loaded.encoder.ask(row) for row in rows]
    better, worse = (model.score(asked, [answer] * 3) for answer in ("parcel here", "kettle"))
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

    scores, _ = score_with(lesson, capsys, "{adapter: judge}")
    assert scores == {"good": pytest.approx(better, abs=1e-4), "bad": pytest.approx(worse, abs=1e-4)}
    scores, errors = score_with(lesson, capsys, "{adapter: nothing, base: tiny}")
    assert scores == {"good": [None] * 3, "bad": [None] * 3}
    assert "reward_model did not score 6 of 6 answers: No such adapter: 'nothing'" in " ".join(errors.split())


def test_a_judge_rewards_each_sampled_answer_and_one_that_fails_rewards_none(lesson):
    rules = [
        {"regex": r"<answer>[^<]*[aeiou]", "reply": '{"reason": "It has a vowel.", "score": 5}'},
        {"regex": r"<answer>[^<]*[bcdf]", "reply": "{", "fail_after": 1, "failure": "It fell."},
        {"reply": '{"reason": "It has none.", "score": 1}'},
    ]
    (lesson / "judge.script.json").write_text(json.dumps({"rules": rules, "context_tokens": 10_000}))
    judge = "{judge: {model: judge.script.json, rubric: Has it a vowel?, show_expected: false}}"
    changes = GRPO.replace("batch_size: 4", "batch_size: 8")
    job_dir = job_dir_of(
        lesson, f"{changes}rollouts: {{reward: [{judge}], num_generations: 4, max_tokens: 3, beta: 0.0}}"
    )
    assert carry_out(job_dir).outcome == "done"
    kept = read_answers(job_dir.folder)
    assert len(kept) == 4 * 8
    for one in kept:
        text = one.answer.split("<")[0]
        rated = 1.0 if re.search("[aeiou]", text) else None if re.search("[bcdf]", text) else 0.0
        assert one.reward == rated, one.answer
    assert {one.reward for one in kept} >= {0.0, 1.0}
    missing = [sum(one.reward is None for one in kept if one.step == step.step) for step in steps_of(job_dir)]
    told = [step.metrics.get("sampled answers without a reward", 0.0) for step in steps_of(job_dir)]
    assert told == missing and any(missing)


def test_a_dry_run_samples_the_answers_of_an_update_and_says_what_they_take(lesson):
    from workbench.training.child.preview import preview_training

    judge = "{judge: {model: judge.script.json, rubric: Is it right?}}"
    changes = f"{GRPO}rollouts: {{reward: [exact_match, {judge}], num_generations: 2, max_tokens: 3}}"
    found = preview_training(job_dir_of(lesson, changes))
    assert found.sampling is not None and found.seconds is not None
    assert found.seconds > found.sampling.seconds > 0
    assert (found.sampling.answers, found.sampling.cut) == (4, False)
    text = describe_time(found)
    assert "of it for sampling" in text and "measured on 4 answers" in text
    assert text.endswith("not included: the model calls of judge")


def test_an_adapter_without_a_head_is_not_a_reward_model(lesson):
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
