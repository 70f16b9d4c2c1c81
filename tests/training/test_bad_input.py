"""What can be wrong with a training, as the command and the screen tell it: once, with what to do."""

from __future__ import annotations

import importlib.util
import json

import pytest
import torch  # noqa: TID253
from lesson import job_dir_of

from workbench.cli.app import run
from workbench.training import checkpoints
from workbench.training.checkpoints import find_checkpoints
from workbench.training.events import JobNotice, read_events
from workbench.training.job import TrainingJob, list_jobs
from workbench.training.registry import Registry
from workbench.tui.widgets.job_view import describe_sentence

pytestmark = pytest.mark.filterwarnings("ignore")


@pytest.fixture(autouse=True)
def one_thread():
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


def no_rows(lesson, monkeypatch, gguf):
    (lesson / "train.jsonl").write_text("")
    return ""


def no_labels(lesson, monkeypatch, gguf):
    rows = [{"message": f"Where is {n}?", "expected": None} for n in range(4)]
    (lesson / "train.jsonl").write_text("\n".join(map(json.dumps, rows)))
    return ""


def too_long(lesson, monkeypatch, gguf):
    return "training: {max_steps: 4, max_length: 3, device: cpu}"


def full_disk(lesson, monkeypatch, gguf):
    sealed = checkpoints.commit_checkpoint

    def fill(folder, name, trainer_state):
        if trainer_state.step == 4:
            raise OSError(28, "No space left on device")
        return sealed(folder, name, trainer_state)

    monkeypatch.setattr(checkpoints, "commit_checkpoint", fill)
    return ""


def no_memory(lesson, monkeypatch, gguf):
    from trl import SFTTrainer

    def starve(*_, **__):
        raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2 GiB")

    monkeypatch.setattr(SFTTrainer, "training_step", starve)
    return ""


def gguf_base(lesson, monkeypatch, gguf):
    return f"base: {gguf}"


CAUSES = {
    no_rows: ("rows", "train.jsonl"),
    no_labels: ("expected answer", ""),
    too_long: ("rows are too long", "training.max_length"),
    full_disk: ("No space left on device. The state of update 2 is still there", "--resume"),
    no_memory: ("Out of memory", "training.batch_size"),
    gguf_base: ("is a GGUF file, which cannot be trained", "Hugging Face"),
}


@pytest.mark.parametrize("cause", CAUSES, ids=lambda cause: cause.__name__)
def test_command_and_screen_say_what_is_wrong_once_and_what_to_do(lesson, monkeypatch, capsys, tiny_gguf, cause):
    from workbench.training.child.run import run_job

    job_dir = job_dir_of(lesson, cause(lesson, monkeypatch, tiny_gguf()))
    before = {path.name: path.read_bytes() for path in lesson.iterdir() if path.is_file()}
    ended = run_job(job_dir)
    reason, hint = CAUSES[cause]
    assert (ended.outcome, ended.adapter, ended.details) == ("failed", "", ended.details)
    assert reason in ended.reason
    assert hint in ended.reason + ended.hint
    assert "Traceback" not in ended.reason + ended.hint
    capsys.readouterr()
    code = run(["train", "--follow", TrainingJob(job_dir).id], lambda bench, model: 0)
    said = capsys.readouterr().err
    assert (code, " ".join(said.split()).count(" ".join(ended.reason.split()))) == (1, 1)
    told = describe_sentence(read_events(job_dir.events).events).plain
    assert ended.reason in told
    assert ended.hint in told
    assert {path.name: path.read_bytes() for path in lesson.iterdir() if path.is_file()} == before
    assert Registry().entries() == ()
    if cause is full_disk:
        assert [state.step for state in find_checkpoints(job_dir.checkpoints)] == [2]


@pytest.mark.parametrize("cause", [no_rows, gguf_base], ids=lambda cause: cause.__name__)
def test_what_can_be_seen_at_once_makes_no_job(lesson, monkeypatch, capsys, tiny_gguf, cause):
    changes = cause(lesson, monkeypatch, tiny_gguf())
    recipe = lesson / "my.recipe.yaml"
    if changes:
        recipe.write_text(recipe.read_text().replace("base: tiny", changes))
    assert run(["train", "my.recipe.yaml"], lambda bench, model: 0) == 2
    assert CAUSES[cause][0] in capsys.readouterr().err
    assert list_jobs() == ()


@pytest.mark.parametrize("device", ["cuda", "mps"])
def test_a_device_that_is_not_there_is_told(lesson, device):
    from workbench.training.child.run import run_job

    there = {"cuda": torch.cuda.is_available(), "mps": torch.backends.mps.is_available()}
    if there[device]:
        pytest.skip(f"{device} is here")
    ended = run_job(job_dir_of(lesson, f"training: {{max_steps: 2, device: {device}}}"))
    assert ended.outcome == "failed"
    assert f"training.device is {device}, which this machine does not have" in ended.reason


@pytest.mark.skipif(importlib.util.find_spec("bitsandbytes") is not None, reason="bitsandbytes is here")
def test_packing_to_four_bits_says_which_library_it_needs_and_what_goes_without(lesson):
    from workbench.training.child.run import run_job

    ended = run_job(job_dir_of(lesson, "method: {kind: qlora}"))
    assert ended.outcome == "failed"
    assert "bitsandbytes" in ended.reason
    assert "method.kind: lora" in ended.hint


def test_rows_that_are_learned_by_heart_are_told_in_a_sentence(lesson):
    """The validation rows contradict what is learned, so that their loss rises while the other falls."""
    from workbench.training.child.run import run_job

    (lesson / "train.jsonl").write_text('{"message": "Where is my parcel?", "expected": "here"}\n' * 4)
    (lesson / "validation.jsonl").write_text('{"message": "Where is my parcel?", "expected": "kettle"}\n' * 2)
    changes = (
        "training: {max_steps: 30, batch_size: 4, learning_rate: 0.02, device: cpu}\n"
        "evaluation: {eval_steps: 3, cases: 0, early_stopping_patience: 0}"
    )
    job_dir = job_dir_of(lesson, changes)
    assert run_job(job_dir).outcome == "done"
    notices = [event.text for event in read_events(job_dir.events).events if isinstance(event, JobNotice)]
    assert [text for text in notices if "Overfitting since update" in text]
