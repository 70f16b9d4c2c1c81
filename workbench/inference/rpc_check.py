"""Whether a llama.cpp RPC server can be used: its address is a private one, it listens, it speaks the same protocol.

ggml ends its process where a connection fails, so the same first message (RPC_CMD_HELLO in ggml-rpc.cpp) is sent here
before it connects.
"""

from __future__ import annotations

import contextlib
import socket
import struct

from workbench.errors import ModelError
from workbench.offload import RpcAddress, is_public, parse_rpc, public_problem

PROTOCOL = 7
"""RPC_PROTO_MAJOR_VERSION of the pinned llama.cpp"""

NO_RPC = "llama.cpp is built here without RPC."
RPC_BUILD = "Build it with: CMAKE_ARGS=-DGGML_RPC=on make run GPU=cpu (or cuda, metal, vulkan, rocm)"

SECONDS = 5.0
"""For a server to connect and to answer."""

_HELLO, _CAPABILITIES, _REPLY = 14, 24, 28


def check_rpc_server(text: str, public: bool = False) -> RpcAddress:
    """The server's address by number, so that what was checked is what is connected to. Raises ModelError.

    public: allow addresses of the open internet.
    """
    try:
        address = parse_rpc(text)
        found = socket.getaddrinfo(address.host, address.port, socket.AF_INET, socket.SOCK_STREAM)
    except ValueError as error:
        raise ModelError(f"rpc: {error}.", "Correct the address.") from error
    except OSError as error:
        raise ModelError(
            f"The RPC server {text} was not found: {error.strerror or error}.", "Check its name."
        ) from error
    number = RpcAddress(str(found[0][4][0]), address.port)
    if is_public(number.host) and not public:
        raise ModelError(f"rpc: {public_problem(text if text == str(number) else f'{text} ({number.host})')}.", "")
    version = _greet(text, number)
    if version[0] != PROTOCOL:
        raise ModelError(
            f"The RPC server {text} speaks protocol {'.'.join(map(str, version))}; expected {PROTOCOL}.",
            "Build ggml-rpc-server from the same llama.cpp as this machine's.",
        )
    return number


def is_reachable(text: str, seconds: float = 1.0) -> bool:
    """Whether something listens at an address now."""
    with contextlib.suppress(ValueError, OSError):
        address = parse_rpc(text)
        socket.create_connection(address, seconds).close()
        return True
    return False


def _greet(text: str, address: RpcAddress) -> tuple[int, int, int]:
    """The protocol's version that a server answers with. Raises ModelError."""
    hint = "Start it there: ggml-rpc-server -H ADDRESS -p PORT, on a private network."
    try:
        with socket.create_connection(address, SECONDS) as connection:
            connection.settimeout(SECONDS)
            connection.sendall(struct.pack("<BQ", _HELLO, _CAPABILITIES) + bytes(_CAPABILITIES))
            reply = _receive(connection, 8 + _REPLY)
    except OSError as error:
        reason = error.strerror or str(error)
        if isinstance(error, TimeoutError):  # it accepts a second client only once the first one is gone
            reason = "it does not answer; it may be in use, since it serves one program at a time"
        raise ModelError(f"The RPC server {text} cannot be reached: {reason}.", hint) from error
    if len(reply) < 8 + _REPLY or struct.unpack_from("<Q", reply)[0] != _REPLY:
        raise ModelError(f"{text} is not a llama.cpp RPC server: its first answer is a different one.", hint)
    major, minor, patch = struct.unpack_from("<BBB", reply, 8)
    return major, minor, patch


def _receive(connection: socket.socket, count: int) -> bytes:
    received = b""
    while len(received) < count and (part := connection.recv(count - len(received))):
        received += part
    return received
