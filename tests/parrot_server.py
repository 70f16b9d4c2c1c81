"""An OpenAI-compatible server of the simplest kind: it answers every chat with the same words, whatever is asked."""

from __future__ import annotations

import contextlib
import http.server
import json
import threading
from collections.abc import Iterator


class ParrotServer(http.server.ThreadingHTTPServer):
    """See the module. keys: the Authorization header of each request to answer."""

    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _ParrotHandler)
        self.keys: list[str | None] = []

    @property
    def port(self) -> int:
        return int(self.server_address[1])

    @property
    def address(self) -> str:
        return f"http://127.0.0.1:{self.port}"


@contextlib.contextmanager
def run_parrot() -> Iterator[ParrotServer]:
    """One that answers until the end of the block."""
    with ParrotServer() as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield server
        server.shutdown()


class _ParrotHandler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_GET(self):
        listed = {"object": "list", "data": [{"id": "parrot", "object": "model", "owned_by": "somebody"}]}
        self._send(200 if self.path == "/v1/models" else 404, listed)

    def do_POST(self):
        body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        self.server.keys.append(self.headers.get("Authorization"))
        choice = {"index": 0, "message": {"role": "assistant", "content": "one, two, three"}, "finish_reason": "stop"}
        usage = {"prompt_tokens": 21, "completion_tokens": 5}
        self._send(200, {"model": body["model"], "choices": [choice], "usage": usage})

    def log_message(self, *_):
        pass

    def _send(self, status, value):
        data = json.dumps(value).encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        self.wfile.write(data)
