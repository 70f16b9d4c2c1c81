"""RewardModels: the reward models in use, each in a process of its own."""

from __future__ import annotations

import threading

from workbench.errors import EngineError, ModelError
from workbench.inference.client import for_worker
from workbench.inference.reward.protocol import REWARD_REPLIES, RewardReply, RewardRequest
from workbench.inference.types import GenerateRequest
from workbench.inference.worker.process import BlockingWorker, WorkerEnded, WorkerSpec
from workbench.models.reference import Adapter, Model

_WORKER = WorkerSpec("workbench.inference.reward.worker")


class RewardModels:
    """Each is started when it is first asked. Methods block and may be called from any thread."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._processes: dict[tuple[Model, Adapter], _RewardProcess] = {}

    def score(self, adapter: Adapter, base: Model, asked: GenerateRequest, answer: str) -> float:
        """The number that a reward model gives an answer; any real number, higher is better. Raises EngineError, and
        ModelError for one that cannot be loaded."""
        with self._lock:
            key = (base.identity, adapter)
            process = self._processes.setdefault(key, _RewardProcess(adapter, base))
        return process.score(asked, answer)

    def close(self) -> None:
        """End their processes."""
        with self._lock:
            processes = list(self._processes.values())
            self._processes.clear()
        for process in processes:
            process.close()


class _RewardProcess:
    def __init__(self, adapter: Adapter, base: Model) -> None:
        self._adapter, self._base = for_worker(adapter), for_worker(base)
        self._lock = threading.Lock()
        self._worker: BlockingWorker[RewardReply] | None = None

    def score(self, asked: GenerateRequest, answer: str) -> float:
        name = self._adapter.name
        with self._lock:
            worker = self._worker = self._worker or BlockingWorker(_WORKER, REWARD_REPLIES, f"reward model {name}")
            try:
                reply = worker.ask(RewardRequest(self._base, self._adapter, asked, answer))
            except WorkerEnded as ended:
                self._worker = None
                raise EngineError(
                    f"The process of the reward model {name} {ended.exit.reason}.",
                    "It is started again when it is next asked.",
                    ended.exit.last_words,
                ) from ended
        if reply.message:
            kind = EngineError if reply.loaded else ModelError
            raise kind(reply.message, reply.hint, reply.details)
        return reply.value

    def close(self) -> None:
        """End it; whoever waits for its reply is told so."""
        worker = self._worker
        if worker:
            worker.end()
