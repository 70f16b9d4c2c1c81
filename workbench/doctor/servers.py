"""Model servers on the usual ports of this machine."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from workbench.doctor.finding import Finding, ok, warning
from workbench.inference.remote.discovery import find_servers
from workbench.inference.remote.found_server import PORTS, FoundServer

_SHOWN = 5


def check_servers(ports: Mapping[int, str] = PORTS) -> Iterator[Finding]:
    """Whoever listens there, with its models and adapters; one line where nobody does."""
    found = find_servers(ports)
    yield from map(_describe, found)
    if not found:
        yield ok("servers", f"none on the ports {', '.join(map(str, ports))}")


def _describe(server: FoundServer) -> Finding:
    name = f"server :{server.address.rpartition(':')[2]}"
    if server.problem:
        problem = server.problem[0].lower() + server.problem[1:].rstrip(".")
        text = f"something listens (usually {server.usual}), but {problem}"
        return warning(name, text, f"curl -m 5 -i {server.address}/v1/models")
    adapters = f"; adapters {_list(server.adapters)}" if server.adapters else ""
    models = _list(server.models) or "no model loaded"
    return ok(name, f"{server.dialect}: {models}{adapters}", address=server.address)


def _list(names: tuple[str, ...]) -> str:
    more = f" and {len(names) - _SHOWN} more" if len(names) > _SHOWN else ""
    return ", ".join(names[:_SHOWN]) + more
