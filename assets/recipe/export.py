"""Export: the trained state as a Hugging Face folder and as GGUF files, each put in place in one step.

Knows nothing of training.
"""

from __future__ import annotations

import shutil
import tempfile
from pathlib import Path
from typing import get_args

import torch
from transformers import LlamaForCausalLM, PreTrainedTokenizerFast

from workbench.models.hf_to_gguf import Quantization, convert_hf_to_gguf


def export(model: LlamaForCausalLM, tokenizer: PreTrainedTokenizerFast, assets: Path, name: str = "desk") -> None:
    """Write `assets/<name>/` and `assets/<name>-<quantization>.gguf` for f16, q8_0 and q4_0.

    The matrices are rounded to half precision first, so that the folder and the f16 file hold the same numbers.
    """
    with torch.no_grad():
        for parameter in model.parameters():
            if parameter.ndim > 1:
                parameter.copy_(parameter.half().float())
    with tempfile.TemporaryDirectory(dir=assets, prefix=f".{name}.") as scratch:
        folder = Path(scratch) / name
        model.save_pretrained(folder)
        tokenizer.save_pretrained(folder)
        (folder / "generation_config.json").unlink(missing_ok=True)
        for file in folder.iterdir():
            file.chmod(0o644)
        for quantization in get_args(Quantization):
            if quantization != "f32":
                convert_hf_to_gguf(folder, assets / f"{name}-{quantization}.gguf", quantization)
        place = assets / name
        if place.exists():
            place.rename(Path(scratch) / "old")
        shutil.move(folder, place)
