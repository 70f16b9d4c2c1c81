"""A server that misbehaves, for all tests here, and the key that is sent to it."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

import tests.inference.remote.hostile_scenarios  # noqa: F401  registers what it can do wrong
from tests.inference.remote.asking import KEY, KEY_VARIABLE
from tests.inference.remote.hostile_server import HostileServer, serve_hostile


@pytest.fixture
def hostile(monkeypatch: pytest.MonkeyPatch) -> Iterator[HostileServer]:
    monkeypatch.setenv(KEY_VARIABLE, KEY)
    with serve_hostile() as server:
        yield server
