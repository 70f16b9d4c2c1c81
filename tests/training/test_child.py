"""The process that trains, mostly in this one: its libraries take seconds to import."""

from __future__ import annotations

import signal
import threading

import pytest
import torch  # noqa: TID253
from lesson import open_lesson, place_of, read

from workbench.errors import TrainingError
from workbench.evaluation.row_digests import read_digests
from workbench.training.checkpoints import find_checkpoints
from workbench.training.job import Job, curve, start
from workbench.training.journal import read_events
from workbench.training.pairs import read_pairs
from workbench.training.place import Control
from workbench.training.progress import (
    JobExamined,
    JobNotice,
    JobPaused,
    JobSaved,
    JobStep,
    JobWentOn,
)
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
    from workbench.training.child.run import carry_out

    yield carry_out
    signal.signal(signal.SIGTERM, handler)


def events_of(place, kind):
    return [event for event in read_events(place.events).events if isinstance(event, kind)]


def losses(place):
    return [(step.step, step.loss) for step in curve(read_events(place.events).events)]


def test_a_training_tells_all_and_makes_an_adapter(lesson, carry_out):
    place = place_of(lesson)
    ended = carry_out(place)
    assert (ended.outcome, ended.step) == ("done", 4), ended
    steps = events_of(place, JobStep)
    assert [step.step for step in steps] == [1, 2, 3, 4]
    assert all(step.grad_norm > 0 and step.tokens_per_second > 0 and step.memory_bytes > 0 for step in steps)
    examined = events_of(place, JobExamined)
    assert [found.step for found in examined] == [0, 2, 4]
    assert all(found.validation_loss and found.scores.keys() == {"exact_match"} for found in examined)
    assert examined[-1].samples[0].base == examined[0].samples[0].answer
    assert [saved.step for saved in events_of(place, JobSaved)] == [2, 4]
    entry = Registry().find("lesson")
    assert str(entry.path) == ended.adapter
    assert entry.manifest is not None
    assert [(trace.role, trace.rows) for trace in entry.manifest.data] == [("train", 12), ("validation", 4)]
    assert (entry.manifest.prompt, entry.manifest.best_step) == ("ask", ended.best_step)


def test_after_a_kill_it_goes_on_with_the_same_losses_as_one_unbroken(lesson, carry_out):
    changes = "training: {steps: 10, batch: 2, learning_rate: 0.01, device: cpu}\nmethod: {dropout: 0.1}"
    unbroken = place_of(lesson, changes, "unbroken")
    assert carry_out(unbroken).outcome == "done"
    job = start(read(changes), lesson, "broken")
    for event in job.events():
        if isinstance(event, JobStep) and event.step == 5:
            job.pause()
        if isinstance(event, JobPaused):
            break
    signal_kill(job)
    assert job.state == "interrupted"
    held = [found.step for found in find_checkpoints(job.place.checkpoints)]
    assert held, job.log()
    job.place.write_control(Control())
    assert carry_out(job.place).outcome == "done"
    broken = losses(job.place)
    assert [step for step, _ in broken] == list(range(1, 11))
    assert [loss for _, loss in broken] == pytest.approx([loss for _, loss in losses(unbroken)], rel=1e-4)


def signal_kill(job: Job) -> None:
    import psutil

    process = psutil.Process(job.place.pid)
    process.kill()
    process.wait(20)


def test_a_wish_to_stop_keeps_the_best_state(lesson, carry_out):
    place = place_of(lesson)
    place.write_control(Control("stop", keep=True))
    ended = carry_out(place)
    assert (ended.outcome, ended.step) == ("stopped", 1)
    assert ended.best_step == 1
    assert Registry().entries()[0].name == "lesson"


def test_a_wish_to_stop_without_keeping_leaves_a_state_to_go_on_from(lesson, carry_out):
    place = place_of(lesson)
    place.write_control(Control("stop", keep=False))
    ended = carry_out(place)
    assert (ended.outcome, ended.adapter) == ("stopped", "")
    place.write_control(Control())
    assert carry_out(place).outcome == "done"
    assert [step for step, _ in losses(place)] == [1, 2, 3, 4]


def test_a_pause_ends_when_a_person_wishes(lesson, carry_out):
    place = place_of(lesson)
    place.claim()
    place.write_control(Control("pause"))
    job = Job(place)

    def wait_and_go_on():
        for event in job.events():
            if isinstance(event, JobPaused):
                assert job.state == "paused"
                job.go_on()
                return

    helper = threading.Thread(target=wait_and_go_on)
    helper.start()
    ended = carry_out(place)
    helper.join(10)
    assert ended.outcome == "done"
    assert [event.step for event in events_of(place, JobWentOn)] == [1]


