"""Whether an adapter that is about to be trained can be loaded afterwards, by the very check that loading makes.

Knows nothing of training: the adapter's headers are written as peft would write them, with zeros behind.
"""

from __future__ import annotations

import json
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import peft
import torch

from workbench.engines.transformers.peft_folder import check_source, make_config, read_source
from workbench.errors import ModelError, TrainingError
from workbench.models.adapter_config import WEIGHTS
from workbench.models.compatibility import check_compatible
from workbench.models.reference import Adapter
from workbench.training.task import Task

_TYPES = {torch.float32: "F32", torch.float16: "F16", torch.bfloat16: "BF16", torch.float64: "F64"}


def check_adapter(model: Any, task: Task) -> str:
    """A sentence where the adapter fits its base but not the GGUF file that the variant runs on; else nothing.

    model: as it is trained. Raises TrainingError for an adapter that the base would be refused with.
    """
    if not isinstance(model, peft.PeftModel):
        return ""
    with tempfile.TemporaryDirectory() as scratch:
        folder = Path(scratch) / "adapter"
        folder.mkdir()
        model.peft_config["default"].save_pretrained(str(folder))
        write_empty(folder / WEIGHTS, peft.get_peft_model_state_dict(model))
        adapter = Adapter(task.name, folder, "peft")
        try:
            source = read_source(adapter)
            check_source(source, task.base)
            make_config(source, [name for name, _ in model.get_base_model().named_modules()])
        except ModelError as error:
            reasons = error.message.partition("\n")[2] or f"  {error.message}"
            raise TrainingError(
                f"The adapter that this recipe makes could not be loaded over its own base:\n{reasons}",
                "Change method in the recipe: kind, targets or modules_to_save.",
            ) from error
        if task.target is None or task.target.format != "gguf":
            return ""
        problems = check_compatible(adapter, task.target)
    if not problems:
        return ""
    return f"The adapter cannot be laid over {task.target.name}, which the variant runs on: {'; '.join(problems)}."


def write_empty(path: Path, tensors: Mapping[str, torch.Tensor]) -> None:
    """A safetensors file with these names and shapes whose values are all zero; it takes hardly any space on a disk."""
    header: dict[str, Any] = {}
    at = 0
    for name, tensor in tensors.items():
        end = at + tensor.numel() * tensor.element_size()
        header[name] = {"dtype": _TYPES[tensor.dtype], "shape": list(tensor.shape), "data_offsets": [at, end]}
        at = end
    told = json.dumps(header).encode()
    told += b" " * (-len(told) % 8)
    with path.open("wb") as stream:
        stream.write(len(told).to_bytes(8, "little") + told)
        stream.truncate(8 + len(told) + at)
