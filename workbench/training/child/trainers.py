"""Trainers: TRL's own, told what a recipe says, saving their states in one step.

Knows nothing of events (watcher.py).
"""

from __future__ import annotations

import contextlib
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import torch
import transformers
from trl import DPOConfig, DPOTrainer, SFTConfig, SFTTrainer

from workbench.errors import FileError, TrainingError, WorkbenchError
from workbench.training import checkpoints
from workbench.training.checkpoints import Bookmark
from workbench.training.child.learner import Learner
from workbench.training.recipe import Recipe

_SCHEDULES = {"cosine": "cosine", "linear": "linear", "constant": "constant_with_warmup"}


class _Sealing:
    """Gives a trainer states that are whole or not there. bookmark: what goes into a state's manifest."""

    bookmark: Callable[[], Bookmark]
    on_saved: Callable[[Path], None]
    _writing = False

    def _get_output_dir(self, trial: Any) -> str:
        folder = str(self.args.output_dir)  # type: ignore[attr-defined]
        return str(Path(folder) / checkpoints.SAVING) if self._writing else folder

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
                    self.on_saved(checkpoints.seal(folder, name, self.bookmark()))
        finally:
            self._writing = False


class SftTrainer(_Sealing, SFTTrainer):  # type: ignore[misc]
    """TRL's supervised trainer."""


class PairTrainer(_Sealing, DPOTrainer):  # type: ignore[misc]
    """TRL's DPO trainer, taking pairs as token ids."""

    def _prepare_dataset(self, dataset: Any, *arguments: Any, **options: Any) -> Any:
        return dataset


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


def common_arguments(recipe: Recipe, learner: Learner, folder: Path) -> dict[str, Any]:
    """What both trainers are told."""
    school = recipe.training
    half = learner.autocasts or (learner.device.type != "cpu" and learner.dtype != torch.float32)
    return {
        "output_dir": str(folder),
        "per_device_train_batch_size": school.batch,
        "per_device_eval_batch_size": max(school.batch, 16),
        "gradient_accumulation_steps": school.accumulation,
        "num_train_epochs": school.epochs,
        "max_steps": school.steps or -1,
        "learning_rate": learner.rate,
        "lr_scheduler_type": _SCHEDULES[school.schedule],
        "warmup_steps": school.warmup,
        "weight_decay": school.weight_decay,
        "max_grad_norm": school.clip,
        "gradient_checkpointing": school.gradient_checkpointing,
        "gradient_checkpointing_kwargs": {"use_reentrant": False} if school.gradient_checkpointing else None,
        "seed": school.seed,
        "data_seed": school.seed,
        "bf16": half and learner.dtype == torch.bfloat16,
        "fp16": half and learner.dtype == torch.float16,
        "use_cpu": learner.device.type == "cpu",
        "dataloader_pin_memory": learner.device.type == "cuda",
        "logging_steps": 1,
        "logging_first_step": True,
        "logging_nan_inf_filter": False,
        "save_strategy": "no",
        "eval_strategy": "no",
        "report_to": "none",
        "disable_tqdm": True,
        "ddp_find_unused_parameters": False,
    }


def _quieten(trainer: Any) -> Any:
    """Without the callback that prints what the watcher tells."""
    trainer.remove_callback(transformers.PrinterCallback)
    return trainer


def make_sft(recipe: Recipe, learner: Learner, folder: Path, train: Any, validation: Any, callback: Any) -> Any:
    """TRL's supervised trainer for a recipe."""
    arguments = SFTConfig(
        **common_arguments(recipe, learner, folder),
        max_length=min(recipe.training.max_length or 1 << 30, learner.info.context_trained_tokens or 1024),
        packing=recipe.training.packing,
        completion_only_loss=recipe.training.completion_only,
        eval_packing=False,
    )
    return _quieten(
        SftTrainer(
            model=learner.model,
            args=arguments,
            train_dataset=train,
            eval_dataset=validation,
            processing_class=learner.tokenizer,
            peft_config=learner.config,
            callbacks=[callback],
        )
    )


def make_dpo(recipe: Recipe, learner: Learner, folder: Path, train: Any, validation: Any, callback: Any) -> Any:
    """TRL's preference trainer for a recipe."""
    assert recipe.preference
    arguments = DPOConfig(
        **common_arguments(recipe, learner, folder),
        beta=recipe.preference.beta,
        max_length=min(recipe.training.max_length or 1 << 30, learner.info.context_trained_tokens or 1024),
    )
    return _quieten(
        PairTrainer(
            model=learner.model,
            args=arguments,
            train_dataset=train,
            eval_dataset=validation,
            processing_class=learner.tokenizer,
            peft_config=learner.config,
            callbacks=[callback],
        )
    )
