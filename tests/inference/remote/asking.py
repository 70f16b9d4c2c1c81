"""Ask a model on a server without waiting: a clock that a test moves by the pauses the client makes, and what came."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

from workbench.endpoint import Endpoint
from workbench.errors import WorkbenchError
from workbench.inference.pool import Pool
from workbench.inference.remote.clock import RequestClock
from workbench.inference.remote.engine import RemoteEngine
from workbench.inference.types import Chunk, Completion, GenerateRequest, Sampling, fold
from workbench.models.reference import Model
from workbench.prompting.prompt import Message

KEY = "sk-live-0123456789abcdef/+="
KEY_VARIABLE = "PEER_KEY"


@dataclass
class SteppedClock:
    """Time passes by pauses alone. pauses: in seconds, in order; the dates are those of `start`."""

    start: float = 0.0
    pauses: list[float] = field(default_factory=list)

    @property
    def request_clock(self) -> RequestClock:
        return RequestClock(self._sleep, lambda: sum(self.pauses), lambda: self.start + sum(self.pauses), lambda: 1.0)

    async def _sleep(self, seconds: float) -> None:
        self.pauses.append(seconds)
        await asyncio.sleep(0)


@dataclass
class Outcomes:
    """What came of requests, in their order: a completion or an error each; and the pauses that were made."""

    found: list[Completion | WorkbenchError]
    pauses: list[float]

    @property
    def completion(self) -> Completion:
        (one,) = self.found
        assert isinstance(one, Completion), one
        return one

    @property
    def error(self) -> WorkbenchError:
        (one,) = self.found
        assert isinstance(one, WorkbenchError), one
        return one


def remote_model(address: str, dialect: str = "openai", key: str = KEY_VARIABLE, **fields: object) -> Model:
    endpoint = Endpoint((address,), dialect, "tiny", key)  # type: ignore[arg-type]
    return Model("tiny", format="remote", remote=endpoint, **fields)  # type: ignore[arg-type]


@contextlib.contextmanager
def open_pool(clock: SteppedClock | None = None) -> Iterator[Pool]:
    """A pool whose remote engines have this clock."""
    shown = (clock or SteppedClock()).request_clock
    pool = Pool(threads=1, connect=lambda model, loop: RemoteEngine(model, loop, shown, probe=False))
    try:
        yield pool
    finally:
        pool.close()


def make_request(text: str = "Where is my parcel?", priority: int = 1, **sampling: object) -> GenerateRequest:
    return GenerateRequest(0, (Message("user", text),), Sampling(**sampling), priority=priority)  # type: ignore[arg-type]


def ask(model: Model, requests: Sequence[GenerateRequest] = (), start: float = 0.0) -> Outcomes:
    """Send requests side by side; one if none is given."""
    clock = SteppedClock(start)

    async def one(pool: Pool, request: GenerateRequest) -> Completion | WorkbenchError:
        try:
            chunks = [event async for event in pool.client(model).generate(request) if isinstance(event, Chunk)]
        except WorkbenchError as error:
            return error
        return fold(chunks)

    async def gather(pool: Pool) -> list[Completion | WorkbenchError]:
        return await asyncio.gather(*(one(pool, request) for request in requests or (make_request(),)))

    with open_pool(clock) as pool:
        return Outcomes(asyncio.run(gather(pool)), clock.pauses)
