"""Makes TRL's trainer of an objective (training/objectives), which saves its checkpoints atomically."""

from __future__ import annotations

import contextlib
import functools
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import torch
import transformers

from workbench.errors import FileError, TrainingError, WorkbenchError
from workbench.training import checkpoints
from workbench.training.checkpoints import TrainerState
from workbench.training.child.optimizers import optimizer_arguments, use_lora_plus
from workbench.training.child.rollouts import RolloutSource
from workbench.training.child.sharding import gather_shards
from workbench.training.child.training_model import TrainingModel
from workbench.training.recipe import Recipe, find_loss_args, find_objective

_SCHEDULES = {"cosine": "cosine", "linear": "linear", "constant": "constant_with_warmup"}


class _AtomicCheckpoints:
    """Gives a trainer states that are whole or not there. bookmark: what goes into a state's manifest."""

    trainer_state: Callable[[], TrainerState]
    on_saved: Callable[[Path], None]
    _writing = False

    def _get_output_dir(self, trial: Any) -> str:
        folder = str(self.args.output_dir)  # type: ignore[attr-defined]
        return str(Path(folder) / checkpoints.SAVING) if self._writing else folder

    def _save(self, output_dir: str | None = None, state_dict: dict[str, Any] | None = None) -> None:
        super()._save(output_dir, gather_shards(state_dict))  # type: ignore[misc]

    def _save_checkpoint(self, model: Any, trial: Any) -> None:
        folder = Path(self.args.output_dir)  # type: ignore[attr-defined]
        name = f"checkpoint-{self.state.global_step}"  # type: ignore[attr-defined]
        self._writing = True
        try:
            with _explain_saving(folder, name):
                # the base class's own: what TRL adds is a card that says nothing of this training
                transformers.Trainer._save_checkpoint(self, model, trial)
                self.accelerator.wait_for_everyone()  # type: ignore[attr-defined]
                if self.is_world_process_zero():  # type: ignore[attr-defined]
                    self.on_saved(checkpoints.commit_checkpoint(folder, name, self.trainer_state()))
        finally:
            self._writing = False


@functools.cache
def make_atomic(trainer: type) -> type:
    """A trainer of TRL whose checkpoints are whole or not there."""
    return type(f"Atomic{trainer.__name__}", (_AtomicCheckpoints, trainer), {})


@contextlib.contextmanager
def _explain_saving(folder: Path, name: str) -> Iterator[None]:
    """Turn what goes wrong on a disk into a sentence; libraries tell of a full one in many ways."""
    try:
        yield
    except (OSError, RuntimeError, FileError) as error:
        words = f"{type(error).__name__}: {error}"
        writes = isinstance(error, (OSError, FileError)) or "write" in words.lower() or "space" in words.lower()
        if not writes or isinstance(error, TrainingError):
            raise
        shutil.rmtree(folder / checkpoints.SAVING, ignore_errors=True)
        held = checkpoints.find_checkpoints(folder)
        kept = f"The state of update {held[-1].step} is still there" if held else "Nothing was saved before it"
        reason = error.message if isinstance(error, WorkbenchError) else getattr(error, "strerror", None) or str(error)
        raise TrainingError(
            f"The state {name} could not be saved in {folder}: {str(reason).splitlines()[0].rstrip('.')}. {kept}.",
            "Free some space on that disk, then go on: workbench train --resume",
            words,
        ) from error


def make_trainer(
    recipe: Recipe,
    loaded: TrainingModel,
    folder: Path,
    train: Any,
    validation: Any,
    callback: Any,
    rollouts: RolloutSource | None = None,
) -> Any:
    """TRL's trainer of the recipe's objective. folder: for the checkpoints. rollouts: for one that samples answers."""
    spec = find_objective(recipe).load()
    options = {**_common_arguments(recipe, loaded, folder), **spec.options(find_loss_args(recipe))}
    if rollouts is not None:  # lengths of prompt and answer are limits of their own there
        options["max_completion_length"] = rollouts.max_tokens
        del options["max_length"]
    trainer = make_atomic(spec.trainer)(
        model=loaded.model,
        args=spec.config(**options),
        train_dataset=train,
        eval_dataset=validation,
        processing_class=loaded.tokenizer,
        peft_config=loaded.config,
        callbacks=[callback],
        **({"reward_funcs": rollouts.reward, "rollouts": rollouts} if rollouts else {}),
    )
    use_lora_plus(trainer, recipe)
    trainer.remove_callback(transformers.PrinterCallback)  # it prints what the callback records as events
    return trainer


def _common_arguments(recipe: Recipe, loaded: TrainingModel, folder: Path) -> dict[str, Any]:
    """Arguments of every config."""
    training = recipe.training
    half = loaded.autocasts or (loaded.device.type != "cpu" and loaded.dtype != torch.float32)
    return {
        "output_dir": str(folder),
        "per_device_train_batch_size": training.batch_size,
        "per_device_eval_batch_size": max(training.batch_size, 16),
        "gradient_accumulation_steps": training.gradient_accumulation_steps,
        "num_train_epochs": training.epochs,
        "max_steps": training.max_steps or -1,
        "max_length": min(training.max_length or 1 << 30, loaded.info.context_trained_tokens or 1024),
        "learning_rate": loaded.rate,
        "lr_scheduler_type": _SCHEDULES[training.lr_scheduler],
        "warmup_steps": training.warmup_ratio,  # below 1 transformers takes it as a ratio
        "weight_decay": training.weight_decay,
        "max_grad_norm": training.max_grad_norm,
        "gradient_checkpointing": training.gradient_checkpointing,
        "gradient_checkpointing_kwargs": {"use_reentrant": False} if training.gradient_checkpointing else None,
        "seed": training.seed,
        "data_seed": training.seed,
        "bf16": half and loaded.dtype == torch.bfloat16,
        "fp16": half and loaded.dtype == torch.float16,
        "use_cpu": loaded.device.type == "cpu",
        "dataloader_pin_memory": loaded.device.type == "cuda",
        "logging_steps": 1,
        "logging_first_step": True,
        "logging_nan_inf_filter": False,
        "save_strategy": "no",
        "eval_strategy": "no",
        "report_to": "none",
        "disable_tqdm": True,
        "ddp_find_unused_parameters": False,
        **optimizer_arguments(recipe),
    }
