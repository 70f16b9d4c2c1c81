"""Checks before training that the adapter can be loaded afterwards, with the check that loading makes.

The adapter's files are written as peft would write them, with zeros for weights.
"""

from __future__ import annotations

import json
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import peft
import torch

from workbench.errors import ModelError, TrainingError
from workbench.inference.transformers.peft_folder import check_source, make_config, read_source
from workbench.models.adapter_config import WEIGHTS
from workbench.models.compatibility import check_compatible
from workbench.models.reference import Adapter
from workbench.training.child.adapter_init import describe_published
from workbench.training.recipe import find_objective
from workbench.training.task import Task

_TYPES = {torch.float32: "F32", torch.float16: "F16", torch.bfloat16: "BF16", torch.float64: "F64"}


def check_adapter(model: Any, task: Task) -> str:
    """A sentence where the adapter fits its base but not the GGUF model of the variant; else nothing.

    model: as it is trained. Raises TrainingError for an adapter that could not be applied to its base.
    """
    if not isinstance(model, peft.PeftModel) or find_objective(task.recipe).scores:
        return ""  # a reward model is applied to no base that answers
    with tempfile.TemporaryDirectory() as scratch:
        folder = Path(scratch) / "adapter"
        folder.mkdir()
        describe_published(model.peft_config["default"], task).save_pretrained(str(folder))
        write_empty(folder / WEIGHTS, peft.get_peft_model_state_dict(model))
        adapter = Adapter(task.name, folder, "peft")
        try:
            source = read_source(adapter)
            check_source(source, task.base)
            make_config(source, [name for name, _ in model.get_base_model().named_modules()])
        except ModelError as error:
            reasons = error.message.partition("\n")[2] or f"  {error.message}"
            raise TrainingError(
                f"The adapter of this recipe could not be applied to its own base:\n{reasons}",
                "Change the method: kind, target_modules or modules_to_save.",
            ) from error
        if task.target is None or task.target.format != "gguf":
            return ""
        problems = check_compatible(adapter, task.target)
    if not problems:
        return ""
    return f"The adapter cannot be applied to {task.target.name}, which the variant runs on: {'; '.join(problems)}."


def write_empty(path: Path, tensors: Mapping[str, torch.Tensor]) -> None:
    """A sparse safetensors file with these names and shapes and zeros for values."""
    header: dict[str, Any] = {}
    at = 0
    for name, tensor in tensors.items():
        end = at + tensor.numel() * tensor.element_size()
        header[name] = {"dtype": _TYPES[tensor.dtype], "shape": list(tensor.shape), "data_offsets": [at, end]}
        at = end
    encoded = json.dumps(header).encode()
    encoded += b" " * (-len(encoded) % 8)
    with path.open("wb") as stream:
        stream.write(len(encoded).to_bytes(8, "little") + encoded)
        stream.truncate(8 + len(encoded) + at)
