"""The process that trains, mostly in this one: its libraries take seconds to import."""

from __future__ import annotations

import signal
import threading

import pytest
import torch  # noqa: TID253
from lesson import job_dir_of, open_lesson, read

from workbench.datasets.row_digests import read_digests
from workbench.errors import TrainingError
from workbench.training.checkpoints import find_checkpoints
from workbench.training.events import JobEvaluated, JobNotice, JobPaused, JobResumed, JobSaved, JobStep, read_events
from workbench.training.job import TrainingJob, merge_steps, start_job
from workbench.training.job_dir import JobControl
from workbench.training.preference_pairs import read_pairs
from workbench.training.registry import Registry

pytestmark = pytest.mark.filterwarnings("ignore")


@pytest.fixture(autouse=True)
def one_thread():
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


@pytest.fixture(scope="module")
def carry_out():
    handler = signal.getsignal(signal.SIGTERM)
    from workbench.training.child.run import run_job

    yield run_job
    signal.signal(signal.SIGTERM, handler)


def events_of(job_dir, kind):
    return [event for event in read_events(job_dir.events).events if isinstance(event, kind)]


def losses(job_dir):
    return [(step.step, step.loss) for step in merge_steps(read_events(job_dir.events).events)]


def test_a_training_tells_all_and_makes_an_adapter(lesson, carry_out):
    job_dir = job_dir_of(lesson)
    ended = carry_out(job_dir)
    assert (ended.outcome, ended.step) == ("done", 4), ended
    steps = events_of(job_dir, JobStep)
    assert [step.step for step in steps] == [1, 2, 3, 4]
    assert all(step.grad_norm > 0 and step.tokens_per_second > 0 and step.memory_bytes > 0 for step in steps)
    evaluated = events_of(job_dir, JobEvaluated)
    assert [found.step for found in evaluated] == [0, 2, 4]
    assert all(found.validation_loss and found.scores.keys() == {"exact_match"} for found in evaluated)
    assert evaluated[-1].samples[0].base == evaluated[0].samples[0].answer
    assert [saved.step for saved in events_of(job_dir, JobSaved)] == [2, 4]
    entry = Registry().find("lesson")
    assert str(entry.path) == ended.adapter
    assert entry.manifest is not None
    assert [(trace.role, trace.rows) for trace in entry.manifest.data] == [("train", 12), ("validation", 4)]
    assert (entry.manifest.prompt, entry.manifest.best_step) == ("ask", ended.best_step)


def test_after_a_kill_it_goes_on_with_the_same_losses_as_one_unbroken(lesson, carry_out):
    changes = "training: {max_steps: 10, batch_size: 2, learning_rate: 0.01, device: cpu}\nmethod: {dropout: 0.1}"
    unbroken = job_dir_of(lesson, changes, "unbroken")
    assert carry_out(unbroken).outcome == "done"
    job = start_job(read(changes), lesson, "broken")
    for event in job.events():
        if isinstance(event, JobStep) and event.step == 5:
            job.pause()
        if isinstance(event, JobPaused):
            break
    signal_kill(job)
    assert job.state == "interrupted"
    held = [found.step for found in find_checkpoints(job.job_dir.checkpoints)]
    assert held, job.log()
    job.job_dir.write_control(JobControl())
    assert carry_out(job.job_dir).outcome == "done"
    broken = losses(job.job_dir)
    assert [step for step, _ in broken] == list(range(1, 11))
    assert [loss for _, loss in broken] == pytest.approx([loss for _, loss in losses(unbroken)], rel=1e-4)


def signal_kill(job: TrainingJob) -> None:
    import psutil

    process = psutil.Process(job.job_dir.pid)
    process.kill()
    process.wait(120)


def test_a_wish_to_stop_keeps_the_best_state(lesson, carry_out):
    job_dir = job_dir_of(lesson)
    job_dir.write_control(JobControl("stop", keep=True))
    ended = carry_out(job_dir)
    assert (ended.outcome, ended.step) == ("stopped", 1)
    assert ended.best_step == 1
    assert Registry().entries()[0].name == "lesson"


