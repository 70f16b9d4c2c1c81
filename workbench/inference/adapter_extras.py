"""A chat template or a tokenizer that lies beside an adapter: the base's own are used, and a difference is said."""

from __future__ import annotations

import functools
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

import msgspec

from workbench.inference.template_file import read_folder_template
from workbench.inference.vocabulary import Vocabulary
from workbench.models.reference import Adapter

_LONGEST = 64 * 2**20
"""Bytes of a tokenizer's file that are read."""


def find_extras(adapters: Iterable[Adapter], template: str, vocabulary: Vocabulary) -> tuple[str, ...]:
    """What lies beside these adapters and is not used, one sentence each.

    template, vocabulary: what the base is asked with.
    """
    folders = [adapter for adapter in adapters if adapter.format == "peft"]
    return tuple(note for adapter in folders for note in _describe(adapter, template, vocabulary))


def _describe(adapter: Adapter, template: str, vocabulary: Vocabulary) -> Iterator[str]:
    own = _read(adapter.path, _stamp(adapter.path))
    if own.template and own.template.strip() != template.strip():
        yield (
            f"{adapter.name} comes with another chat template than the one that is used; give the model that of"
            f" {adapter.path.name} in the bench if it was trained with it."
        )
    unknown = [text for text, token in own.added if not _has(vocabulary, text, token)]
    if unknown:
        yield (
            f"{adapter.name} comes with a tokenizer of its own, which is not used: it has {len(unknown)} added tokens"
            f" that the model's does not have there, such as {unknown[0]!r}."
        )


def _has(vocabulary: Vocabulary, text: str, token: int) -> bool:
    """Whether a token has this text; a number beyond the vocabulary must not reach native code."""
    return 0 <= token < vocabulary.size and vocabulary.text(token) == text


class _Extras(msgspec.Struct, frozen=True):
    template: str
    added: tuple[tuple[str, int], ...]


def _stamp(folder: Path) -> int:
    try:
        return folder.stat().st_mtime_ns
    except OSError:
        return 0


@functools.lru_cache(maxsize=64)
def _read(folder: Path, stamp: int) -> _Extras:
    """A folder's template and the tokens added to its tokenizer. stamp: reads it again when it changes."""
    return _Extras(read_folder_template(folder), tuple(_read_added(folder / "tokenizer.json")))


def _read_added(file: Path) -> Iterator[tuple[str, int]]:
    try:
        if not file.is_file() or file.stat().st_size > _LONGEST:
            return
        found: Any = msgspec.json.decode(file.read_bytes(), type=dict[str, Any]).get("added_tokens")
    except (OSError, msgspec.DecodeError, RecursionError):
        return  # it is not used anyway
    for entry in found if isinstance(found, list) else ():
        if isinstance(entry, dict) and isinstance(entry.get("content"), str) and type(entry.get("id")) is int:
            yield entry["content"], entry["id"]
