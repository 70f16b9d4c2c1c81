"""Several addresses of one model: which of them a request goes to, and that they serve the same."""

from __future__ import annotations

import asyncio
from collections.abc import Hashable, Sequence

from workbench.errors import ModelError, WorkbenchError
from workbench.inference.remote.errors import ServerError
from workbench.inference.remote.server import ModelServer
from workbench.inference.remote.server_model import ServerModel, shorten_path

_COMPARED = {
    "model": "name",
    "kind of server": "dialect",
    "context": "context_tokens",
    "vocabulary": "vocabulary",
    "parameters": "parameters",
    "size": "file_bytes",
    "quantization": "quantization",
    "digest": "digest",
    "chat template": "template_digest",
}


class Fleet:
    """See the module. For the tasks of one event loop."""

    def __init__(self, servers: Sequence[ModelServer]) -> None:
        self.servers = tuple(servers)

    @property
    def alive(self) -> tuple[ModelServer, ...]:
        """Those that are asked: connected, and not left out."""
        return tuple(server for server in self.servers if server.connected and server.problem is None)

    @property
    def model(self) -> ServerModel:
        """What all of them serve."""
        return next(server.model for server in self.servers if server.connected)

    async def connect(self) -> None:
        """Connect to every address that is not left out. One that does not answer is left out while another does.

        Raises the error of the first where none answers, and ModelError where they do not serve the same.
        """
        asked = [server for server in self.servers if not server.connected]
        results = await asyncio.gather(*(server.connect() for server in asked), return_exceptions=True)
        for server, result in zip(asked, results, strict=True):
            if isinstance(result, ServerError) and result.kind == "unreachable" and len(self.servers) > 1:
                server.problem = result
            elif isinstance(result, BaseException):
                raise result
            else:
                server.problem = None
        if not self.alive:
            raise next(server.problem for server in self.servers if server.problem)
        self._check_equal()

    def choose(self, group: Hashable | None, tried: frozenset[str]) -> ModelServer:
        """The address that a request goes to: one that knows its prefix, unless another has much less to do.

        tried: addresses that failed it already, which come last. Raises the problem of the last one left out.
        """
        alive = self.alive
        if not alive:
            raise self._all_gone()

        def rank(server: ModelServer) -> tuple[bool, float, int]:
            load = server.queue.outstanding / max(server.queue.limit, 1.0)
            warm = server.queue.is_warm(group)
            return server.address in tried, load - (1.0 if warm else 0.0), server.queue.groups

        return min(alive, key=rank)

    def leave_out(self, server: ModelServer, problem: ServerError) -> None:
        """DialectRequest an address no more. The last one stays: its requests say what is wrong."""
        if len(self.alive) > 1:
            server.problem = problem

    @property
    def left_out(self) -> tuple[str, ...]:
        """Why addresses are not asked, one sentence each."""
        return tuple(f"{one.address} is left out: {one.problem.message}" for one in self.servers if one.problem)

    def _all_gone(self) -> WorkbenchError:
        problems = [server.problem for server in self.servers if server.problem]
        return problems[-1] if problems else ServerError("unreachable", "No server is connected.", "Run again.")

    def _check_equal(self) -> None:
        first, *others = self.alive
        problems = []
        for other in others:
            for label, name in _COMPARED.items():
                left, right = (_shorten(getattr(server.model, name)) for server in (first, other))
                if left != right:
                    problems.append(
                        f"{label}: {left or 'not told'} at {first.address}, {right or 'not told'} at {other.address}"
                    )
            mine, theirs = ({one.name for one in server.model.adapters} for server in (first, other))
            if mine != theirs:
                problems.append(f"adapters: {_list(mine)} at {first.address}, {_list(theirs)} at {other.address}")
        if problems:
            raise ModelError(
                f"The addresses of one model do not serve the same: {'; '.join(problems)}.",
                "Start all of them alike, or make two models of them.",
            )


def _shorten(value: object) -> object:
    return shorten_path(value) if isinstance(value, str) else value


def _list(names: set[str]) -> str:
    return ", ".join(sorted(names)) or "none"