def test_a_wish_to_stop_without_keeping_leaves_a_state_to_go_on_from(lesson, carry_out):
    job_dir = job_dir_of(lesson)
    job_dir.write_control(JobControl("stop", keep=False))
    ended = carry_out(job_dir)
    assert (ended.outcome, ended.adapter) == ("stopped", "")
    job_dir.write_control(JobControl())
    assert carry_out(job_dir).outcome == "done"
    assert [step for step, _ in losses(job_dir)] == [1, 2, 3, 4]


def test_a_pause_ends_when_a_person_wishes(lesson, carry_out):
    job_dir = job_dir_of(lesson)
    job_dir.acquire()
    job_dir.write_control(JobControl("pause"))
    job = TrainingJob(job_dir)

    def wait_and_go_on():
        for event in job.events():
            if isinstance(event, JobPaused):
                assert job.state == "paused"
                job.unpause()
                return

    helper = threading.Thread(target=wait_and_go_on)
    helper.start()
    ended = carry_out(job_dir)
    helper.join(120)
    assert ended.outcome == "done"
    assert [event.step for event in events_of(job_dir, JobResumed)] == [1]


def test_early_stopping_keeps_what_was_best(lesson, carry_out):
    changes = (
        "training: {max_steps: 40, batch_size: 2, learning_rate: 1.0e-9, device: cpu}\n"
        "evaluation: {eval_steps: 1, cases: 0, early_stopping_patience: 2}"
    )
    ended = carry_out(job_dir_of(lesson, changes))
    assert (ended.outcome, ended.step, ended.best_step) == ("done", 3, 1)
    assert "without improvement since update 1" in ended.reason


def test_a_training_that_blows_up_says_so_and_what_to_try(lesson, carry_out):
    changes = "training: {max_steps: 8, batch_size: 2, learning_rate: 1.0e+30, device: cpu}"
    ended = carry_out(job_dir_of(lesson, changes))
    assert ended.outcome == "failed"
    assert "diverged" in ended.reason
    assert "learning_rate" in ended.hint


def test_rows_without_answers_are_told(lesson, carry_out):
    (lesson / "train.jsonl").write_text('{"message": "Where?"}\n' * 3)
    ended = carry_out(job_dir_of(lesson, "train: {path: train.jsonl, on_error: skip}"))
    assert ended.outcome == "failed"
    assert "expected" in ended.reason + ended.hint


def test_rows_that_are_all_too_long_are_told(lesson, carry_out):
    ended = carry_out(job_dir_of(lesson, "training: {max_steps: 4, max_length: 3, device: cpu}"))
    assert ended.outcome == "failed"
    assert "All 12 rows are too long" in ended.reason or "All 4 rows are too long" in ended.reason


def test_a_full_disk_keeps_the_states_before_it(lesson, carry_out, monkeypatch):
    from workbench.training import checkpoints

    sealed = checkpoints.commit_checkpoint

    def fill(folder, name, trainer_state):
        if trainer_state.step == 4:
            raise OSError(28, "No space left on device")
        return sealed(folder, name, trainer_state)

    monkeypatch.setattr(checkpoints, "commit_checkpoint", fill)
    job_dir = job_dir_of(lesson)
    ended = carry_out(job_dir)
    assert ended.outcome == "failed"
    assert "No space left on device" in ended.reason
    assert "update 2 is still there" in ended.reason
    assert "--resume" in ended.hint
    monkeypatch.undo()
    monkeypatch.setenv("WORKBENCH_HOME", str(job_dir.folder.parents[2]))
    assert carry_out(job_dir).outcome == "done"


def test_running_out_of_memory_says_what_to_lower(lesson, carry_out, monkeypatch):
    from trl import SFTTrainer

    def starve(*_, **__):
        raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2 GiB")

    monkeypatch.setattr(SFTTrainer, "training_step", starve)
    ended = carry_out(job_dir_of(lesson))
    assert (ended.outcome, "memory" in ended.reason) == ("failed", True)
    assert "training.batch_size" in ended.hint


