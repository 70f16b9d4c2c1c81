"""llama.cpp's RPC servers that the settings name: whether each answers, and an answer of a model on them."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import msgspec

from workbench.device_choice import read_offload
from workbench.doctor.engines import BackendAnswer, check_answer
from workbench.doctor.finding import Finding, failed
from workbench.errors import SettingsError
from workbench.inference.device_probe import LlamaBuild
from workbench.models.reference import Model
from workbench.offload import Offload, parse_rpc
from workbench.settings import load_settings


def read_settings_offload() -> Offload:
    """The servers in the settings; none where those cannot be read, which is a finding of its own."""
    try:
        choice = load_settings().offload
    except SettingsError:
        return Offload()
    given = read_offload(choice)
    return Offload(rpc=given.get("rpc", ()), public_rpc=given.get("public_rpc", False))


def check_servers_named(build: LlamaBuild, install: Callable[[str], str]) -> Iterator[Finding]:
    """Each server that does not answer, with what to run there, or here where llama.cpp has no RPC."""
    for address, problem in build.rpc_problems.items():
        command = _start_server(address) if build.has_rpc else f"CMAKE_ARGS=-DGGML_RPC=on {install('cpu')}"
        yield failed(f"RPC server {address}", problem.rstrip("."), command)


def check_rpc_answer(
    build: LlamaBuild, offload: Offload, model: Model, asked: Callable[[Model], BackendAnswer]
) -> tuple[BackendAnswer, Finding] | None:
    """The embedded model with all layers on the servers that answer; None where there are none."""
    servers = tuple(address for address in offload.rpc if address not in build.rpc_problems)
    if not servers:
        return None
    placed = msgspec.structs.replace(offload, rpc=servers, gpu_layers="all")
    answer = asked(msgspec.structs.replace(model, offload=placed))
    on_servers = bool(answer.placement) and not answer.placement[-1].layers
    expected = "" if on_servers else "the RPC servers alone"
    return answer, check_answer("llama.cpp on RPC", answer, expected, _start_server(servers[0]))


def _start_server(address: str) -> str:
    host, port = parse_rpc(address)
    return f"ggml-rpc-server -H {host} -p {port}"
