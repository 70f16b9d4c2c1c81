"""Merges adapters into their base: one Hugging Face folder that needs none.

It loads torch, transformers and peft: run it in a process of its own.
"""

from __future__ import annotations

import shutil
import tempfile
import warnings
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from workbench.errors import ModelError
from workbench.models.adapter_config import find_readable
from workbench.models.adapter_info import check_values, inspect_adapter, read_contents
from workbench.models.compatibility import check_compatible
from workbench.models.reference import Adapter, Applied, Model

_MERGED = ("LORA", "IA3")
_ENDS = ("lm_head", "embed_tokens", "embed_out", "embed_in", "wte")
"""What the modules at both ends of a model are called."""
_WEIGHTS = (".safetensors", ".bin", ".pt", ".pth", ".gguf", ".index.json")


def merge(base: Model, adapters: Sequence[Applied], out: Path) -> tuple[str, ...]:
    """Write `base` with the adapters' changes added to its weights into the folder `out`, all at once or not at all.

    What a person should know of it, one sentence each. Raises ModelError that names everything that speaks against it.
    """
    for applied in adapters:
        _check(base, applied.adapter, out, len(adapters) > 1)
    try:
        out.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=out.parent, prefix=f".{out.name}.") as scratch:
            written = Path(scratch) / out.name
            notes = _write(base, adapters, written)
            for path in base.path.iterdir():  # tokenizer, chat template, generation settings
                if path.is_file() and not path.name.endswith(_WEIGHTS) and not (written / path.name).exists():
                    shutil.copy(path, written)
            written.rename(out)
    except OSError as error:
        raise ModelError(
            f"Cannot write {out}: {error.strerror or error}.", "Make room, or choose another folder."
        ) from error
    return notes


def _check(base: Model, adapter: Adapter, out: Path, among_others: bool) -> None:
    problems = list(check_compatible(adapter, base))
    if base.format != "hf" or adapter.format != "peft":
        problems = [
            "only a PEFT adapter can be merged into a folder, and only into a Hugging Face one; for a GGUF model name a"
            " .gguf file to write"
        ]
    elif not problems and inspect_adapter(adapter).kind not in _MERGED:
        problems = [f"it is a {inspect_adapter(adapter).kind}, which adds virtual tokens and changes no weights"]
    elif not problems and among_others and (reasons := read_contents(adapter).more_than_low_rank):
        problems = [f"with others only a plain LoRA can be merged, and {reason}" for reason in reasons]
    if out.exists():
        problems.append(f"{out} is already there")
    if problems:
        raise ModelError(
            f"The adapter {adapter.name} cannot be merged into {base.name}:\n"
            + "\n".join(f"  {problem}" for problem in problems),
            "Choose an adapter that was trained on this model, and a new folder for the result.",
        )
    check_values(adapter)


def _write(base: Model, adapters: Sequence[Applied], out: Path) -> tuple[str, ...]:
    import torch
    from peft import PeftModelForCausalLM
    from peft.tuners.lora import LoraLayer
    from transformers import AutoModelForCausalLM, logging

    logging.disable_progress_bar()
    notes: tuple[str, ...] = ()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # what peft warns of was checked
        try:
            model: Any = AutoModelForCausalLM.from_pretrained(base.path, dtype="auto", use_safetensors=True)
            stored = model.dtype
            model = model.to(torch.float32)  # so that sums are rounded once, when all is added
            if any(_changes_ends(applied.adapter) for applied in adapters) and _untie(model):
                notes = ("The token embedding and the output head were one, and are two now: an adapter changes one.",)
            for applied in adapters:
                changed = PeftModelForCausalLM.from_pretrained(model, str(find_readable(applied.adapter)))
                for module in changed.modules():
                    if isinstance(module, LoraLayer):
                        module.scale_layer(applied.scale)
                model = changed.merge_and_unload(safe_merge=True)
            model.to(stored).save_pretrained(out)
        except OSError:
            raise
        except Exception as error:  # whatever the libraries raise over foreign files
            reason = (str(error).strip().splitlines() or [type(error).__name__])[0][:300]
            raise ModelError(
                f"Cannot merge {', '.join(one.adapter.name for one in adapters)} into {base.name}: {reason}",
                "Fetch the model and the adapter again.",
                f"{type(error).__name__}: {error}"[:4000],
            ) from error
    return notes


def _changes_ends(adapter: Adapter) -> bool:
    """Whether an adapter changes the token embedding or the output head, by LoRA or with a copy of its own."""
    contents = read_contents(adapter)
    names = [pair.module for pair in contents.low_rank.pairs] + list(contents.low_rank.others)
    return any(end in name for name in names for end in _ENDS)


def _untie(model: Any) -> bool:
    """Give a model whose output head is its token embedding a head of its own; whether there was any need."""
    import torch

    head, embedding = model.get_output_embeddings(), model.get_input_embeddings()
    if head is None or head.weight is not embedding.weight:
        return False
    head.weight = torch.nn.Parameter(head.weight.detach().clone(), requires_grad=False)
    for config in {id(one): one for one in (model.config, model.config.get_text_config())}.values():
        config.tie_word_embeddings = False
    model.all_tied_weights_keys = {}  # what saving goes by
    return True
