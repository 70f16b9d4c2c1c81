"""What a dry run and a job say of rows, ends and adapters before a step is made: both the same."""

from __future__ import annotations

import json
import math
from pathlib import Path

import pytest
import torch  # noqa: TID253
from hf_fixture import write_hf
from lesson import job_dir_of, open_lesson
from safetensors.torch import load_file, save_file

from workbench.errors import TrainingError
from workbench.training.divergence_monitor import DivergenceMonitor
from workbench.training.events import JobNotice, JobStep, read_events
from workbench.training.registry import Registry
from workbench.training.rows import find_empty, render_training
from workbench.tui.widgets.job_view import describe_sentence

pytestmark = pytest.mark.filterwarnings("ignore")
ONE_STEP = "training: {max_steps: 1, batch_size: 2, device: cpu}\nevaluation: {cases: 0}"


@pytest.fixture(autouse=True)
def one_thread():
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


def look(job_dir):
    from workbench.training.child.preview import preview_training

    return preview_training(job_dir)


def carry_out(job_dir):
    from workbench.training.child.run import run_job

    return run_job(job_dir)


def notices(job_dir) -> list[str]:
    return [event.text for event in read_events(job_dir.events).events if isinstance(event, JobNotice)]


def change_base(lesson: Path, **options) -> Path:
    (lesson / "tiny").unlink()
    return write_hf(lesson / "tiny", **options)


def add_empty(lesson: Path) -> None:
    with (lesson / "train.jsonl").open("a") as stream:
        stream.write('{"message": "Why?", "expected": ""}\n{"message": "Who?", "expected": "  \\n"}\n')


def test_dry_run_and_job_name_rows_with_an_empty_answer_alike(lesson):
    add_empty(lesson)
    sentence = "2 training rows have an empty expected answer (cases 13, 14), which teaches the model to stop at once."
    job_dir = job_dir_of(lesson, ONE_STEP)
    found = look(job_dir)
    assert any(note.startswith(sentence) for note in found.notes)
    assert found.rows == 14
    assert carry_out(job_dir).outcome == "done"
    assert [note for note in notices(job_dir) if "not learning to end" not in note] == list(found.notes)


def test_rows_that_are_all_empty_are_refused(lesson):
    (lesson / "train.jsonl").write_text('{"message": "Why?", "expected": ""}\n' * 3)
    with pytest.raises(TrainingError) as caught:
        render_training(open_lesson(lesson))
    assert "expected answers of all 3 rows are empty" in caught.value.message
    assert find_empty(()) == ()


def test_a_template_that_closes_with_nothing_is_told(lesson):
    change_base(lesson, chat_template="{% for m in messages %}<{{ m.role }}>{{ m.content }}{% endfor %}<assistant>")
    found = look(job_dir_of(lesson, ONE_STEP))
    assert any("<|end|>, the tokenizer's own, is trained after each answer" in note for note in found.notes)
    assert [piece.text for piece in found.previews[0].pieces if piece.learned][-1] == "<|end|>"


def test_a_base_without_an_end_is_refused_before_a_step(lesson):
    folder = change_base(lesson, chat_template=None)
    settings = json.loads((folder / "tokenizer_config.json").read_text())
    settings.pop("eos_token")
    (folder / "tokenizer_config.json").write_text(json.dumps(settings))
    (folder / "special_tokens_map.json").unlink(missing_ok=True)
    job_dir = job_dir_of(lesson, ONE_STEP)
    ended = carry_out(job_dir)
    assert ended.outcome == "failed"
    assert "no token that ends an answer" in ended.reason
    assert "eos_token" in ended.hint
    assert not [event for event in read_events(job_dir.events).events if isinstance(event, JobStep)]


def forget_end(folder: Path) -> None:
    """As a base has it that never saw its end token: the rows of it in embedding and head are next to nothing."""
    path = folder / "model.safetensors"
    tensors = load_file(path)
    for name in ("model.embed_tokens.weight", "lm_head.weight"):
        if name in tensors:
            tensors[name][1] = 1e-8
    save_file(tensors, path, {"format": "pt"})


@pytest.mark.parametrize("tied", [False, True])
def test_an_end_that_the_base_never_learned_is_told_and_its_embedding_and_head_can_be_trained(lesson, tied):
    from workbench.inference.transformers.engine import TransformersEngine
    from workbench.inference.types import Chunk, GenerateRequest, Sampling, fold
    from workbench.models.reference import Adapter, Applied, Model
    from workbench.prompting.prompt import Message

    folder = change_base(lesson, tie_word_embeddings=tied)
    forget_end(folder)
    found = look(job_dir_of(lesson, ONE_STEP))
    assert any("was never trained on <|end|>" in note and "method.modules_to_save" in note for note in found.notes)
    changes = (
        "method: {modules_to_save: [embed_tokens, lm_head]}\n"
        "training: {max_steps: 40, batch_size: 8, learning_rate: 0.02, device: cpu}\n"
        "evaluation: {eval_steps: 40, cases: 0}"
    )
    job_dir = job_dir_of(lesson, changes)
    ended = carry_out(job_dir)
    assert ended.outcome == "done", ended
    assert not any("never trained" in note for note in notices(job_dir))
    saved = load_file(Path(ended.adapter) / "adapter_model.safetensors")
    before = load_file(folder / "model.safetensors")
    embedding = before["model.embed_tokens.weight"]
    assert not torch.equal(saved["base_model.model.model.embed_tokens.weight"], embedding)
    assert not torch.equal(saved["base_model.model.lm_head.weight"], before.get("lm_head.weight", embedding))
    engine = TransformersEngine.open(Model("tiny", folder, "hf"), 1, 4096, lambda _: True)
    turns = (Message("system", "Be kind."), Message("user", "Where is my parcel 100?"))
    adapters = (Applied(Adapter("lesson", Path(ended.adapter))),)
    engine.submit(GenerateRequest(1, turns, Sampling(max_tokens=32, temperature=0.0), adapters=adapters))
    events = []
    while engine.busy:
        events += engine.step()
    assert fold([event for event in events if isinstance(event, Chunk)]).stop_reason == "eos"


