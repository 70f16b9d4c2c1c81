"""Initial weights of a LoRA that depend on the base, and what becomes of them when the adapter is published.

PiSSA and OLoRA take their initial weights out of the base. What is learned then only fits the base that is left, so
PEFT writes the difference between the last and the first weights as a plain LoRA, of twice the rank, for the base as it
was.
"""

from __future__ import annotations

import copy
from pathlib import Path
from typing import Any

import peft
import torch
from safetensors.torch import load_file

from workbench.errors import TrainingError
from workbench.models.adapter_config import WEIGHTS
from workbench.training.job_dir import JobDir
from workbench.training.task import Task

_INITIAL, _PUBLISHED = "initial", "published"


def check_init(task: Task, device: torch.device) -> None:
    """Raise TrainingError for initial weights that cannot be computed on a device."""
    if task.recipe.method.init_lora_weights == "loftq" and device.type != "cuda":
        raise TrainingError(
            f"method.init_lora_weights: loftq is computed by PEFT on a CUDA device alone, and this would be {device}.",
            "Leave it out: qlora trains without it too.",
        )


def save_initial(trainer: Any, task: Task, job_dir: JobDir, resumed: bool, leads: bool) -> None:
    """Before the first update: compute what depends on a quantized base, and keep what is taken out of a base."""
    method = task.recipe.method
    model = trainer.accelerator.unwrap_model(trainer.model)
    if method.init_lora_weights == "loftq" and not resumed and not task.parent:
        peft.replace_lora_weights_loftq(model, model_path=_single_file(task.base.path))
    folder = job_dir.folder / _INITIAL
    if method.changes_base and not task.parent and leads and not folder.exists():
        _save(model, folder)


def to_plain_lora(trainer: Any, task: Task, job_dir: JobDir, checkpoint: Path) -> Path:
    """The folder to publish instead of a checkpoint: an adapter for the base as it is on disk."""
    if not task.recipe.method.changes_base or task.parent:
        return checkpoint
    model = trainer.accelerator.unwrap_model(trainer.model)
    peft.set_peft_model_state_dict(model, load_file(checkpoint / WEIGHTS))
    folder = job_dir.folder / _PUBLISHED
    model.save_pretrained(str(folder), path_initial_model_for_weight_conversion=str(job_dir.folder / _INITIAL))
    return folder


def describe_published(config: Any, task: Task) -> Any:
    """The configuration that an adapter in training is published with."""
    published = copy.copy(config)
    if task.recipe.method.changes_base:
        published.init_lora_weights = True
    return published


def _save(model: Any, folder: Path) -> None:
    config = model.peft_config["default"]
    held = config.init_lora_weights
    config.init_lora_weights = True  # as PEFT wants the initial weights of a conversion
    try:
        scratch = folder.with_name(f".{folder.name}")
        model.save_pretrained(str(scratch))
        scratch.rename(folder)
    finally:
        config.init_lora_weights = held


def _single_file(base: Path) -> str | None:
    """The weights of a base in one file; None where there are several, which PEFT finds by the base's folder."""
    file = base / "model.safetensors"
    return str(file) if file.exists() else None
