"""Finds the models and adapters in a set of folders, and in Ollama's store, by their names.

Of a GGUF file only the first bytes are read, which tell an adapter from a model. A damaged file is listed too; what is
wrong with it is said when it is opened. Ollama's layout: https://github.com/ollama/ollama,
`manifests/registry/namespace/name/tag`.

Hugging Face's cache is walked like any other folder: huggingface_hub.scan_cache_dir takes 80 ms for 100 models, most of
it for the sizes of all blobs, raises for a cache that another process is writing, and knows no GGUF files or adapters.
"""

from __future__ import annotations

import os
import re
import sys
from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Literal, NamedTuple

import msgspec

from workbench import paths
from workbench.endpoint import RemoteModel, make_endpoint
from workbench.models.reference import ADAPTER_CONFIG, Adapter, Model
from workbench.models.untrusted_files import finished_name, open_regular
from workbench.paths import data_folder, find_shipped
from workbench.settings import Settings

_OLLAMA_MODEL, _OLLAMA_ADAPTER = "application/vnd.ollama.image.model", "application/vnd.ollama.image.adapter"
_DIGEST = re.compile(r"sha256:[0-9a-f]{64}")
_LONGEST_MANIFEST = 1 << 20
_MOST_MANIFESTS = 10_000


class OllamaModel(NamedTuple):
    """name: what one types for `ollama run`; an adapter's has its base's name with `adapter` behind it."""

    name: str
    path: Path
    kind: Literal["gguf", "gguf adapter"]


class _OllamaLayer(msgspec.Struct, frozen=True):
    mediaType: str = ""
    digest: str = ""


class _OllamaManifest(msgspec.Struct, frozen=True):
    layers: tuple[_OllamaLayer, ...] = ()


def is_ollama(folder: Path) -> bool:
    """Whether a folder is Ollama's store of models."""
    return (folder / "manifests").is_dir() and (folder / "blobs").is_dir()


def find_in_ollama(folder: Path) -> Iterator[OllamaModel]:
    """What the manifests of a store name. One that cannot be read is passed over: Ollama may be writing it."""
    for path, _ in zip(_list_manifests(folder / "manifests"), range(_MOST_MANIFESTS), strict=False):
        name = _name_ollama_model(path.relative_to(folder / "manifests").parts)
        manifest = _read_manifest(path) if name else None
        for layer in manifest.layers if manifest else ():
            if not _DIGEST.fullmatch(layer.digest):
                continue
            blob = folder / "blobs" / layer.digest.replace(":", "-")
            if layer.mediaType == _OLLAMA_MODEL:
                yield OllamaModel(name, blob, "gguf")
            elif layer.mediaType == _OLLAMA_ADAPTER:
                yield OllamaModel(f"{name} adapter", blob, "gguf adapter")


def _list_manifests(folder: Path) -> Iterator[Path]:
    for above, folders, files in os.walk(folder):
        folders.sort()
        yield from (Path(above, file) for file in sorted(files) if not file.startswith("."))


def _name_ollama_model(parts: tuple[str, ...]) -> str:
    if len(parts) < 4:
        return ""
    *_, namespace, name, tag = parts
    return f"{name}:{tag}" if namespace == "library" else f"{namespace}/{name}:{tag}"