def test_early_stopping_keeps_what_was_best(lesson, carry_out):
    changes = (
        "training: {steps: 40, batch: 2, learning_rate: 1.0e-9, device: cpu}\n"
        "evaluation: {every: 1, cases: 0, patience: 2}"
    )
    ended = carry_out(place_of(lesson, changes))
    assert (ended.outcome, ended.step, ended.best_step) == ("done", 3, 1)
    assert "nothing better than that of update 1" in ended.reason


def test_a_training_that_blows_up_says_so_and_what_to_try(lesson, carry_out):
    changes = "training: {steps: 8, batch: 2, learning_rate: 1.0e+30, device: cpu}"
    ended = carry_out(place_of(lesson, changes))
    assert ended.outcome == "failed"
    assert "blown up" in ended.reason
    assert "learning_rate" in ended.hint


def test_rows_without_answers_are_told(lesson, carry_out):
    (lesson / "train.jsonl").write_text('{"message": "Where?"}\n' * 3)
    ended = carry_out(place_of(lesson, "train: {path: train.jsonl, on_error: skip}"))
    assert ended.outcome == "failed"
    assert "expected" in ended.reason + ended.hint


def test_rows_that_are_all_too_long_are_told(lesson, carry_out):
    ended = carry_out(place_of(lesson, "training: {steps: 4, max_length: 3, device: cpu}"))
    assert ended.outcome == "failed"
    assert "All 12 rows are too long" in ended.reason or "All 4 rows are too long" in ended.reason


def test_a_full_disk_keeps_the_states_before_it(lesson, carry_out, monkeypatch):
    from workbench.training import checkpoints

    sealed = checkpoints.seal

    def fill(folder, name, bookmark):
        if bookmark.step == 4:
            raise OSError(28, "No space left on device")
        return sealed(folder, name, bookmark)

    monkeypatch.setattr(checkpoints, "seal", fill)
    place = place_of(lesson)
    ended = carry_out(place)
    assert ended.outcome == "failed"
    assert "No space left on device" in ended.reason
    assert "update 2 is still there" in ended.reason
    assert "--resume" in ended.hint
    monkeypatch.undo()
    monkeypatch.setenv("WORKBENCH_HOME", str(place.folder.parents[2]))
    assert carry_out(place).outcome == "done"


def test_running_out_of_memory_says_what_to_lower(lesson, carry_out, monkeypatch):
    from workbench.training.child.trainers import SftTrainer

    def starve(*_, **__):
        raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2 GiB")

    monkeypatch.setattr(SftTrainer, "training_step", starve)
    ended = carry_out(place_of(lesson))
    assert (ended.outcome, "memory" in ended.reason) == ("failed", True)
    assert "training.batch" in ended.hint


def test_data_that_change_under_a_job_are_refused(lesson, carry_out):
    place = place_of(lesson)
    place.write_control(Control("stop", keep=False))
    carry_out(place)
    place.write_control(Control())
    with (lesson / "train.jsonl").open("a") as stream:
        stream.write('{"message": "New?", "expected": "here"}\n')
    ended = carry_out(place)
    assert ended.outcome == "failed"
    assert "have changed" in ended.reason


def test_validation_rows_that_are_trained_on_are_told(lesson, carry_out):
    place = place_of(lesson, "validation: {path: train.jsonl, limit: 4}\ntraining: {steps: 1, device: cpu}")
    carry_out(place)
    assert any("stand in the train split as well" in note.text for note in events_of(place, JobNotice))


@pytest.mark.parametrize("kind", ["ia3", "prefix", "prompt", "full", "lora, dora: true, rslora: true"])
def test_every_method_trains_and_is_examined(lesson, carry_out, kind):
    changes = f"method: {{kind: {kind}}}\ntraining: {{steps: 2, batch: 2, device: cpu}}"
    place = place_of(lesson, changes)
    ended = carry_out(place)
    assert ended.details == ""
    assert len(events_of(place, JobStep)) == 2
    assert [found.step for found in events_of(place, JobExamined)] == [0, 2]


def test_loss_masks_are_those_of_trl(lesson, carry_out):
    import datasets
    from trl import SFTConfig, SFTTrainer

    from workbench.training.child.learner import load_learner
    from workbench.training.child.lessons import encode_rows, make_dataset
    from workbench.training.rows import render_training

    task = open_lesson(lesson)
    learner = load_learner(task, torch.device("cpu"))
    rows = render_training(task).rows
    ours = make_dataset(encode_rows(learner, task.recipe, rows), completion_only=True)
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
    trainer = SFTTrainer(model=learner.model, args=arguments, train_dataset=theirs, processing_class=learner.tokenizer)
    assert list(ours["input_ids"]) == list(trainer.train_dataset["input_ids"])
    assert list(ours["labels"]) == list(trainer.train_dataset["labels"])


