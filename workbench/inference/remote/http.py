"""The one way to a server: an address, its key, and nothing else.

No redirect is followed, no proxy is asked, no compressed answer is taken. The key is read from the environment, sent to
this address alone, and replaced in whatever the server says.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import re
import ssl
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from typing import Any, Literal, NamedTuple
from urllib.parse import quote, urlsplit

import httpx2

from workbench.inference.remote.clock import CLOCK, RequestClock
from workbench.inference.remote.errors import ServerError, explain_event, explain_status, read_retry_after
from workbench.inference.remote.keys import find_key
from workbench.inference.remote.sse import EventReader, JsonLineReader, LineTooLongError

LONGEST_BODY = 64 * 2**20
"""Bytes of an answer that is read as a whole."""

LONGEST_STREAM = 512 * 2**20
"""Bytes of an answer that is streamed."""

CONNECT_SECONDS = 10.0
SILENT_SECONDS = 600.0
"""How long a server may send nothing: it may load its model, or have others before us."""

_IDLE_SECONDS = 3.0
"""How long a connection is kept for a next request: llama-server closes its own after five."""

_HIDDEN = "[key]"
_HALF = re.compile(r"\\u[dD][89a-fA-F]")
"""JSON's spelling of half a character, of which only pairs can be written as UTF-8."""

_END_SECONDS = 0.25
"""How long the end of a stream is waited for behind its last event."""


class Reply(NamedTuple):
    """status: HTTP's. body: what the server reason, read as JSON; its text where it is none."""

    status: int
    body: Any
    headers: Mapping[str, str]


