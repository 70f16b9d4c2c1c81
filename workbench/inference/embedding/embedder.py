"""Embedder: one embedding model, in a process of its own or on a server; EmbedderPool keeps those in use."""

from __future__ import annotations

import hashlib
import threading
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from workbench.errors import EngineError
from workbench.inference.client import for_worker
from workbench.inference.embedding.protocol import EMBED_REPLIES, EmbedReply, EmbedRequest, TextKind
from workbench.inference.remote.event_loop import BackgroundLoop
from workbench.inference.worker.process import BlockingWorker, WorkerEnded, WorkerSpec
from workbench.models.reference import Model
from workbench.units import format_plural

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from workbench.inference.remote.http import ServerConnection

_WORKER = WorkerSpec("workbench.inference.embedding.worker")


class Embedder:
    """One model; started when it is first asked. Methods block and may be called from any thread."""

    def __init__(self, model: Model, loop: BackgroundLoop) -> None:
        self.model = model
        self._loop = loop
        self._lock = threading.Lock()
        self._worker: BlockingWorker[EmbedReply] | None = None
        self._connection: ServerConnection | None = None

    @property
    def name(self) -> str:
        """What an index of its vectors is known by: other weights, another name."""
        model = self.model
        if model.remote:
            return f"{model.remote.urls} {model.remote.model}"
        mark = hashlib.blake2b(digest_size=16)
        for path in [model.path] if model.path.is_file() else sorted(model.path.glob("*")):
            status = path.stat()
            mark.update(f"{path.name} {status.st_size} {status.st_mtime_ns}\0".encode())
        return f"{model.path.absolute()} {mark.hexdigest()}"

    def embed(self, texts: Sequence[str], kind: TextKind) -> NDArray[np.float32]:
        """A vector for each text, shape (texts, dimensions). Raises WorkbenchError."""
        with self._lock:
            return self._ask_server(texts) if self.model.remote else self._ask_worker(texts, kind)

    def close(self) -> None:
        """End its process. The next request starts another."""
        worker, self._worker = self._worker, None
        if worker:
            worker.end()
        connection, self._connection = self._connection, None
        if connection:
            self._loop.start(connection.close()).result(2)

    def _ask_worker(self, texts: Sequence[str], kind: TextKind) -> NDArray[np.float32]:
        import numpy as np

        self._worker = self._worker or BlockingWorker(_WORKER, EMBED_REPLIES, f"embeddings of {self.model.name}")
        try:
            reply = self._worker.ask(EmbedRequest(for_worker(self.model), tuple(map(_whole, texts)), kind))
        except WorkerEnded as ended:
            self._worker = None
            raise EngineError(
                f"The process that embeds with {self.model.name} {ended.exit.reason}.",
                "It is started again when it is next asked.",
                ended.exit.last_words,
            ) from ended
        if reply.message:
            raise EngineError(reply.message, reply.hint, reply.details)
        return np.frombuffer(reply.vectors, np.float32).reshape(len(texts), reply.dimensions)

    def _ask_server(self, texts: Sequence[str]) -> NDArray[np.float32]:
        import numpy as np

        return np.asarray(self._loop.start(self._post(tuple(map(_whole, texts)))).result(), np.float32)

    async def _post(self, texts: tuple[str, ...]) -> list[list[float]]:
        from workbench.inference.remote.http import ServerConnection

        endpoint = self.model.remote
        assert endpoint is not None
        if self._connection is None:
            self._connection = ServerConnection(endpoint.urls[0], endpoint.key_env)
        body = {"model": endpoint.model or await self._find_name(self._connection), "input": texts}
        reply = await self._connection.post_checked("/v1/embeddings", body)
        return read_vectors(reply, len(texts), endpoint.urls[0])

    async def _find_name(self, connection: ServerConnection) -> str:
        """The only model that the server has; OpenAI's API wants a name, llama-server takes any."""
        reply = await connection.get("/v1/models")
        found = reply.body.get("data") if isinstance(reply.body, dict) else None
        names = [one.get("id") for one in found if isinstance(one, dict)] if isinstance(found, list) else []
        return str(names[0]) if len(names) == 1 else "default"


def read_vectors(reply: Any, count: int, address: str) -> list[list[float]]:
    """The vectors of an answer, in the order of the texts. Raises EngineError where it is another one."""
    try:
        rows = {int(row["index"]): [float(value) for value in row["embedding"]] for row in reply["data"]}
        vectors = [rows[index] for index in range(count)]
        if not vectors[0] or len(set(map(len, vectors))) > 1:
            raise ValueError("vectors of different lengths")
    except (KeyError, TypeError, ValueError, IndexError) as error:
        raise EngineError(
            f"{address} did not answer with {format_plural(count, 'embedding')}: {error!r}.",
            "Look whether the server runs an embedding model, such as llama-server --embeddings.",
        ) from error
    return vectors


class EmbedderPool:
    """The embedding models in use."""

    def __init__(self) -> None:
        self._embedders: dict[Model, Embedder] = {}
        self._loop = BackgroundLoop("embedding servers")
        self._lock = threading.Lock()

    def get(self, model: Model) -> Embedder:
        """The embedder of a model."""
        with self._lock:
            if model.identity not in self._embedders:
                self._embedders[model.identity] = Embedder(model, self._loop)
            return self._embedders[model.identity]

    def close(self) -> None:
        """End all of them."""
        with self._lock:
            embedders = list(self._embedders.values())
            self._embedders.clear()
        for one in embedders:
            one.close()
        self._loop.close(2.0)


def _whole(text: str) -> str:
    """Half a character cannot be sent."""
    return text.encode("utf-8", "replace").decode()
