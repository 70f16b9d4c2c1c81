"""Every kind of LoRA: it trains, it is published as an adapter that both engines take or refuse by name."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch  # noqa: TID253
from lesson import job_dir_of, read

from workbench.errors import ModelError, TrainingError
from workbench.inference.transformers.peft_folder import check_source, read_source
from workbench.models.hf_to_gguf import convert_hf_to_gguf
from workbench.models.lora_to_gguf import convert_lora
from workbench.models.reference import Adapter, Model, resolve_model
from workbench.training.job_dir import JobControl

pytestmark = pytest.mark.filterwarnings("ignore")

TRAINING = "training: {max_steps: 2, batch_size: 2, learning_rate: 0.01, device: cpu}"
IDS = torch.arange(5, 17)
QUIET = f"{TRAINING}\nevaluation: {{eval_steps: 2, cases: 0}}"


@pytest.fixture(scope="module")
def carry_out():
    import signal

    handler, threads = signal.getsignal(signal.SIGTERM), torch.get_num_threads()
    torch.set_num_threads(1)
    from workbench.training.child.run import run_job

    yield run_job
    signal.signal(signal.SIGTERM, handler)
    torch.set_num_threads(threads)


def logits_of(base, adapter=None):
    """Of a fixed text, by plain transformers and peft."""
    import peft
    import transformers

    model = transformers.AutoModelForCausalLM.from_pretrained(base, dtype=torch.float32)
    model = peft.PeftModel.from_pretrained(model, str(adapter)) if adapter else model
    with torch.no_grad():
        return model.eval()(input_ids=IDS[None]).logits


def llama_logits(gguf, adapter=None):
    """The same by llama.cpp, without rounding in its cache."""
    import llama_cpp

    exact = llama_cpp.GGML_TYPE_F32
    model = llama_cpp.Llama(
        str(gguf),
        n_ctx=64,
        n_threads=1,
        logits_all=True,
        type_k=exact,
        type_v=exact,
        verbose=False,
        lora_path=str(adapter) if adapter else None,
    )
    model.eval(IDS.tolist())
    found = torch.tensor(model.scores[: len(IDS)])
    model.close()
    return found


KINDS = {
    "rslora": ("use_rslora: true", ""),
    "dora": ("use_dora: true", "DoRA"),
    "gaussian": ("init_lora_weights: gaussian", ""),
    "orthogonal": ("init_lora_weights: orthogonal, rank: 4", ""),
    "pissa": ("init_lora_weights: pissa, rank: 4", ""),
    "pissa, fast, rslora": ("init_lora_weights: pissa_niter_16, rank: 4, use_rslora: true", ""),
    "olora": ("init_lora_weights: olora, rank: 4", ""),
    "last layer": ("layers_to_transform: [1]", ""),
    "one target in one layer": ("layers_to_transform: [0], target_modules: [q_proj]", ""),
    "whole head": ("modules_to_save: [lm_head]", "lm_head"),
}


@pytest.fixture(scope="module")
def gguf(tiny_hf, tmp_path_factory):
    path = tmp_path_factory.mktemp("gguf") / "tiny.gguf"
    convert_hf_to_gguf(tiny_hf, path, "f32")
    return path


@pytest.fixture
def train(carry_out, monkeypatch):
    """Train a recipe to its end: the event that ends it, and the logits of the model as it was in training."""
    from workbench.training.child import run

    trained = []
    finish = run.finish

    def keep(outcome):
        with torch.no_grad():
            trained.append(outcome.callback.trainer.model.eval()(input_ids=IDS[None]).logits)
        return finish(outcome)

    monkeypatch.setattr(run, "finish", keep)

    def carry(job_dir):
        ended = carry_out(job_dir)
        assert (ended.outcome, ended.best_step) == ("done", 2), ended
        return ended, trained[-1]

    return carry


@pytest.mark.parametrize("kind", KINDS)
def test_a_published_adapter_computes_what_the_trained_model_did(lesson, tmp_path, train, gguf, kind):
    """On the base as it is on disk: by plain peft, and by llama.cpp where GGUF can hold it."""
    fields, refused = KINDS[kind]
    ended, trained = train(job_dir_of(lesson, f"method: {{{fields}}}\n{QUIET}"))
    adapter = Adapter("made", Path(ended.adapter), "peft")
    base = logits_of(lesson / "tiny")
    found = logits_of(lesson / "tiny", adapter.path)
    assert (trained - base).abs().max() > 1e-3
    # PiSSA's and OLoRA's start is taken from the base and subtracted again, which rounds as the processor does
    torch.testing.assert_close(found, trained, atol=5e-5, rtol=1e-4)
    check_source(read_source(adapter), Model("tiny", lesson / "tiny", "hf"))
    if refused:
        with pytest.raises(ModelError, match=refused):
            convert_lora(adapter, Model("tiny", gguf), tmp_path / "made.gguf")
        return
    convert_lora(adapter, Model("tiny", gguf), tmp_path / "made.gguf")
    there = llama_logits(gguf, tmp_path / "made.gguf")
    assert (there - found[0]).abs().max() <= 1e-3 * found.abs().max()


def test_a_training_that_changes_its_base_is_resumed_where_it_was(lesson, carry_out, train):
    changes = f"method: {{init_lora_weights: pissa, rank: 4}}\n{QUIET}"
    _, unbroken = train(job_dir_of(lesson, changes, "unbroken"))
    job_dir = job_dir_of(lesson, changes, "broken")
    job_dir.write_control(JobControl("stop", keep=False))
    assert carry_out(job_dir).outcome == "stopped"
    job_dir.write_control(JobControl())
    ended, broken = train(job_dir)
    torch.testing.assert_close(broken, unbroken, atol=1e-6, rtol=1e-5)
    torch.testing.assert_close(logits_of(lesson / "tiny", ended.adapter), broken, atol=1e-5, rtol=1e-4)


def test_layers_that_the_base_does_not_have_are_refused(lesson, carry_out):
    ended = carry_out(job_dir_of(lesson, f"method: {{layers_to_transform: [0, 7]}}\n{QUIET}"))
    assert ended.outcome == "failed"
    assert "method.layers_to_transform: the base has no layer 7" in ended.reason
    assert "0 to 1" in ended.hint


def test_a_whole_model_that_was_trained_is_a_model(lesson, tmp_path, train):
    """The published folder is opened by its path as any base, and converts to GGUF with the same numbers."""
    ended, trained = train(job_dir_of(lesson, f"method: {{kind: full}}\n{QUIET}"))
    model = resolve_model(ended.adapter, {}, lesson, ())
    assert model.format == "hf"
    torch.testing.assert_close(logits_of(model.path), trained, atol=1e-5, rtol=1e-4)
    convert_hf_to_gguf(model.path, tmp_path / "whole.gguf", "f32")
    assert (llama_logits(tmp_path / "whole.gguf") - trained[0]).abs().max() <= 1e-3 * trained.abs().max()


def test_a_whole_model_that_does_not_fit_is_refused_before_it_is_read(lesson, carry_out, monkeypatch):
    from workbench.training.child import memory, training_model

    monkeypatch.setattr(memory, "measure_free", lambda _: 500_000)
    monkeypatch.setattr(training_model, "load_checkpoint", lambda *_: pytest.fail("it was read"))
    ended = carry_out(job_dir_of(lesson, f"method: {{kind: full}}\n{QUIET}"))
    assert ended.outcome == "failed"
    assert "needs at least" in ended.reason and "for the optimizer" in ended.reason
    assert "adafactor" in ended.hint


def test_widths_that_four_bits_cannot_have_on_a_cpu_are_named():
    from workbench.training.child.training_model import _check_widths

    class Linear4bit(torch.nn.Linear):
        """As bitsandbytes calls it."""

    _check_widths(torch.nn.Sequential(Linear4bit(128, 5), torch.nn.Linear(7, 7)))
    with pytest.raises(ModelError, match="multiples of 64; this base has 32, 160"):
        _check_widths(torch.nn.Sequential(Linear4bit(160, 5), Linear4bit(64, 5), Linear4bit(32, 5)))


def test_a_dry_run_counts_the_states_of_the_optimizer(lesson, carry_out):
    from workbench.training.child.preview import preview_training

    for optimizer, share in (("adamw_torch", 8), ("sgd", 0)):
        changes = f"method: {{kind: full}}\noptimizer: {{optim: {optimizer}}}\n{QUIET}"
        found = preview_training(job_dir_of(lesson, changes))
        assert found.trainable == found.parameters
        assert found.optimizer_bytes == share * found.parameters
        assert found.memory_bytes is not None and found.memory_bytes > found.optimizer_bytes


@pytest.mark.parametrize(
    ("method", "problem"),
    [
        ("{kind: ia3, init_lora_weights: pissa}", "method.init_lora_weights: only LoRA has it, not ia3"),
        ("{kind: full, layers_to_transform: [1]}", "method.layers_to_transform: only LoRA has it, not full"),
        ("{kind: qlora, init_lora_weights: pissa}", "which qlora has quantized; use loftq"),
        ("{init_lora_weights: loftq}", "it needs kind: qlora"),
        ("{init_lora_weights: pissa, use_dora: true}", "pissa cannot be combined with use_dora"),
        ("{init_lora_weights: orthogonal, rank: 3}", "orthogonal initial weights need an even rank, found 3"),
        ("{layers_to_transform: [-1]}", "method.layers_to_transform: expected numbers from 0, found -1"),
    ],
)
def test_methods_that_cannot_be_are_refused_with_their_key(method, problem):
    with pytest.raises(TrainingError) as caught:
        read(f"method: {method}")
    assert problem in caught.value.message


def test_a_preference_objective_refuses_weights_that_change_its_reference():
    with pytest.raises(TrainingError, match="pissa changes the base, which dpo compares with"):
        read("preference: {path: pairs.jsonl}\nmethod: {init_lora_weights: pissa}")
