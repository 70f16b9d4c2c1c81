"""The embedding process: one model, texts from its parent, vectors to it."""

from __future__ import annotations

import traceback

from workbench.errors import EngineError, ModelError, WorkbenchError
from workbench.inference.embedding.protocol import EMBED_REQUESTS, EmbedReply, EmbedRequest, TextEmbedder
from workbench.inference.worker.child import ParentChannel
from workbench.inference.worker.frames import MAX_DETAILS_CHARS, shorten
from workbench.models.reference import Model


def main() -> None:
    """Answer until the parent ends."""
    channel: ParentChannel[EmbedRequest] = ParentChannel(EMBED_REQUESTS)
    channel.listen()
    embedder: TextEmbedder | None = None
    while (request := channel.receive()) is not None:
        try:
            embedder = embedder or open_embedder(request.model)
            vectors = embedder.embed(request.texts, request.kind)
            reply = EmbedReply(vectors.tobytes(), vectors.shape[1])
        except WorkbenchError as error:
            reply = EmbedReply(message=shorten(error.message), hint=shorten(error.hint), details=error.details[:2000])
        except Exception as error:  # noqa: BLE001  whatever a foreign file does to a library, a person gets a message
            message = f"{request.model.name} could not embed: {type(error).__name__}: {error}."
            details = shorten(traceback.format_exc(), MAX_DETAILS_CHARS)
            reply = EmbedReply(message=shorten(message), hint="Choose another embedding model.", details=details)
        channel.send(reply)


def open_embedder(model: Model) -> TextEmbedder:
    """The model, loaded. Raises ModelError."""
    if model.format == "gguf":
        from workbench.inference.llamacpp.embedder import GgufEmbedder

        return GgufEmbedder(model)
    if model.format == "hf":
        from workbench.inference.transformers.embedder import HfEmbedder

        return HfEmbedder(model)
    raise ModelError(f"{model.name} gives no embeddings.", "Choose a GGUF file, a Hugging Face folder or a server.")


def too_many_tokens(name: str, text: str, tokens: int, limit: int) -> EngineError:
    """A text that the model cannot take as a whole: a cut one would be found by its beginning alone."""
    shown = " ".join(text.split())[:60]
    return EngineError(
        f"{name} takes {limit:,} tokens, and a text has {tokens:,}: {shown!r}…",
        "Set a smaller `chunk` under `corpus`, or choose an embedding model with a longer context.",
    )
