"""What a GGUF file is, when it is no model: named as what it is.

Knows nothing of what is in its tensors. Sources: llama.cpp's tools (imatrix, cvector-generator, gguf-split).
"""

from __future__ import annotations

from workbench.models.folder import LONGEST_NAME
from workbench.models.foreign_file import shorten
from workbench.models.header import Header


def name_kind(header: Header) -> str:
    """A GGUF file in words, such as `an importance matrix for quantizing`."""
    metadata = header.metadata
    kind, architecture = metadata.get("general.type", "model"), metadata.get("general.architecture")
    if kind == "adapter":
        return f"an adapter of the type {shorten(str(metadata.get('adapter.type', 'unknown')))}"
    if kind == "imatrix" or "imatrix.chunk_count" in metadata or "imatrix.datasets" in header.lengths:
        return "an importance matrix for quantizing"
    if architecture == "controlvector" or any(tensor.name.startswith("direction.") for tensor in header.tensors[:1]):
        return "a control vector"
    if architecture == "clip" or kind == "mmproj":
        return "a projector for images"
    if _part(header) > 0:
        return f"part {_part(header) + 1} of {metadata.get('split.count', 'several')} of a model"
    if not header.tensors and "tokenizer.ggml.tokens" in header.lengths:
        return "a vocabulary without a model"
    if isinstance(architecture, str) and 0 < len(architecture) <= LONGEST_NAME:
        return "a model"
    return "something else, and does not name its architecture"


def _part(header: Header) -> int:
    """Which part of a split model it is, from 0."""
    number = header.metadata.get("split.no", 0)
    return number if isinstance(number, int) else 0
