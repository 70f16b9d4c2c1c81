"""What to say of a worker that ended because an RPC server did: ggml ends its process where a connection breaks."""

from __future__ import annotations

from workbench.errors import EngineError
from workbench.inference.rpc_check import is_reachable
from workbench.models.model import Model

_WORDS = ("Remote RPC server crashed", "RPC handshake failed", "Failed to connect to")
"""What ggml-rpc.cpp writes before it aborts."""


def explain_rpc_failure(model: Model, last_words: str, loaded: bool) -> EngineError | None:
    """The error for a worker with these last words, with the servers that are gone; None where it was another cause."""
    servers = model.offload.rpc
    if not servers or not any(words in last_words for words in _WORDS):
        return None
    gone = [text for text in servers if not is_reachable(text, 0.5)]
    which = f"the RPC server {gone[0]}" if len(gone) == 1 else f"the RPC servers {' and '.join(gone)}"
    cause = f"{which} ended" if gone else f"the connection to one of {', '.join(servers)} broke"
    task = "while it worked" if loaded else "while it loaded"
    return EngineError(
        f"{model.name} lost a device {task}: {cause}.",
        "Start the server again, or take its address out of rpc; the next request loads the model again.",
        last_words,
    )
