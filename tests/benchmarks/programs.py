"""llama-server as a contender: a server that has just started, and how long it takes over prompts."""

from __future__ import annotations

import contextlib
import http.client
import json
import time
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

from tests.benchmarks.contest import THREADS, Tokens
from tests.peers.launch import run_llama_server

_PATIENCE = 120.0


class Server:
    """A running llama-server with so many slots."""

    def __init__(self, port: int, slots: int) -> None:
        self._port = port
        self._slots = slots

    def write(self, prompts: Sequence[Tokens], new: int, adapters: Sequence[int] = ()) -> float:
        """Answer all prompts, as many at the same time as there are slots; seconds.

        adapters: the number of each prompt's.
        """
        started = time.perf_counter()
        with ThreadPoolExecutor(self._slots) as workers:
            requests = [self._request(prompt, new, adapters[place : place + 1]) for place, prompt in enumerate(prompts)]
            written = list(workers.map(self._ask, requests))
        seconds = time.perf_counter() - started
        assert all(count == new for count in written), written
        return seconds

    @staticmethod
    def _request(prompt: Tokens, new: int, adapter: Sequence[int]) -> bytes:
        asked: dict[str, Any] = {"prompt": prompt, "n_predict": new, "cache_prompt": True, "ignore_eos": True}
        asked |= {"temperature": 0.0, "samplers": ["temperature"]}
        if adapter:
            asked["lora"] = [{"id": number, "scale": 1.0} for number in adapter]
        return json.dumps(asked).encode()

    def _ask(self, asked: bytes) -> int:
        connection = http.client.HTTPConnection("127.0.0.1", self._port, timeout=_PATIENCE)
        connection.request("POST", "/completion", asked, {"Content-Type": "application/json"})
        found = json.loads(connection.getresponse().read())
        connection.close()
        count: int = found["tokens_predicted"]
        return count


@contextlib.contextmanager
def serve(model: Path, slots: int, adapters: Sequence[Path] = ()) -> Iterator[Server]:
    """A server that has just started. Raises Missing."""
    with run_llama_server(model, slots, 12288, adapters, threads=THREADS) as port:
        yield Server(port, slots)
