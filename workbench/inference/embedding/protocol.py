"""The messages between an embedder and its worker, and the protocol of what embeds texts there."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal, Protocol

import msgspec

from workbench.inference.worker.frames import FrameCodec
from workbench.models.reference import Model

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

TextKind = Literal["query", "document"]


class EmbedRequest(msgspec.Struct, frozen=True):
    """Texts to embed; the first request loads the model. kind: some models tell queries from documents."""

    model: Model
    texts: tuple[str, ...]
    kind: TextKind = "document"


class EmbedReply(msgspec.Struct, frozen=True):
    """vectors: float32, a row for each text, packed. message: what went wrong, as in WorkbenchError; empty: nothing."""

    vectors: bytes = b""
    dimensions: int = 0
    message: str = ""
    hint: str = ""
    details: str = ""


class TextEmbedder(Protocol):
    """An embedding model that is loaded."""

    def embed(self, texts: tuple[str, ...], kind: TextKind) -> NDArray[np.float32]:
        """A row for each text, shape (texts, dimensions). Raises EngineError for one that is too long."""
        ...


EMBED_REPLIES: FrameCodec[EmbedReply] = FrameCodec(EmbedReply)
EMBED_REQUESTS: FrameCodec[EmbedRequest] = FrameCodec(EmbedRequest)