class ServerConnection:
    """An address. For the tasks of one event loop."""

    def __init__(
        self,
        address: str,
        key_variable: str,
        clock: RequestClock = CLOCK,
        transport: httpx2.AsyncBaseTransport | None = None,
    ) -> None:
        """Raises EngineError for a key that cannot be sent. transport: instead of the network."""
        self.address = address
        self.key_variable = key_variable
        self.is_api_root = False
        """whether the paths of OpenAI's API follow the address without a `/v1`"""
        self._clock = clock
        self._key = find_key(key_variable) if key_variable else ""
        own = {"Authorization": f"Bearer {self._key}"} if self._key else {}
        limits = httpx2.Limits(max_connections=None, max_keepalive_connections=256, keepalive_expiry=_IDLE_SECONDS)
        self._client = httpx2.AsyncClient(
            headers={"Accept-Encoding": "identity", "User-Agent": "workbench", **own},
            verify=ssl.create_default_context() if os.environ.get("SSL_CERT_FILE") else True,
            timeout=httpx2.Timeout(SILENT_SECONDS, connect=CONNECT_SECONDS, pool=None),
            limits=limits,
            follow_redirects=False,
            trust_env=False,
            transport=transport,
        )

    @property
    def has_path(self) -> bool:
        """Whether the address names more than a host, as hosted services' do."""
        return bool(urlsplit(self.address).path)

    def _locate(self, path: str) -> str:
        return self.address + (path.removeprefix("/v1") if self.is_api_root else path)

    async def get(self, path: str, seconds: float | None = None) -> Reply:
        """Raises ServerError where nobody answers; a status is no error here."""
        return await self._ask("GET", path, None, seconds)

    async def post(self, path: str, body: Mapping[str, Any], seconds: float | None = None) -> Reply:
        """As `get`."""
        return await self._ask("POST", path, body, seconds)

    async def post_checked(self, path: str, body: Mapping[str, Any]) -> Any:
        """The body of an answer with status 200. Raises ServerError for any other."""
        reply = await self.post(path, body)
        if reply.status != 200:
            raise self.explain(reply)
        return reply.body

    @asynccontextmanager
    async def stream(
        self, path: str, body: Mapping[str, Any], form: Literal["events", "lines"] = "events"
    ) -> AsyncIterator[AsyncIterator[dict[str, Any]]]:
        """The objects that a server streams, as they come. Raises ServerError, also while they are read."""
        request = self._client.build_request("POST", self._locate(path), json=body)
        try:
            response = await self._client.send(request, stream=True)
        except (httpx2.HTTPError, OSError, ValueError) as error:
            raise self._explain_transport(error) from None
        try:
            if response.status_code != 200:
                raise self.explain(await self._read_reply(response))
            self._check_plain(response)
            if "json" in response.headers.get("content-type", "") and form == "events":
                yield self._read_whole(response)  # it was not streamed
            else:
                yield self._read_events(response, EventReader() if form == "events" else JsonLineReader())
        finally:
            await response.aclose()

    def explain(self, reply: Reply) -> ServerError:
        """The error for an answer that is not 200."""
        error = explain_status(self.address, self.key_variable, reply.status, reply.body, reply.headers)
        error.retry_after = read_retry_after(reply.headers, self._clock.now())
        return error

    def hide(self, text: str) -> str:
        """A text without the key, however a server spells it."""
        for spelled in (self._key, quote(self._key, safe=""), json.dumps(self._key)[1:-1]) if self._key else ():
            text = text.replace(spelled, _HIDDEN)
        return text

    async def close(self) -> None:
        await self._client.aclose()

    async def _ask(self, method: str, path: str, body: Mapping[str, Any] | None, seconds: float | None) -> Reply:
        timeout = httpx2.Timeout(seconds) if seconds else httpx2.USE_CLIENT_DEFAULT
        for last in (False, True):
            request = self._client.build_request(method, self._locate(path), json=body, timeout=timeout)
            try:
                response = await self._client.send(request, stream=True)
                try:
                    return await self._read_reply(response)
                finally:
                    await response.aclose()
            except httpx2.RemoteProtocolError as error:
                if last:  # the first time, the server may have closed an old connection just when it was used again
                    raise self._explain_transport(error) from None
            except (httpx2.HTTPError, OSError, ValueError) as error:
                raise self._explain_transport(error) from None
        raise AssertionError("the second attempt returns or raises")

    async def _read_reply(self, response: httpx2.Response) -> Reply:
        self._check_plain(response)
        raw = bytearray()
        async for piece in response.aiter_raw():
            raw += piece
            if len(raw) > LONGEST_BODY:
                raise ServerError(
                    "broken", f"{self.address} answered with more than {LONGEST_BODY:,} bytes.", "", final=True
                )
        text = self.hide(raw.decode("utf-8", "replace"))  # a server may repeat what it was sent
        headers = {name.lower(): value for name, value in response.headers.items()}
        try:
            return Reply(response.status_code, _load(text), headers)
        except (ValueError, RecursionError):
            return Reply(response.status_code, text[:2000], headers)

    async def _read_whole(self, response: httpx2.Response) -> AsyncIterator[dict[str, Any]]:
        reply = await self._read_reply(response)
        if reply.body == "":
            raise self._broken("it is empty")
        yield self._check_object(reply.body)

    async def _read_events(
        self, response: httpx2.Response, reader: EventReader | JsonLineReader
    ) -> AsyncIterator[dict[str, Any]]:
        read, pieces = 0, response.aiter_raw()
        try:
            async for piece in pieces:
                read += len(piece)
                if read > LONGEST_STREAM:
                    raise self._broken(f"it streamed more than {LONGEST_STREAM:,} bytes", final=True)
                for data in reader.feed(piece):
                    if data.strip() == "[DONE]":
                        await _drain(pieces)
                        return
                    yield self._decode(data)
            for data in reader.flush():
                if data.strip() != "[DONE]":
                    yield self._decode(data)
        except LineTooLongError:
            raise self._broken("it sent a line without an end", final=True) from None
        except (httpx2.HTTPError, OSError) as error:
            raise self._explain_transport(error) from None

    def _decode(self, data: str) -> dict[str, Any]:
        try:
            return self._check_object(_load(self.hide(data)))
        except (ValueError, RecursionError):
            raise self._broken("it sent what is not JSON", self.hide(data)[:500]) from None

    def _check_object(self, value: Any) -> dict[str, Any]:
        if not isinstance(value, dict):
            raise self._broken("it sent what is not a JSON object", str(value)[:500])
        if value.get("error"):
            raise explain_event(self.address, value["error"])
        return value

    def _check_plain(self, response: httpx2.Response) -> None:
        encoding = response.headers.get("content-encoding", "identity").strip().lower()
        if encoding not in ("", "identity"):
            raise self._broken(f"it sent {encoding[:40]} where plain text was asked for", final=True)

    def _broken(self, what: str, details: str = "", final: bool = False) -> ServerError:
        message = f"The answer of {self.address} cannot be used: {what}."
        return ServerError("broken", message, "Look whether the address is a model server's.", details, final=final)

    def _explain_transport(self, error: Exception) -> ServerError:
        reason = self.hide(str(error)) or type(error).__name__
        if isinstance(error, (httpx2.ConnectError, httpx2.ConnectTimeout)):
            final = "certificate" in reason.lower() or "ssl" in reason.lower()
            hint = "Look whether the server runs and the address is right."
            hint = "Its certificate has to be valid for that name; SSL_CERT_FILE names further ones." if final else hint
            return ServerError("unreachable", f"{self.address} does not answer: {reason}.", hint, final=final)
        if isinstance(error, httpx2.TimeoutException):
            message = f"{self.address} sent nothing for too long ({type(error).__name__})."
            return ServerError("broken", message, "See the server's own log.")
        if isinstance(error, (httpx2.UnsupportedProtocol, httpx2.LocalProtocolError)):
            return ServerError("refused", f"{self.address} cannot be asked: {reason}.", "Correct the address.")
        return ServerError("broken", f"The connection to {self.address} broke off: {reason}.", "See the server's log.")


async def _drain(pieces: AsyncIterator[bytes]) -> None:
    """Read what a server sends behind its last event, mostly nothing: a stream that is read to its end leaves its
    connection to the next request."""
    with contextlib.suppress(TimeoutError, httpx2.HTTPError, OSError):
        async with asyncio.timeout(_END_SECONDS):
            async for _ in pieces:
                pass


def _load(text: str) -> Any:
    """A text as JSON. Raises ValueError or RecursionError. Half a character, which JSON can spell, becomes U+FFFD."""
    value = json.loads(text)
    return _replace_halves(value) if _HALF.search(text) else value


def _replace_halves(value: Any) -> Any:
    if isinstance(value, str):
        return value.encode("utf-16", "surrogatepass").decode("utf-16", "replace")
    if isinstance(value, list):
        return [_replace_halves(one) for one in value]
    if isinstance(value, dict):
        return {_replace_halves(name): _replace_halves(one) for name, one in value.items()}
    return value
