"""How a server reads a conversation: the text its template makes of it, and the tokens that text becomes.

llama-server tells it by `/apply-template` and `/tokenize`, vLLM by `/tokenize` alone. Nothing but the named host is
contacted: no redirect is followed and no proxy asked. Knows nothing of answers. A key is read from the environment,
sent to that host alone, and never shown.
"""

from __future__ import annotations

import contextlib
import json
import os
import re
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple
from urllib.parse import SplitResult, urlsplit, urlunsplit

from workbench.engines.engine import Tokenized
from workbench.errors import EngineError
from workbench.prompting.prompt import Message

KEY_VARIABLE = "WORKBENCH_SERVER_KEY"
"""The environment variable that holds a server's key, unless another one is named."""

_LONGEST_ANSWER = 64 * 2**20
_SECONDS = 30.0


class _Reply(NamedTuple):
    """status: HTTP's. body: what the server said, read as JSON; its text where it is none."""

    status: int
    body: Any


def is_server(name: str) -> bool:
    """Whether a name is the address of a server rather than that of a model."""
    return name.lower().startswith(("http://", "https://"))


class Server:
    """A server under an address such as http://127.0.0.1:8080. Raises EngineError for one that is none."""

    def __init__(self, address: str, key_variable: str = KEY_VARIABLE) -> None:
        parts = _split(address)
        if parts is None:
            raise EngineError(
                f"{_without_secrets(address)} is no server's address.",
                f"Expected one such as http://127.0.0.1:8080. A key belongs into the environment, as {key_variable}.",
            )
        path = parts.path.rstrip("/").removesuffix("/v1")
        self.address = urlunsplit((parts.scheme, parts.netloc, path, "", ""))
        self._key_variable = key_variable
        self._key = os.environ.get(key_variable, "")

    def read(self, messages: Sequence[Message]) -> Tokenized:
        """A conversation exactly as the server's model would see it.

        Raises EngineError: not there, refuses, or has no way to tell.
        """
        turns = [{"role": message.role, "content": message.content} for message in messages]
        laid = self._ask("/apply-template", {"messages": turns})
        if laid.status == 200 and isinstance(laid.body, dict) and isinstance(laid.body.get("prompt"), str):
            return self._tokenize_text(laid.body["prompt"])
        found = self._ask("/tokenize", {"messages": turns, "add_generation_prompt": True, "return_token_strs": True})
        if found.status == 200 and isinstance(found.body, dict) and _are_ids(found.body.get("tokens")):
            return self._spell(found.body["tokens"], found.body.get("token_strs"))
        self._check_known(laid)
        raise EngineError(
            f"{self.address} does not tell how it reads a conversation: it has no /apply-template"
            f" (status {laid.status}) and no /tokenize for one (status {found.status}).",
            "llama-server and vLLM do. Of other servers only the answers can be compared.",
            f"{laid.body}\n{found.body}",
        )

    def _tokenize_text(self, text: str) -> Tokenized:
        """llama-server's tokens of a text that its template made, with the one it puts in front by itself."""
        asked = {"content": text, "add_special": True, "parse_special": True, "with_pieces": True}
        reply = self._ask("/tokenize", asked)
        self._check_known(reply)
        listed = reply.body.get("tokens") if isinstance(reply.body, dict) else None
        if reply.status != 200 or not isinstance(listed, list) or not all(map(_is_spelled, listed)):
            raise EngineError(
                f"{self.address} lays a conversation out, but does not tell its tokens: /tokenize gave no ids with"
                f" pieces (status {reply.status}).",
                "Update the server: llama-server does since 2024.",
                str(reply.body)[:500],
            )
        spelled = [_bytes(token["piece"]) for token in listed]
        pieces = tuple(piece.decode("utf-8", "replace") for piece in spelled)
        ids = tuple(int(token["id"]) for token in listed)
        return Tokenized(b"".join(spelled).decode("utf-8", "replace"), ids, pieces)

    def _spell(self, ids: list[int], strings: object) -> Tokenized:
        """vLLM's tokens, whose text is asked for separately."""
        reply = self._ask("/detokenize", {"tokens": ids})
        text = reply.body.get("prompt") if isinstance(reply.body, dict) else None
        known = isinstance(strings, list) and len(strings) == len(ids)
        pieces = (
            tuple(map(str, strings)) if known and isinstance(strings, list) else tuple(f"#{token}" for token in ids)
        )
        return Tokenized(text if isinstance(text, str) else "".join(pieces), tuple(ids), pieces)

    def _check_known(self, reply: _Reply) -> None:
        if reply.status in (401, 403):
            raise EngineError(
                f"{self.address} asks for a key, or refuses the one it was given (status {reply.status}).",
                f"Put it into the environment, as {self._key_variable}.",
            )
        if reply.status == 503:
            raise EngineError(f"{self.address} is still loading its model.", "Try again in a moment.")
        if 300 <= reply.status < 400:
            raise EngineError(
                f"{self.address} sends on to another address, which is not asked.", "Name the address it points to."
            )

    def _ask(self, path: str, body: Mapping[str, Any]) -> _Reply:
        from http.client import HTTPConnection, HTTPException, HTTPSConnection

        headers = {"Content-Type": "application/json", "Accept": "application/json"}
        if self._key:
            headers["Authorization"] = f"Bearer {self._key}"
        parts = urlsplit(self.address)
        kind = HTTPSConnection if parts.scheme == "https" else HTTPConnection
        try:
            with contextlib.closing(kind(parts.hostname or "", parts.port, timeout=_SECONDS)) as connection:
                connection.request("POST", parts.path + path, json.dumps(body), headers)
                reply = connection.getresponse()
                return _Reply(reply.status, self._decode(reply.read(_LONGEST_ANSWER)))
        except (OSError, HTTPException, ValueError) as error:
            raise EngineError(
                f"{self.address} does not answer: {self._hide(str(error)) or type(error).__name__}.",
                "Look whether the server runs and the address is right.",
            ) from error

    def _decode(self, raw: bytes) -> Any:
        text = self._hide(raw.decode("utf-8", "replace"))  # a server may repeat what it was sent
        try:
            return json.loads(text)
        except (ValueError, RecursionError):
            return text[:500]

    def _hide(self, text: str) -> str:
        return text.replace(self._key, "…") if self._key else text


def _split(address: str) -> SplitResult | None:
    """The parts of an address; None for one that has no host or no sound port, or has a name and a password in it."""
    try:
        parts = urlsplit(address)
        sound = bool(parts.hostname) and parts.port != 0 and parts.username is None and parts.password is None
    except ValueError:
        return None
    return parts if sound else None


def _are_ids(value: object) -> bool:
    return isinstance(value, list) and bool(value) and all(type(token) is int for token in value)


def _is_spelled(token: object) -> bool:
    if not isinstance(token, dict) or type(token.get("id")) is not int:
        return False
    piece = token.get("piece")
    return isinstance(piece, str) or (
        isinstance(piece, list) and all(isinstance(byte, int) and 0 <= byte < 256 for byte in piece)
    )


def _bytes(piece: str | list[int]) -> bytes:
    """A token's piece: text, or bytes where it holds a part of a character."""
    return piece.encode("utf-8", "replace") if isinstance(piece, str) else bytes(piece)


def _without_secrets(address: str) -> str:
    """An address as it may be shown: without a name and a password in it."""
    return re.sub(r"//[^/@]*@", "//…@", address)
