"""A server on this machine that misbehaves: the first part of the path names how, the rest is what a client asks for.

`http://127.0.0.1:PORT/empty-body` is the address of a server that answers 200 and nothing. What is no request for a
completion (the list of models) is answered soundly everywhere. It runs in a thread of its own, so that whole commands
can be run against it, and it remembers what it was asked. Nothing here waits for a time to pass.
"""

from __future__ import annotations

import asyncio
import json
import ssl
import threading
from collections import defaultdict
from collections.abc import Awaitable, Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from http import HTTPStatus
from typing import Any, NamedTuple

MODEL = "tiny"
_TLS = b"\x16"
"""With what a client begins that wants TLS."""


class HostileRequest(NamedTuple):
    """What a client sent. number: how often the scenario was asked for a completion before, from 0 on."""

    method: str
    path: str
    headers: Mapping[str, str]
    body: Any
    number: int = 0

    @property
    def streams(self) -> bool:
        return isinstance(self.body, dict) and bool(self.body.get("stream"))


class ReplyWriter:
    """Writes an answer as HTTP/1.1, soundly or not."""

    def __init__(self, writer: asyncio.StreamWriter) -> None:
        self._writer = writer

    async def start(self, status: int, headers: Mapping[str, str] | None = None) -> None:
        """The status line and the headers. Without a length the body ends with the connection."""
        lines = [f"HTTP/1.1 {status} {HTTPStatus(status).phrase}", "Connection: close"]
        lines += [f"{name}: {value}" for name, value in (headers or {}).items()]
        await self.write(("\r\n".join(lines) + "\r\n\r\n").encode())

    async def write(self, raw: bytes) -> None:
        self._writer.write(raw)
        await self._writer.drain()

    async def send(self, status: int, body: Any, headers: Mapping[str, str] | None = None) -> None:
        """A whole answer; what is no bytes is sent as JSON."""
        raw = body if isinstance(body, bytes) else json.dumps(body).encode()
        sized = {"Content-Type": "application/json", "Content-Length": str(len(raw)), **(headers or {})}
        await self.start(status, sized)
        await self.write(raw)

    async def start_stream(self) -> None:
        await self.start(200, {"Content-Type": "text/event-stream"})

    async def event(self, value: Any) -> None:
        await self.write(b"data: " + (value if isinstance(value, bytes) else json.dumps(value).encode()) + b"\n\n")

    def drop(self) -> None:
        """Cut the connection, without the end that TCP has for it."""
        self._writer.transport.abort()


Scenario = Callable[[ReplyWriter, HostileRequest], Awaitable[None]]
SCENARIOS: dict[str, Scenario] = {}


def scenario(act: Scenario) -> Scenario:
    """Register a function by its name, with hyphens."""
    SCENARIOS[act.__name__.replace("_", "-")] = act
    return act


def piece(text: str | None = None, finish: str | None = None, **fields: Any) -> dict[str, Any]:
    """One event of a streamed chat completion; fields go into its delta."""
    delta = {"content": text, **fields} if text is not None else fields
    choice = {"index": 0, "delta": delta, "finish_reason": finish}
    return {"id": "c1", "object": "chat.completion.chunk", "model": MODEL, "choices": [choice]}


def usage(prompt: int = 9, completion: int = 3) -> dict[str, Any]:
    counts = {"prompt_tokens": prompt, "completion_tokens": completion, "total_tokens": prompt + completion}
    return {"id": "c1", "object": "chat.completion.chunk", "model": MODEL, "choices": [], "usage": counts}


def whole(text: str, prompt: int = 9, completion: int = 3, model: str = MODEL) -> dict[str, Any]:
    """A chat completion that is not streamed."""
    choice = {"index": 0, "message": {"role": "assistant", "content": text}, "finish_reason": "stop"}
    counts = {"prompt_tokens": prompt, "completion_tokens": completion, "total_tokens": prompt + completion}
    return {"id": "c1", "object": "chat.completion", "model": model, "choices": [choice], "usage": counts}


async def answer(reply: ReplyWriter, request: HostileRequest, text: str = "Lantern") -> None:
    """A sound answer, streamed where that was asked for."""
    if not request.streams:
        await reply.send(200, whole(text))
        return
    await reply.start_stream()
    for event in (piece(""), *(piece(part) for part in text), piece(finish="stop"), usage(), b"[DONE]"):
        await reply.event(event)


class HostileServer:
    """A running one. asked: by scenario, every request in order, those for the list of models too."""

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self.port = 0
        self._loop = loop
        self._listening: asyncio.Server | None = None
        self.asked: dict[str, list[HostileRequest]] = defaultdict(list)

    def address(self, name: str, host: str = "127.0.0.1") -> str:
        assert name in SCENARIOS, name
        return f"http://{host}:{self.port}/{name}"

    def completions(self, name: str) -> list[HostileRequest]:
        """What a scenario was asked to complete."""
        return [request for request in self.asked[name] if request.path.endswith("/completions")]

    async def listen(self, tls: ssl.SSLContext | None) -> None:
        self._listening = await asyncio.start_server(self._handle, "127.0.0.1", 0, ssl=tls)
        self.port = self._listening.sockets[0].getsockname()[1]

    def close(self) -> None:
        """Take no connection any more."""

        async def close() -> None:
            if self._listening:
                self._listening.close()

        asyncio.run_coroutine_threadsafe(close(), self._loop).result()

    async def _handle(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with suppress(ConnectionError, asyncio.IncompleteReadError):
            await self._answer(reader, writer)
        with suppress(ConnectionError):
            writer.close()
            await writer.wait_closed()

    async def _answer(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        first = await reader.readexactly(1)
        reply = ReplyWriter(writer)
        if first == _TLS:
            await reply.send(400, {"error": {"message": "this is no TLS"}})
            return
        request = await _read(first, reader)
        name, _, path = request.path.lstrip("/").partition("/")
        request = request._replace(path=f"/{path}", number=len(self.completions(name)))
        self.asked[name].append(request)
        if request.path.endswith("/completions"):
            await SCENARIOS[name](reply, request)
        elif request.path.endswith("/models"):
            await reply.send(200, {"object": "list", "data": [{"id": MODEL, "object": "model"}]})
        else:
            await reply.send(404, {"error": {"message": "not found"}})


@contextmanager
def serve_hostile(tls: ssl.SSLContext | None = None) -> Iterator[HostileServer]:
    """A server in a thread, until the block ends."""
    loop, started = asyncio.new_event_loop(), threading.Event()
    server = HostileServer(loop)

    async def run(ended: asyncio.Event) -> None:
        await server.listen(tls)
        started.set()
        await ended.wait()
        tasks = asyncio.all_tasks() - {asyncio.current_task()}
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    ended = asyncio.Event()
    thread = threading.Thread(target=loop.run_until_complete, args=(run(ended),), daemon=True)
    thread.start()
    started.wait()
    try:
        yield server
    finally:
        server.close()
        loop.call_soon_threadsafe(ended.set)
        thread.join()
        loop.close()


async def _read(first: bytes, reader: asyncio.StreamReader) -> HostileRequest:
    head = (first + await reader.readuntil(b"\r\n\r\n")).decode("latin-1")
    line, *lines = head.rstrip().split("\r\n")
    method, path, _ = line.split(" ", 2)
    headers = {name.lower(): value.strip() for name, _, value in (one.partition(":") for one in lines)}
    raw = await reader.readexactly(int(headers.get("content-length", "0")))
    return HostileRequest(method, path, headers, json.loads(raw) if raw else None)
