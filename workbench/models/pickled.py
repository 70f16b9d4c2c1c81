"""Converts a folder with pickled weights to safetensors, for a user who trusts it.

Even then nothing but numbers is unpickled. It loads torch: run it in a process
of its own.
"""

from __future__ import annotations

import json
import shutil
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from workbench.errors import ModelError

_KINDS = (".bin", ".pt", ".pth")


def find_pickled(folder: Path) -> list[Path]:
    """The pickled weights of a model's or adapter's folder, in order."""
    names = ("adapter_model", "pytorch_model", "model")
    files = sorted(path for path in folder.iterdir() if path.suffix in _KINDS) if folder.is_dir() else []
    return [path for path in files if path.name.startswith(names)]


def rewrite(folder: Path, out: Path) -> None:
    """Write the folder to `out` with safetensors instead of pickled weights, all at once or not at all.

    Raises ModelError for a folder without such weights, or with some that hold more than numbers.
    """
    files = find_pickled(folder)
    if not files:
        raise ModelError(f"{folder} holds no pickled weights.", "Use it as it is.")
    out.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=out.parent, prefix=f".{out.name}.") as scratch:
        written = Path(scratch) / out.name
        written.mkdir()
        targets = {path: written / _name(path) for path in files}
        index: dict[str, str] = {}
        for path, target in targets.items():
            index |= dict.fromkeys(_rewrite_file(path, target), target.name)
        if len(files) > 1:
            listed = {"metadata": {}, "weight_map": index}
            (written / "model.safetensors.index.json").write_text(json.dumps(listed, indent=2))
        for path in folder.iterdir():
            if path.is_file() and path not in targets and not path.name.endswith(".bin.index.json"):
                shutil.copy(path, written)
        written.rename(out)


def _name(path: Path) -> str:
    return path.stem.replace("pytorch_model", "model") + ".safetensors"


def _rewrite_file(path: Path, out: Path) -> list[str]:
    """The names of its tensors."""
    import torch
    from safetensors.torch import save_file

    try:
        values: Any = torch.load(path, map_location="cpu", weights_only=True)
    except Exception as error:
        raise ModelError(
            f"{path} holds more than numbers, or is damaged: {str(error).splitlines()[0]}",
            "It is not opened, because it could run any code. Ask its author for safetensors.",
            str(error),
        ) from error
    if not isinstance(values, Mapping) or not all(isinstance(value, torch.Tensor) for value in values.values()):
        raise ModelError(f"{path} does not hold named tensors.", "Choose a model's or an adapter's own folder.")
    tensors = {str(name): value.contiguous().clone() for name, value in values.items()}
    save_file(tensors, out, {"format": "pt"})
    return list(tensors)