def test_data_that_change_under_a_job_are_refused(lesson, carry_out):
    job_dir = job_dir_of(lesson)
    job_dir.write_control(JobControl("stop", keep=False))
    carry_out(job_dir)
    job_dir.write_control(JobControl())
    with (lesson / "train.jsonl").open("a") as stream:
        stream.write('{"message": "New?", "expected": "here"}\n')
    ended = carry_out(job_dir)
    assert ended.outcome == "failed"
    assert "have changed" in ended.reason


def test_validation_rows_that_are_trained_on_are_told(lesson, carry_out):
    job_dir = job_dir_of(lesson, "validation: {path: train.jsonl, limit: 4}\ntraining: {max_steps: 1, device: cpu}")
    carry_out(job_dir)
    assert any("also in the training rows" in note.text for note in events_of(job_dir, JobNotice))


@pytest.mark.parametrize("kind", ["ia3", "prefix", "prompt", "full", "lora, use_dora: true, use_rslora: true"])
def test_every_method_trains_and_is_examined(lesson, carry_out, kind):
    changes = f"method: {{kind: {kind}}}\ntraining: {{max_steps: 2, batch_size: 2, device: cpu}}"
    job_dir = job_dir_of(lesson, changes)
    ended = carry_out(job_dir)
    assert ended.details == ""
    assert len(events_of(job_dir, JobStep)) == 2
    assert [found.step for found in events_of(job_dir, JobEvaluated)] == [0, 2]


def test_loss_masks_are_those_of_trl(lesson, carry_out):
    import datasets
    from trl import SFTConfig, SFTTrainer

    from workbench.training.child.tokenized_dataset import encode_rows
    from workbench.training.child.training_data import make_dataset
    from workbench.training.child.training_model import load_training_model
    from workbench.training.rows import render_training

    task = open_lesson(lesson)
    loaded = load_training_model(task, torch.device("cpu"))
    rows = render_training(task).rows
    ours = make_dataset(encode_rows(loaded, task.recipe, rows), completion_only=True)
    theirs = datasets.Dataset.from_list(
        [
            {
                "prompt": [{"role": message.role, "content": message.content} for message in row.messages],
                "completion": [{"role": "assistant", "content": row.answer}],
            }
            for row in rows
        ]
    )
    arguments = SFTConfig(output_dir=str(lesson / "out"), use_cpu=True, bf16=False, report_to="none", max_length=200)
    trainer = SFTTrainer(model=loaded.model, args=arguments, train_dataset=theirs, processing_class=loaded.tokenizer)
    assert list(ours["input_ids"]) == list(trainer.train_dataset["input_ids"])
    assert list(ours["labels"]) == list(trainer.train_dataset["labels"])


def test_an_adapter_gives_the_same_answers_in_plain_peft(lesson, carry_out):
    import peft
    import transformers

    changes = (
        "evaluation: {eval_steps: 4, cases: 4, samples: 4, max_tokens: 4}\n"
        "training: {max_steps: 4, batch_size: 4, device: cpu}"
    )
    job_dir = job_dir_of(lesson, changes)
    ended = carry_out(job_dir)
    assert ended.adapter, ended
    base = transformers.AutoModelForCausalLM.from_pretrained(lesson / "tiny")
    model = peft.PeftModel.from_pretrained(base, ended.adapter).eval()
    tokenizer = transformers.AutoTokenizer.from_pretrained(lesson / "tiny")
    task = open_lesson(lesson, changes)
    assert task.validation is not None
    for case, sample in zip(task.validation, events_of(job_dir, JobEvaluated)[-1].samples, strict=True):
        turns = [{"role": "system", "content": "Be kind."}, {"role": "user", "content": case.variables["message"]}]
        asked = tokenizer.apply_chat_template(turns, add_generation_prompt=True, return_tensors="pt", return_dict=True)
        made = model.generate(**asked, max_new_tokens=4, do_sample=False)
        text = tokenizer.decode(made[0, asked["input_ids"].shape[1] :], skip_special_tokens=True)
        assert text == sample.answer


