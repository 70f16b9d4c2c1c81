"""Optimizers: those of transformers by name, LoRA+ by PEFT, NEFTune, and packages that are missing."""

from __future__ import annotations

import importlib.util
import signal

import pytest
import torch  # noqa: TID253
from lesson import job_dir_of, open_lesson, read

from workbench.errors import TrainingError
from workbench.training.events import JobStep, read_events
from workbench.training.job import merge_steps
from workbench.training.job_dir import JobControl
from workbench.training.optimizer_args import OPTIMIZERS, UNSUPPORTED, find_optimizer_state

pytestmark = pytest.mark.filterwarnings("ignore")

QUIET = (
    "training: {max_steps: 3, batch_size: 4, learning_rate: 0.01, device: cpu}\nevaluation: {eval_steps: 3, cases: 0}"
)


@pytest.fixture(scope="module")
def carry_out():
    handler, threads = signal.getsignal(signal.SIGTERM), torch.get_num_threads()
    torch.set_num_threads(1)
    from workbench.training.child.run import run_job

    yield run_job
    signal.signal(signal.SIGTERM, handler)
    torch.set_num_threads(threads)


def losses(job_dir) -> list[float]:
    return [step.loss for step in merge_steps(read_events(job_dir.events).events) if isinstance(step, JobStep)]


def test_every_optimizer_of_transformers_is_offered_or_left_out_with_a_reason():
    from transformers.training_args import OptimizerNames

    assert {*OPTIMIZERS, *UNSUPPORTED} == {name.value for name in OptimizerNames}
    assert not {*OPTIMIZERS} & {*UNSUPPORTED}


@pytest.mark.parametrize("name", ["", *OPTIMIZERS])
def test_the_state_of_an_optimizer_is_known_with_its_package(name):
    state = find_optimizer_state(name)
    assert bool(state.package) == bool(state.module)
    assert state.bytes >= 0


def test_optimizers_that_need_no_package_train(lesson, carry_out):
    first = None
    for name in ("adamw_torch", "adafactor", "sgd", "adagrad", "rmsprop"):
        job_dir = job_dir_of(lesson, f"optimizer: {{optim: {name}}}\n{QUIET}", name)
        assert carry_out(job_dir).outcome == "done", name
        found = losses(job_dir)
        first = found if first is None else first
        assert found[0] == first[0], "the first loss does not depend on the optimizer"
        assert name == "adamw_torch" or found[2] != first[2]


def test_lora_plus_is_the_optimizer_of_peft(lesson, carry_out, monkeypatch):
    """The matrices B learn at a multiple of A's learning rate, and a resumed training goes on with the same losses."""
    from workbench.training.child import run

    rates = []
    train = run._train

    def look(trainer, checkpoint):
        train(trainer, checkpoint)
        names = {id(parameter): name for name, parameter in trainer.model.named_parameters()}
        for group in trainer.optimizer.param_groups:
            rates.extend((names[id(parameter)], group["initial_lr"]) for parameter in group["params"])

    monkeypatch.setattr(run, "_train", look)
    changes = f"optimizer: {{loraplus_lr_ratio: 16}}\n{QUIET}"
    unbroken = job_dir_of(lesson, changes, "unbroken")
    assert carry_out(unbroken).outcome == "done"
    assert {rate for name, rate in rates if "lora_A" in name} == {0.01}
    assert {rate for name, rate in rates if "lora_B" in name} == {0.16}
    broken = job_dir_of(lesson, changes, "broken")
    broken.write_control(JobControl("stop", keep=False))
    carry_out(broken)
    broken.write_control(JobControl())
    assert carry_out(broken).outcome == "done"
    assert losses(broken) == pytest.approx(losses(unbroken), rel=1e-4)


def test_neftune_adds_noise_in_training_and_none_in_evaluation(lesson, carry_out):
    found = []
    for noise in ("", "optimizer: {neftune_noise_alpha: 5}\n"):
        job_dir = job_dir_of(lesson, noise + QUIET)
        assert carry_out(job_dir).outcome == "done"
        events = read_events(job_dir.events).events
        base = next(event.validation_loss for event in events if getattr(event, "validation_loss", None))
        found.append((losses(job_dir)[0], base))
    assert found[0][0] != found[1][0]
    assert found[0][1] == found[1][1]


def test_arguments_of_an_optimizer_reach_it(lesson, carry_out, monkeypatch):
    from workbench.training.child import run

    seen = []
    train = run._train

    def look(trainer, checkpoint):
        train(trainer, checkpoint)
        seen.append(trainer.optimizer.defaults)

    monkeypatch.setattr(run, "_train", look)
    changes = f'optimizer: {{optim: sgd, optim_args: "momentum=0.9, nesterov=true"}}\n{QUIET}'
    assert carry_out(job_dir_of(lesson, changes)).outcome == "done"
    assert (seen[0]["momentum"], seen[0]["nesterov"]) == (0.9, True)


@pytest.mark.parametrize(
    ("changes", "module", "package", "instead"),
    [
        ("optimizer: {optim: schedule_free_adamw}", "schedulefree", "schedulefree", "adafactor"),
        ("optimizer: {optim: adamw_8bit}", "bitsandbytes", "[bnb]", "adafactor"),
        ("method: {kind: qlora}", "bitsandbytes", "[bnb]", "method.kind: lora"),
        ("report_to: [wandb, mlflow]", "wandb", "[wandb,mlflow]", "Or take it out of report_to"),
    ],
)
def test_a_missing_package_is_told_before_anything_is_loaded(lesson, changes, module, package, instead):
    if importlib.util.find_spec(module):
        pytest.skip(f"{module} is here")
    with pytest.raises(TrainingError) as caught:
        open_lesson(lesson, changes)
    assert "not installed" in caught.value.message
    assert package in caught.value.hint
    assert instead in caught.value.hint


@pytest.mark.parametrize(
    ("changes", "problem"),
    [
        ("optimizer: {loraplus_lr_ratio: 0.5}", "optimizer.loraplus_lr_ratio: expected a number from 1, found 0.5"),
        ("optimizer: {loraplus_lr_ratio: 2}\nmethod: {kind: ia3}", "only LoRA has it, not ia3"),
        ("optimizer: {neftune_noise_alpha: -1}", "optimizer.neftune_noise_alpha: expected a number above 0"),
        ("optimizer: {neftune_noise_alpha: 5}\nmethod: {kind: prompt}", "prompt trains embeddings of its own"),
        ("optimizer: {optim: galore_adamw}", "it needs method.kind: full"),
        ("optimizer: {optim_args: momentum=0.9}", "AdamW takes no momentum; its arguments: none"),
        ("optimizer: {optim: sgd, optim_args: fast}", "expected key=value, separated by commas, found 'fast'"),
        ("optimizer: {optim: paged_ademamix_8bit, optim_args: beta4=1}", "paged_ademamix_8bit takes no beta4"),
        ("optimizer: {optim: lomo}", "optimizer.optim"),
        ("report_to: [neptune]", "report_to"),
    ],
)
def test_optimizers_that_cannot_be_are_refused_with_their_key(changes, problem):
    with pytest.raises(TrainingError) as caught:
        read(changes)
    assert problem in caught.value.message
