"""An adapter merged into its base: one Hugging Face folder that needs neither.

Knows nothing of GGUF. It loads torch, transformers and peft: run it in a process of its own.
"""

from __future__ import annotations

import shutil
import tempfile
import warnings
from pathlib import Path

from workbench.errors import ModelError
from workbench.models.adapter import check_values, inspect_adapter
from workbench.models.compatibility import check_compatible
from workbench.models.reference import Adapter, Applied, Model

_MERGED = ("LORA", "IA3")
_WEIGHTS = (".safetensors", ".bin", ".pt", ".pth", ".gguf", ".index.json")


def merge(base: Model, applied: Applied, out: Path) -> None:
    """Write `base` with the adapter's changes added to its weights into the folder `out`, all at once or not at all.

    Raises ModelError that names everything that speaks against it.
    """
    _check(base, applied.adapter, out)
    out.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=out.parent, prefix=f".{out.name}.") as scratch:
        written = Path(scratch) / out.name
        _write(base, applied, written)
        for path in base.path.iterdir():  # tokenizer, chat template, generation settings
            if path.is_file() and not path.name.endswith(_WEIGHTS) and not (written / path.name).exists():
                shutil.copy(path, written)
        written.rename(out)


def _check(base: Model, adapter: Adapter, out: Path) -> None:
    problems = list(check_compatible(adapter, base))
    if base.format != "hf" or adapter.format != "peft":
        problems = [
            "only a PEFT adapter can be merged into a folder, and only into a Hugging Face one; for a GGUF model name a"
            " .gguf file to write"
        ]
    elif not problems and inspect_adapter(adapter).kind not in _MERGED:
        problems = [f"it is a {inspect_adapter(adapter).kind}, which stands before the text and changes no weights"]
    if out.exists():
        problems.append(f"{out} is already there")
    if problems:
        raise ModelError(
            f"The adapter {adapter.name} cannot be merged into {base.name}:\n"
            + "\n".join(f"  {problem}" for problem in problems),
            "Choose an adapter that was trained on this model, and a new folder for the result.",
        )
    check_values(adapter)


def _write(base: Model, applied: Applied, out: Path) -> None:
    from peft import PeftModelForCausalLM
    from peft.tuners.lora import LoraLayer
    from transformers import AutoModelForCausalLM

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # what peft warns of was checked
        model = AutoModelForCausalLM.from_pretrained(base.path, dtype="auto", use_safetensors=True)
        laid = PeftModelForCausalLM.from_pretrained(model, str(applied.adapter.path))
        for module in laid.modules():
            if isinstance(module, LoraLayer):
                module.scale_layer(applied.scale)
        laid.merge_and_unload(safe_merge=True).save_pretrained(out)
