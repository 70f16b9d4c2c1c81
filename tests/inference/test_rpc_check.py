"""An RPC server is greeted before ggml connects to it; whatever else answers is refused in words."""

from __future__ import annotations

import contextlib
import socket
import struct
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from workbench.errors import ModelError
from workbench.inference import rpc_check
from workbench.inference.rpc_check import check_rpc_server, is_reachable
from workbench.inference.worker.rpc_failure import explain_rpc_failure
from workbench.models.reference import Model
from workbench.offload import Offload


@contextlib.contextmanager
def serve(reply: bytes) -> Iterator[str]:
    """A server that answers every greeting with this; its address."""
    with socket.create_server(("127.0.0.1", 0)) as listener:

        def answer() -> None:
            with contextlib.suppress(OSError):
                while True:
                    connection, _ = listener.accept()
                    with connection:
                        connection.recv(64)
                        connection.sendall(reply)

        thread = threading.Thread(target=answer, daemon=True)
        thread.start()
        yield f"127.0.0.1:{listener.getsockname()[1]}"
        with contextlib.suppress(OSError):
            listener.shutdown(socket.SHUT_RDWR)
    thread.join()


def hello(major: int) -> bytes:
    return struct.pack("<QBBBB", 28, major, 0, 0, 0) + bytes(24)


def test_a_server_of_this_protocol_is_taken_by_its_number() -> None:
    with serve(hello(rpc_check.PROTOCOL)) as address:
        port = address.rpartition(":")[2]
        assert str(check_rpc_server(f"localhost:{port}")) == address
        assert is_reachable(address)


@pytest.mark.parametrize(
    ("reply", "words"),
    [
        (hello(3), "speaks protocol 3.0.0; expected 7"),
        (b"HTTP/1.1 400 Bad Request\r\n\r\n and so on and on", "is not a llama.cpp RPC server"),
        (b"", "is not a llama.cpp RPC server"),
    ],
)
def test_another_server_is_refused(reply: bytes, words: str) -> None:
    with serve(reply) as address, pytest.raises(ModelError, match=words):
        check_rpc_server(address)


def test_a_silent_server_is_given_up(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(rpc_check, "SECONDS", 0.05)
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
        with pytest.raises(ModelError, match="it does not answer"):
            check_rpc_server(f"127.0.0.1:{port}")


def test_a_name_that_leads_to_a_public_address_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    found = [(socket.AF_INET, socket.SOCK_STREAM, 6, "", ("8.8.8.8", 50052))]
    monkeypatch.setattr(rpc_check.socket, "getaddrinfo", lambda *_: found)
    with pytest.raises(ModelError, match=r"gpu-box:50052 \(8.8.8.8\) is a public address"):
        check_rpc_server("gpu-box:50052")


def test_a_lost_device_is_named_and_other_ends_are_not_taken_for_one() -> None:
    with socket.create_server(("127.0.0.1", 0)) as closed:
        address = f"127.0.0.1:{closed.getsockname()[1]}"
    model = Model("m", Path("m.gguf"), offload=Offload(rpc=(address,)))
    lost = explain_rpc_failure(model, "ggml-rpc.cpp:354: Remote RPC server crashed or returned malformed", True)
    assert lost is not None
    assert lost.message == f"m lost a device while it worked: the RPC server {address} ended."
    assert explain_rpc_failure(model, "Segmentation fault", True) is None
    assert explain_rpc_failure(Model("m", Path("m.gguf")), "Remote RPC server crashed", True) is None
