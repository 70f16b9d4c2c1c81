"""The projector of a GGUF model that sees (mmproj): which file it is, and whether it fits the model.

A projector of another model is the usual mistake: its embeddings have another width, or stand for something else.
"""

from __future__ import annotations

import re
from pathlib import Path

from workbench.errors import ModelError
from workbench.models.gguf_header import GgufHeader, describe_gguf_kind, read_header
from workbench.models.reference import Model
from workbench.models.untrusted_files import is_regular

_MARK = re.compile(r"[-_.]*mmproj[-_.]*(?:model)?[-_.]*", re.IGNORECASE)
_PRECISION = re.compile(r"[-_.](?:i?q\d\w*|[bf]?f?(?:16|32)|fp16|mxfp4|ud)(?=$|[-_.])", re.IGNORECASE)
_PART = re.compile(r"-\d{5}-of-\d{5}$")
_NAMED = 4

_OUTPUTS = {
    "mlp": ("mm.2.bias", "mm.2.weight"),
    "gemma3": ("mm.input_projection.weight",),
    "idefics3": ("mm.model.fc.weight",),
    "qwen2vl_merger": ("mm.2.bias",),
    "qwen2.5vl_merger": ("mm.2.bias",),
    "pixtral": ("mm.2.bias", "mm.2.weight"),
    "internvl": ("mm.3.bias", "mm.3.weight"),
}
"""Projector type -> tensors whose last dimension is the width of what comes out, the first that a file has."""

_FAMILIES = {
    "gemma3": "gemma3",
    "gemma3nv": "gemma3n",
    "llama4": "llama4",
    "qwen2vl_merger": "qwen2vl",
    "qwen2.5vl_merger": "qwen2vl",
    "qwen3vl_merger": "qwen3",
}
"""Projector type -> how the only architectures begin that it was made for; other types serve several families."""


def find_projector(model: Model) -> Path:
    """The model's projector: the one it names, or the only one beside its file that can be meant.

    Raises ModelError where there is none, or several may be meant.
    """
    if model.mmproj is not None:
        if not is_regular(model.mmproj):
            raise ModelError(
                f"{model.name} names the projector {model.mmproj}, and no such file is there.",
                "Correct `mmproj` of the model in the bench.",
            )
        return model.mmproj
    files = _list_files(model.path.parent)
    candidates = [path for path in files if "mmproj" in path.name.lower()]
    if not candidates:
        raise ModelError(
            f"{model.name} cannot be shown pictures: no projector (mmproj) is beside {model.path.name}.",
            "Put the model's mmproj file into the same folder, name it as `mmproj` of the model in the bench, or choose"
            " a model that sees.",
        )
    meant = _choose(model.path, candidates, files)
    if len(meant) != 1:
        names = ", ".join(path.name for path in candidates[:_NAMED])
        more = f" and {len(candidates) - _NAMED} more" if len(candidates) > _NAMED else ""
        raise ModelError(
            f"{model.name} cannot be shown pictures: which projector is meant cannot be told from the names beside"
            f" {model.path.name}: {names}{more}.",
            "Name one as `mmproj` of the model in the bench.",
        )
    return meant[0]


def check_projector(model: Model) -> Path:
    """The model's projector, whose header fits the model's. Raises ModelError that names what does not."""
    path = find_projector(model)
    header = read_header(path)
    kind = describe_gguf_kind(header)
    if kind != "a projector for images":
        raise ModelError(f"{path} is {kind}, not a projector for pictures.", "Choose the model's mmproj file.")
    if header.metadata.get("clip.has_vision_encoder") is False:
        raise ModelError(f"{path} is a projector for sound alone; it has no vision encoder.", "Choose another one.")
    base = read_header(model.path).metadata
    architecture = str(base.get("general.architecture", ""))
    wanted, width = base.get(f"{architecture}.embedding_length"), _output_width(header)
    family = _FAMILIES.get(_read_type(header), "")
    problem = ""
    if not architecture.startswith(family):
        problem = f"it is of the type {_read_type(header)}, and the model is {architecture}"
    elif width and isinstance(wanted, int) and width != wanted:
        problem = f"it makes embeddings of width {width:,}, and the model ({architecture}) takes {wanted:,}"
    if problem:
        raise ModelError(
            f"The projector {path.name} does not belong to {model.name}: {problem}.",
            "Choose the mmproj file that was published with this model.",
        )
    return path


def _read_type(header: GgufHeader) -> str:
    return str(header.metadata.get("clip.projector_type") or header.metadata.get("clip.vision.projector_type", ""))


def _output_width(header: GgufHeader) -> int:
    """The width of the embeddings; 0 for a kind that is not known here, which llama.cpp checks when it loads it."""
    kind = _read_type(header)
    tensors = {tensor.name: tensor for tensor in header.tensors}
    for name in _OUTPUTS.get(kind, ()):
        if name in tensors:
            shape = tensors[name].shape
            # of the weights, gemma3's is stored the other way round
            return shape[0] if len(shape) == 1 or kind == "gemma3" else shape[-1]
    return 0


def _choose(model: Path, candidates: list[Path], files: list[Path]) -> list[Path]:
    """The candidates that can be meant: those named like the model; all, where the folder has no other model."""
    name = _base_name(model)
    alike = [path for path in candidates if _base_name(path) == name]
    if alike:
        return alike
    others = {_base_name(path) for path in files if path not in candidates}
    unnamed = all(not _base_name(path) for path in candidates)
    return candidates if others == {name} and (unnamed or len(candidates) == 1) else []


def _base_name(path: Path) -> str:
    """A file's name without what says projector, precision or part."""
    bare = _MARK.sub("-", _PART.sub("", path.stem)).strip("-_.")
    while (shorter := _PRECISION.sub("", f"-{bare}").strip("-_.")) != bare:
        bare = shorter
    return bare.lower()


def _list_files(folder: Path) -> list[Path]:
    try:
        return sorted(path for path in folder.iterdir() if path.suffix.lower() == ".gguf" and is_regular(path))
    except OSError:
        return []