def test_preferences_raise_the_margin_on_pairs_that_were_held_out(lesson, carry_out):
    import json

    pairs = [
        {"variables": {"message": f"Where is my parcel {at}?"}, "chosen": "parcel here", "rejected": "kettle"}
        for at in range(20)
    ]
    (lesson / "pairs.jsonl").write_text("\n".join(map(json.dumps, pairs)))
    changes = (
        "preference: {path: pairs.jsonl}\ntraining: {max_steps: 6, batch_size: 4, learning_rate: 0.01, device: cpu}\n"
        "evaluation: {eval_steps: 3, cases: 0}"
    )
    job_dir = job_dir_of(lesson, changes)
    ended = carry_out(job_dir)
    assert ended.outcome == "done", ended
    margins = [found.scores["reward margin"] for found in events_of(job_dir, JobEvaluated)]
    assert margins[0] == pytest.approx(0, abs=1e-4)
    assert margins[-1] > 0.1


def test_rows_that_are_no_pairs_are_told_with_their_numbers(lesson):
    (lesson / "pairs.jsonl").write_text('{"prompt": "a", "chosen": "b"}\nnonsense\n')
    with pytest.raises(TrainingError) as caught:
        read_pairs(open_lesson(lesson, "preference: {path: pairs.jsonl}"))
    assert "row 1: no value in column rejected" in caught.value.message
    assert "row 2, column 1" in caught.value.message


def test_a_look_before_training_counts_and_shows_rows_as_the_model_sees_them(lesson, carry_out):
    from workbench.training.child.preview import preview_training

    (lesson / "train.jsonl").open("a").write('{"message": "No answer?"}\n')
    found = preview_training(job_dir_of(lesson, "train: {path: train.jsonl}"))
    assert (found.rows, found.unlabelled, found.validation_rows, found.steps) == (12, 1, 4, 4)
    assert found.seconds is not None and found.seconds > 0
    assert found.learned_tokens < found.tokens
    shown = found.previews[0]
    asked = "".join(piece.text for piece in shown.pieces[: shown.asked])
    assert asked.endswith("Where is my parcel 0?<|end|><|assistant|>")
    assert not any(piece.learned for piece in shown.pieces[: shown.asked])
    assert "".join(piece.text for piece in shown.pieces if piece.learned) == "parcel<|end|>"
    assert "1 training row without an expected answer" in found.notes[0]


def test_packed_rows_do_not_see_each_other(lesson, carry_out):
    first = []
    for packing in ("false", "true"):
        changes = (
            f"training: {{max_steps: 1, batch_size: 16, packing: {packing}, device: cpu}}\nevaluation: {{cases: 0}}"
        )
        job_dir = job_dir_of(lesson, changes)
        assert carry_out(job_dir).outcome == "done"
        first.append(losses(job_dir)[0][1])
    assert first[0] == pytest.approx(first[1], rel=1e-4)


def test_a_training_can_go_on_from_an_adapter(lesson, carry_out):
    carry_out(job_dir_of(lesson))
    ended = carry_out(job_dir_of(lesson, "parent: lesson\nname: further"))
    assert ended.outcome == "done", ended
    assert Registry().lineage("further") == ("further", "lesson")


def test_an_adapter_tells_what_it_was_trained_on_and_a_test_case_among_the_rows_is_noticed(lesson, carry_out):
    dataset, variant = "{path: train.jsonl, limit: 3}", "{name: a, prompt: ask, model: tiny}"
    bench = f"dataset: {dataset}\nscorers: [exact_match]\nvariants: [{variant}]\n"
    (lesson / "my.bench.yaml").write_text(bench)
    job_dir = job_dir_of(lesson, "bench: my.bench.yaml")
    carry_out(job_dir)
    (notice,) = [event.text for event in events_of(job_dir, JobNotice) if "test cases" in event.text]
    assert notice.startswith("3 of the bench's 3 test cases are also training rows, the first as case 1 (exact)")
    (entry,) = Registry().entries()
    parts = {part.role: len(part.exact) for part in read_digests(entry.path) or ()}
    assert parts == {"train": 12, "validation": 4}