def test_an_adapter_gives_the_same_answers_in_plain_peft(lesson, carry_out):
    import peft
    import transformers

    changes = "evaluation: {every: 4, cases: 4, samples: 4, max_tokens: 4}\ntraining: {steps: 4, batch: 4, device: cpu}"
    place = place_of(lesson, changes)
    ended = carry_out(place)
    assert ended.adapter, ended
    base = transformers.AutoModelForCausalLM.from_pretrained(lesson / "tiny")
    model = peft.PeftModel.from_pretrained(base, ended.adapter).eval()
    tokenizer = transformers.AutoTokenizer.from_pretrained(lesson / "tiny")
    task = open_lesson(lesson, changes)
    assert task.validation is not None
    for case, sample in zip(task.validation, events_of(place, JobExamined)[-1].samples, strict=True):
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
        "preference: {path: pairs.jsonl}\ntraining: {steps: 6, batch: 4, learning_rate: 0.01, device: cpu}\n"
        "evaluation: {every: 3, cases: 0}"
    )
    place = place_of(lesson, changes)
    ended = carry_out(place)
    assert ended.outcome == "done", ended
    margins = [found.scores["reward margin"] for found in events_of(place, JobExamined)]
    assert margins[0] == pytest.approx(0, abs=1e-4)
    assert margins[-1] > 0.1


def test_rows_that_are_no_pairs_are_told_with_their_numbers(lesson):
    (lesson / "pairs.jsonl").write_text('{"prompt": "a", "chosen": "b"}\nnonsense\n')
    with pytest.raises(TrainingError) as caught:
        read_pairs(open_lesson(lesson, "preference: {path: pairs.jsonl}"))
    assert "row 1: rejected is missing" in caught.value.message
    assert "row 2: chosen and rejected is missing" in caught.value.message


def test_a_look_before_training_counts_and_shows_rows_as_the_model_sees_them(lesson, carry_out):
    from workbench.training.child.preview import look

    (lesson / "train.jsonl").open("a").write('{"message": "No answer?"}\n')
    found = look(place_of(lesson, "train: {path: train.jsonl}"))
    assert (found.rows, found.unlabelled, found.validation_rows, found.steps) == (12, 1, 4, 4)
    assert found.seconds is not None and found.seconds > 0
    assert found.learned_tokens < found.tokens
    shown = found.previews[0]
    asked = "".join(piece.text for piece in shown.pieces[: shown.asked])
    assert asked.endswith("Where is my parcel 0?<|end|><|assistant|>")
    assert not any(piece.learned for piece in shown.pieces[: shown.asked])
    assert "".join(piece.text for piece in shown.pieces if piece.learned) == "parcel<|end|>"
    assert "1 rows have no expected answer" in found.notes[0]


def test_packed_rows_do_not_see_each_other(lesson, carry_out):
    first = []
    for packing in ("false", "true"):
        changes = f"training: {{steps: 1, batch: 16, packing: {packing}, device: cpu}}\nevaluation: {{cases: 0}}"
        place = place_of(lesson, changes)
        assert carry_out(place).outcome == "done"
        first.append(losses(place)[0][1])
    assert first[0] == pytest.approx(first[1], rel=1e-4)


def test_a_training_can_go_on_from_an_adapter(lesson, carry_out):
    carry_out(place_of(lesson))
    ended = carry_out(place_of(lesson, "parent: lesson\nname: further"))
    assert ended.outcome == "done", ended
    assert Registry().lineage("further") == ("further", "lesson")


def test_an_adapter_tells_what_it_was_trained_on_and_a_test_case_among_the_rows_is_noticed(lesson, carry_out):
    dataset, variant = "{path: train.jsonl, limit: 3}", "{name: a, prompt: ask, model: tiny}"
    bench = f"dataset: {dataset}\nscorers: [exact_match]\nvariants: [{variant}]\n"
    (lesson / "my.bench.yaml").write_text(bench)
    place = place_of(lesson, "bench: my.bench.yaml")
    carry_out(place)
    (notice,) = [event.text for event in events_of(place, JobNotice) if "test cases" in event.text]
    assert notice.startswith(
        "3 of the bench's 3 test cases stand in the rows to learn from, the first as case 1 (exact)"
    )
    (entry,) = Registry().entries()
    parts = {part.role: len(part.exact) for part in read_digests(entry.path) or ()}
    assert parts == {"train": 12, "validation": 4}
