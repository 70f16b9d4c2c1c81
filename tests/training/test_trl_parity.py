"""A plain script on TRL gives the same losses: for SFT, DPO, KTO and the reward model, on the same rows."""

from __future__ import annotations

import json

import pytest
import torch  # noqa: TID253
from lesson import WORDS, job_dir_of

from workbench.training.events import read_events
from workbench.training.job import merge_steps

pytestmark = pytest.mark.filterwarnings("ignore")
UPDATES, BATCH = 4, 4
TRAINING = f"training: {{max_steps: {UPDATES}, batch_size: {BATCH}, learning_rate: 0.01, device: cpu}}\n"


@pytest.fixture(autouse=True)
def one_thread():
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


def ask(at):
    return [
        {"role": "system", "content": "Be kind."},
        {"role": "user", "content": f"Where is my {WORDS[at % 4]} {at}?"},
    ]


def answer(text):
    return [{"role": "assistant", "content": text}]


def ours(folder, objective, rows, preference=True):
    """The losses of our updates on these rows of a file."""
    from workbench.training.child.run import run_job

    (folder / "rows.jsonl").write_text("\n".join(map(json.dumps, rows)))
    named = "preference: {path: rows.jsonl, validation: rows.jsonl}\n" if preference else ""
    job_dir = job_dir_of(folder, f"objective: {objective}\n{named}{TRAINING}evaluation: {{cases: 0, eval_steps: 4}}")
    ended = run_job(job_dir)
    assert ended.outcome == "done", ended
    return [step.loss for step in merge_steps(read_events(job_dir.events).events)]


def theirs(folder, trainer, config, rows, scores=False, **options):
    """The losses of a plain script: a model by its path, rows as conversations, peft's LoRA of the defaults."""
    import datasets
    import peft

    task = peft.TaskType.SEQ_CLS if scores else peft.TaskType.CAUSAL_LM
    arguments = config(
        output_dir=str(folder / "out"), max_steps=UPDATES, per_device_train_batch_size=BATCH, learning_rate=0.01,
        lr_scheduler_type="cosine", warmup_steps=0.1, weight_decay=0.0, gradient_checkpointing=False, seed=7,
        data_seed=7, use_cpu=True, bf16=False, logging_steps=1, save_strategy="no", report_to="none", disable_tqdm=True,
        max_length=200, **options,
    )  # fmt: skip
    made = trainer(
        model=load_with_head(folder) if scores else str(folder / "tiny"),
        args=arguments,
        train_dataset=datasets.Dataset.from_list(rows),
        peft_config=peft.LoraConfig(task_type=task, r=8, lora_alpha=16, lora_dropout=0.0, target_modules="all-linear"),
    )
    made.train()
    return [log["loss"] for log in made.state.log_history if "loss" in log]


def load_with_head(folder):
    """Loaded before the trainer sets its seed again, as the numbers of the head would move those of the adapter."""
    import transformers

    transformers.set_seed(7)
    return transformers.AutoModelForSequenceClassification.from_pretrained(folder / "tiny", num_labels=1)


def make_pairs():
    return [{"prompt": ask(at), "chosen": answer("parcel here"), "rejected": answer(WORDS[at % 4])} for at in range(16)]


def test_supervised(lesson):
    from trl import SFTConfig, SFTTrainer

    rows = [{"prompt": ask(at), "completion": answer(WORDS[at % 4])} for at in range(12)]
    expected = theirs(lesson, SFTTrainer, SFTConfig, rows)
    assert ours(lesson, "sft", [], preference=False) == pytest.approx(expected, rel=1e-3)


def test_preference_pairs(lesson):
    from trl import DPOConfig, DPOTrainer

    expected = theirs(lesson, DPOTrainer, DPOConfig, make_pairs(), beta=0.1)
    assert ours(lesson, "dpo", make_pairs()) == pytest.approx(expected, rel=1e-3)


def test_labelled_answers(lesson):
    from lesson import open_lesson
    from trl import KTOConfig, KTOTrainer

    from workbench.training.labelled_rows import read_labelled_rows

    rows = [
        {"prompt": ask(at), "completion": answer("parcel here" if at % 2 else "kettle"), "label": bool(at % 2)}
        for at in range(16)
    ]
    losses = ours(lesson, "kto", rows)
    read = read_labelled_rows(
        open_lesson(lesson, "objective: kto\npreference: {path: rows.jsonl, validation: rows.jsonl}")
    )
    in_order = [rows[one.row.case - 1] for one in read.train]
    assert in_order != rows
    expected = theirs(lesson, KTOTrainer, KTOConfig, in_order, beta=0.1)
    assert losses == pytest.approx(expected, rel=1e-3)


def test_a_reward_model(lesson):
    from trl import RewardConfig, RewardTrainer

    expected = theirs(lesson, RewardTrainer, RewardConfig, make_pairs(), scores=True)
    assert ours(lesson, "reward", make_pairs()) == pytest.approx(expected, rel=1e-3)
