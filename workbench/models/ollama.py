"""The models that Ollama has fetched: its manifests name them, its blobs are GGUF files under their digests.

Knows nothing of other folders. Layout: https://github.com/ollama/ollama, `manifests/registry/namespace/name/tag`.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Literal, NamedTuple

import msgspec

_MODEL, _ADAPTER = "application/vnd.ollama.image.model", "application/vnd.ollama.image.adapter"
_DIGEST = re.compile(r"sha256:[0-9a-f]{64}")
_LONGEST_MANIFEST = 1 << 20
_MOST = 10_000


class Found(NamedTuple):
    """name: what one types for `ollama run`; an adapter's has its base's name with `adapter` behind it."""

    name: str
    path: Path
    kind: Literal["gguf", "gguf adapter"]


class _Layer(msgspec.Struct, frozen=True):
    mediaType: str = ""
    digest: str = ""


class _Manifest(msgspec.Struct, frozen=True):
    layers: tuple[_Layer, ...] = ()


def is_ollama(folder: Path) -> bool:
    """Whether a folder is Ollama's store of models."""
    return (folder / "manifests").is_dir() and (folder / "blobs").is_dir()


def find_in_ollama(folder: Path) -> Iterator[Found]:
    """What the manifests of a store name. One that cannot be read is passed over: Ollama may be writing it."""
    for place, _ in zip(_walk(folder / "manifests"), range(_MOST), strict=False):
        name = _name(place.relative_to(folder / "manifests").parts)
        manifest = _read(place) if name else None
        for layer in manifest.layers if manifest else ():
            if not _DIGEST.fullmatch(layer.digest):
                continue
            blob = folder / "blobs" / layer.digest.replace(":", "-")
            if layer.mediaType == _MODEL:
                yield Found(name, blob, "gguf")
            elif layer.mediaType == _ADAPTER:
                yield Found(f"{name} adapter", blob, "gguf adapter")


def _walk(folder: Path) -> Iterator[Path]:
    for above, folders, files in os.walk(folder):
        folders.sort()
        yield from (Path(above, file) for file in sorted(files) if not file.startswith("."))


def _name(parts: tuple[str, ...]) -> str:
    if len(parts) < 4:
        return ""
    *_, namespace, name, tag = parts
    return f"{name}:{tag}" if namespace == "library" else f"{namespace}/{name}:{tag}"


def _read(path: Path) -> _Manifest | None:
    try:
        if path.stat().st_size > _LONGEST_MANIFEST:
            return None
        return msgspec.json.decode(path.read_bytes(), type=_Manifest)
    except (OSError, msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return None