def test_an_end_that_was_learned_is_not_told_of(lesson):
    assert not any("never trained" in note for note in look(job_dir_of(lesson, ONE_STEP)).notes)


def test_modules_that_are_not_there_and_kinds_that_cannot_are_refused(lesson):
    ended = carry_out(job_dir_of(lesson, f"method: {{modules_to_save: [wte]}}\n{ONE_STEP}"))
    assert "no module with weights called wte" in ended.reason
    assert "embed_tokens" in ended.hint
    with pytest.raises(TrainingError, match="only LoRA and IA3"):
        job_dir = job_dir_of(lesson, f"method: {{kind: prefix, modules_to_save: [lm_head]}}\n{ONE_STEP}")
        assert job_dir is None


def test_the_head_as_a_target_is_refused_in_dry_run_and_job(lesson):
    job_dir = job_dir_of(lesson, f"method: {{target_modules: [q_proj, lm_head]}}\n{ONE_STEP}")
    with pytest.raises(TrainingError) as caught:
        look(job_dir)
    ended = carry_out(job_dir)
    assert "method.target_modules: the output head (lm_head)" in caught.value.message
    assert (ended.outcome, ended.reason) == ("failed", caught.value.message)


@pytest.mark.parametrize(
    "method",
    [
        "{target_modules: [1.self_attn.q_proj]}",
        "{target_modules: [model.layers.0.mlp.up_proj, v_proj]}",
        "{kind: ia3}",
        "{kind: prefix}",
        "{modules_to_save: [lm_head]}",
        "{use_dora: true}",
    ],
)
def test_what_is_trained_passes_the_check_of_loading(lesson, method):
    from workbench.models.compatibility import check_compatible
    from workbench.models.reference import Adapter, Model

    job_dir = job_dir_of(lesson, f"method: {method}\n{ONE_STEP}")
    assert look(job_dir).steps == 1
    ended = carry_out(job_dir)
    assert ended.outcome == "done", ended
    assert check_compatible(Adapter("lesson", Path(ended.adapter)), Model("tiny", lesson / "tiny", "hf")) == ()
    assert len(Registry().entries()) == 1


def test_an_adapter_that_could_not_be_loaded_is_refused_before_a_step(lesson, monkeypatch):
    from workbench.training.child import training_model

    make = training_model.make_config

    def change_how_it_begins(method, *options):
        config = make(method, *options)
        config.init_lora_weights = "pissa"
        return config

    monkeypatch.setattr(training_model, "make_config", change_how_it_begins)
    job_dir = job_dir_of(lesson, ONE_STEP)
    with pytest.raises(TrainingError) as caught:
        look(job_dir)
    ended = carry_out(job_dir)
    for reason in (caught.value.message, ended.reason):
        assert "could not be applied to its own base" in reason
        assert "pissa" in reason
    assert not [event for event in read_events(job_dir.events).events if isinstance(event, JobStep)]


def test_variables_of_the_chat_template_are_trained_as_they_are_asked(lesson):
    source = (
        "{% for m in messages %}<{{ m.role }}>{{ m.content }}<|end|>{% endfor %}<assistant>"
        "{% if not enable_thinking %}<think></think>{% endif %}"
    )
    change_base(lesson, chat_template=source)
    for value, ends in ((True, "<assistant>"), (False, "<assistant><think></think>")):
        variant = f"{{name: a, prompt: ask, model: tiny, chat_template_kwargs: {{enable_thinking: {value}}}}}"
        (lesson / "my.bench.yaml").write_text(
            f"dataset: {{path: train.jsonl, limit: 3}}\nscorers: [exact_match]\nvariants: [{variant}]\n"
        )
        found = look(job_dir_of(lesson, f"bench: my.bench.yaml\n{ONE_STEP}", f"kwargs{value}"))
        shown = found.previews[0]
        assert "".join(piece.text for piece in shown.pieces[: shown.asked]).endswith(ends)


@pytest.mark.parametrize(
    ("seen", "told"),
    [
        ([(0.0, 0.01), (0.5, 0.011)], True),  # half way, and nothing has come of it
        ([(0.0, 0.01), (0.5, 0.1)], False),  # it is on its way
        ([(0.0, 0.01), (0.5, 0.1), (1.0, 0.3)], True),  # but it did not arrive
        ([(0.0, 0.01), (0.2, 0.01)], False),
        ([(0.0, 0.9), (1.0, 0.97)], False),
        ([(0.5, 0.2)], True),
        ([(0.0, None), (1.0, None)], False),
    ],
)
def test_an_end_that_is_not_being_learned_is_told_once_and_after_a_kill_no_more(seen, told):
    monitor = DivergenceMonitor(1e-3)
    sentences = []
    for share, probability in seen:
        monitor = DivergenceMonitor(1e-3, monitor.state)
        sentences.append(monitor.check_end(share, None if probability is None else math.log(probability)))
    assert bool("".join(sentences)) == told
    if told:
        assert monitor.check_end(1.0, math.log(0.001)) == ""
        assert (
            "The model is not learning to end its answers"
            in describe_sentence([JobNotice(1.0, next(filter(None, sentences)), 5)]).plain
        )
