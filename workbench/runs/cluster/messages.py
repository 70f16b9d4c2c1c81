"""What passes between the run and its nodes, and how it is packed."""

from __future__ import annotations

import io
from pathlib import Path
from typing import Literal, TypeVar

import msgspec

from workbench.inference.worker.frames import FrameCodec

T = TypeVar("T")


class WantedFile(msgspec.Struct, frozen=True):
    """A model or an adapter that a node needs. path: where the run has it, a file or a folder. bytes: its size."""

    kind: Literal["model", "adapter"]
    path: Path
    fingerprint: str
    bytes: int


class NodeReport(msgspec.Struct, frozen=True):
    """A node: the versions of the workbench and of its engines, by format, and its name."""

    version: str
    engines: dict[str, str]
    host: str


class FileReport(msgspec.Struct, frozen=True):
    """Whether a node has a file. path: where; problem: why not, in words; "" for one that is there."""

    path: Path = Path()
    problem: str = ""


class EngineOutput(msgspec.Struct, frozen=True):
    """What came of an engine on a node. frame: a packed reply; else it has ended: reason, last words, external as in
    WorkerExit."""

    engine: int
    frame: bytes = b""
    reason: str = ""
    last_words: str = ""
    external: bool = False


class EngineInput(msgspec.Struct, frozen=True):
    """A packed command for an engine on a node."""

    engine: int
    frame: bytes


class PackedFile(msgspec.Struct, frozen=True):
    """A file on its way to a node. name: within its folder, with `/`; the file's own where it is in none."""

    name: str
    content: bytes


def pack(value: object) -> bytes:
    """A value as bytes that `unpack` reads."""
    return _CODEC.pack(value)


def unpack(data: bytes, kind: type[T]) -> T:
    """The value in the bytes. Raises FrameError for anything else."""
    codec: FrameCodec[T] = FrameCodec(kind)
    (value,) = codec.read(io.BytesIO(data))
    return value


_CODEC: FrameCodec[None] = FrameCodec(None)