def _read_manifest(path: Path) -> _OllamaManifest | None:
    try:
        if path.stat().st_size > _LONGEST_MANIFEST:
            return None
        return msgspec.json.decode(path.read_bytes(), type=_OllamaManifest)
    except (OSError, msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return None


Kind = Literal["gguf", "hf", "peft", "gguf adapter"]

_DEEPEST = 6  # the Hugging Face cache needs five: hub / models--a--b / snapshots / revision / folder
_MOST_ENTRIES = 200_000
_LATER_SHARD = re.compile(r"-(?!00001)\d{5}-of-\d{5}\.gguf$", re.IGNORECASE)
_WEIGHTS = re.compile(r"(model.*\.safetensors|pytorch_model.*\.bin)$")
_ADAPTER_MARK = b"general.type" + (8).to_bytes(4, "little") + (7).to_bytes(8, "little") + b"adapter"
_PEEKED = 4096
_CACHED = re.compile(r"models--(.+?)--(.+)")


def find_known_models(settings: Settings, near: Path | None = None) -> tuple[Model, ...]:
    """The models that a name can mean: those on servers that the settings name, then those in the usual folders.

    near: the bench's folder. Raises ModelError for a wrong address in the settings.
    """
    servers = list_servers(settings)
    found = discover_models(default_folders(settings, near))
    return (*servers, *(model for model in found if model.name not in settings.models))


def list_servers(settings: Settings) -> tuple[Model, ...]:
    """The models on servers that the settings name. Raises ModelError for a wrong address."""
    return tuple(map(_open_server, settings.models, settings.models.values()))


def _open_server(name: str, known: RemoteModel) -> Model:
    endpoint = make_endpoint(
        known.remote,
        known.dialect,
        known.model,
        known.key_env,
        known.concurrency,
        known.server_defaults,
        str(paths.expand(known.tokenizer)) if known.tokenizer else "",
    )
    return Model(name, format="remote", context_tokens=known.context_tokens, remote=endpoint)


def discover_models(folders: Sequence[Path]) -> tuple[Model, ...]:
    """Every GGUF file and Hugging Face folder under the folders, by name; each name is there once.

    A name is the file's own, with as many of its folders in front as make it unique. Folders that cannot be
    read are passed over.
    """
    models = [Model(name, path, "hf" if kind == "hf" else "gguf") for name, path, kind in _find(folders, "gguf", "hf")]
    return tuple(sorted(models, key=lambda model: (model.name.casefold(), model.name)))


def discover_adapters(folders: Sequence[Path]) -> tuple[Adapter, ...]:
    """Every PEFT folder and GGUF adapter under the folders, by name, as `discover_models` does."""
    found = _find(folders, "peft", "gguf adapter")
    adapters = [Adapter(name, path, "peft" if kind == "peft" else "gguf") for name, path, kind in found]
    return tuple(sorted(adapters, key=lambda adapter: (adapter.name.casefold(), adapter.name)))


def refresh_adapters(known: Sequence[Adapter]) -> tuple[Adapter, ...]:
    """The adapters that are known, with those that were trained here since, without those that are gone.

    A trained one whose name another has is named by its path.
    """
    there = [adapter for adapter in known if adapter.path.exists()]
    paths_known, names = {os.path.realpath(one.path) for one in there}, {one.name for one in there}
    for adapter in discover_adapters((data_folder() / "adapters",)):
        if os.path.realpath(adapter.path) not in paths_known:
            name = adapter.name if adapter.name not in names else str(adapter.path)
            there.append(msgspec.structs.replace(adapter, name=name))
    return tuple(sorted(there, key=lambda adapter: (adapter.name.casefold(), adapter.name)))


def _find(folders: Sequence[Path], *kinds: Kind) -> list[tuple[str, Path, Kind]]:
    found: dict[str, tuple[Path, Kind]] = {}
    named: dict[str, tuple[Path, Kind]] = {}
    for folder in folders:
        if is_ollama(folder):
            for item in find_in_ollama(folder):
                named.setdefault(item.name, (item.path, item.kind))
            continue
        for path, kind in _walk(folder):
            if kind in kinds:
                found.setdefault(os.path.realpath(path), (path, kind))
    items = list(found.values())
    names = _name([path for path, _ in items])
    all_named = {**dict(zip(names, items, strict=True)), **named}
    return [(name, path, kind) for name, (path, kind) in all_named.items() if kind in kinds]


def default_folders(settings: Settings, near: Path | None = None) -> tuple[Path, ...]:
    """Where models usually are, existing folders only: the person's own, `models/` beside the bench and in
    the working folder, those trained here, the shipped ones, and what Hugging Face, LM Studio, llama.cpp and
    Ollama have fetched."""
    home = Path.home()
    candidates = [
        *(paths.working_folder() / paths.expand(folder) for folder in settings.model_folders),
        *([near / "models"] if near else []),
        paths.working_folder() / "models",
        data_folder() / "adapters",
        find_shipped("assets"),
        _hugging_face_cache(home),
        home / ".lmstudio" / "models",
        home / ".cache" / "lm-studio" / "models",
        _llama_cache(home),
        Path(os.environ.get("OLLAMA_MODELS") or home / ".ollama" / "models").expanduser(),
        Path("/usr/share/ollama/.ollama/models"),
    ]
    return tuple(dict.fromkeys(folder.resolve() for folder in candidates if folder.is_dir()))


def _walk(root: Path) -> Iterator[tuple[Path, Kind]]:
    """Breadth first, so that the entry limit cuts off the deepest folders."""
    level, seen, left = [str(root)], {os.path.realpath(root)}, _MOST_ENTRIES
    for _ in range(_DEEPEST):
        below: list[str] = []
        for folder in level:
            entries = _list(folder, left)
            left -= len(entries)
            yield from _find_here(folder, entries)
            for entry in entries:
                if _is_folder(entry) and (real := os.path.realpath(entry.path)) not in seen:
                    seen.add(real)
                    below.append(entry.path)
        level = below


def _list(folder: str, most: int) -> list[os.DirEntry[str]]:
    try:
        with os.scandir(folder) as entries:
            return [entry for entry, _ in zip(entries, range(most), strict=False)]
    except OSError:
        return []


def _is_folder(entry: os.DirEntry[str]) -> bool:
    try:
        return not entry.name.startswith(".") and entry.is_dir()
    except OSError:
        return False


def _find_here(folder: str, entries: Sequence[os.DirEntry[str]]) -> Iterator[tuple[Path, Kind]]:
    names = {entry.name for entry in entries}
    if "config.json" in names and (any(_WEIGHTS.match(name) for name in names) or _is_fetched(folder, names)):
        yield Path(folder), "hf"
    if ADAPTER_CONFIG in names:
        yield Path(folder), "peft"
    for entry in entries:
        lower = entry.name.lower()
        # a vision projector and the later parts of a split file cannot answer by themselves
        if lower.startswith("mmproj"):
            continue
        if lower.endswith(".gguf") and not _LATER_SHARD.search(lower):
            yield Path(entry.path), "gguf adapter" if _is_adapter(entry.path) else "gguf"
        elif ".gguf" in lower and (finished_name(lower) or "").endswith(".gguf") and not _is_folder(entry):
            yield Path(entry.path), "gguf"  # its header says that it is not whole


def _is_fetched(folder: str, names: set[str]) -> bool:
    """Whether weights are on their way into a folder, as far as names tell."""
    if any(".safetensors" in name and _WEIGHTS.match(finished_name(name) or "") for name in names):
        return True
    path = Path(folder)
    if path.parent.name != "snapshots" or ADAPTER_CONFIG in names:
        return False
    return any(entry.name.endswith(".incomplete") for entry in _list(str(path.parent.parent / "blobs"), _MOST_ENTRIES))


def _is_adapter(path: str) -> bool:
    """Whether a GGUF file says at its beginning, where every writer puts it, that it is an adapter."""
    try:
        with open_regular(path) as stream:
            return _ADAPTER_MARK in stream.read(_PEEKED)
    except OSError:
        return False


def _name(paths: Sequence[Path]) -> list[str]:
    """For each path the shortest of its tails that no other path has."""
    folders = {path for path in paths if path.suffix.lower() != ".gguf"}
    parts = [_parts(path, whole=path.with_suffix("") in folders) for path in paths]
    lengths = [1] * len(parts)
    while True:
        names = ["/".join(part[-length:]) for part, length in zip(parts, lengths, strict=True)]
        counts = Counter(names)
        longer = [
            length + 1 if counts[name] > 1 and length < len(part) else length
            for name, part, length in zip(names, parts, lengths, strict=True)
        ]
        if longer == lengths:
            return [name if counts[name] == 1 else str(path) for name, path in zip(names, paths, strict=True)]
        lengths = longer


def _parts(path: Path, whole: bool) -> tuple[str, ...]:
    """The path's folders and its name, without `.gguf` unless the whole of it is needed; a cached Hugging Face
    model goes by its repository."""
    own = path.name[:-5] if path.name.lower().endswith(".gguf") and not whole else path.name
    for above in path.parents:
        cached = _CACHED.fullmatch(above.name)
        if cached:
            rest = () if own == path.name else (own,)
            return (*above.parent.parts, *_revision(path, above), f"{cached[1]}/{cached[2]}", *rest)
    return (*path.parent.parts, own)


def _revision(path: Path, repository: Path) -> tuple[str, ...]:
    inside = path.relative_to(repository).parts
    return inside[1:2] if inside[:1] == ("snapshots",) else ()


def _hugging_face_cache(home: Path) -> Path:
    cache = os.environ.get("HF_HUB_CACHE") or os.environ.get("HUGGINGFACE_HUB_CACHE")
    if cache:
        return Path(cache).expanduser()
    base = os.environ.get("XDG_CACHE_HOME")
    own = os.environ.get("HF_HOME") or str((Path(base) if base else home / ".cache") / "huggingface")
    return Path(own).expanduser() / "hub"


def _llama_cache(home: Path) -> Path:
    own = os.environ.get("LLAMA_CACHE")
    if own:
        return Path(own).expanduser()
    if sys.platform == "darwin":
        return home / "Library" / "Caches" / "llama.cpp"
    base = os.environ.get("XDG_CACHE_HOME")
    return (Path(base) if base else home / ".cache") / "llama.cpp"
