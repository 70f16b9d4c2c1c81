"""PEFT folders whose tensors are named as inside a training process, in the spelling that PEFT reads from disk.

`….lora_A.default.weight` is what a model's own state calls it; PEFT takes such a file for one without weights. Knows
nothing of what the tensors are.
"""

from __future__ import annotations

import hashlib
import json
import re
import shutil
import tempfile
from pathlib import Path

from workbench import paths
from workbench.errors import ModelError
from workbench.models.adapter_config import WEIGHTS, find_weights
from workbench.models.foreign_file import open_regular
from workbench.models.reference import ADAPTER_CONFIG, Adapter
from workbench.models.tensors import read_tensors

_INNER = re.compile(r"(\.lora_(?:A|B|embedding_A|embedding_B|magnitude_vector))\.default(?=\.weight$|$)")


def find_readable(adapter: Adapter) -> Path:
    """The adapter's folder, or a copy under names that PEFT reads, made once for each content. Raises ModelError."""
    weights = find_weights(adapter.path)
    if not any(_INNER.search(name) for name in read_tensors(weights).tensors):
        return adapter.path
    try:
        target = paths.cache_folder() / "adapters" / _digest(adapter.path, weights)
        if not target.is_dir():
            target.parent.mkdir(parents=True, exist_ok=True)
            with tempfile.TemporaryDirectory(dir=target.parent, prefix=".names.") as scratch:
                written = Path(scratch) / target.name
                written.mkdir()
                shutil.copy(adapter.path / ADAPTER_CONFIG, written)
                _rename(weights, written / WEIGHTS)
                written.rename(target)
    except OSError as error:
        raise ModelError(
            f"The adapter {adapter.name} could not be written under names that PEFT reads: {error.strerror or error}.",
            "Make room in the cache folder, or save the adapter again with PEFT's save_pretrained.",
        ) from error
    return target


def _rename(source: Path, target: Path) -> None:
    """Copy a safetensors file whose header was checked, its tensors under other names."""
    with open_regular(source) as old, target.open("wb") as new:
        header = json.loads(old.read(int.from_bytes(old.read(8), "little")))
        text = json.dumps({_INNER.sub(r"\1", name): entry for name, entry in header.items()}).encode()
        text += b" " * (-len(text) % 8)
        new.write(len(text).to_bytes(8, "little") + text)
        shutil.copyfileobj(old, new)


def _digest(folder: Path, weights: Path) -> str:
    state = hashlib.blake2b((folder / ADAPTER_CONFIG).read_bytes(), digest_size=16)
    with open_regular(weights) as stream:
        while block := stream.read(1 << 20):
            state.update(block)
    return f"names-{state.hexdigest()}"
