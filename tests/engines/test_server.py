"""How a server reads a conversation, asked of real HTTP servers on this machine."""

from __future__ import annotations

from typing import Any

import pytest
from http_fixture import Answers, serve
from hypothesis import given
from hypothesis import strategies as st

from workbench.engines.server import Server, _Reply, is_server
from workbench.errors import EngineError
from workbench.prompting.prompt import Message

MESSAGES = (Message("system", "Be kind."), Message("user", "Hi €"))
SECRET = "sk-very-secret"
LLAMA: Answers = {
    "/apply-template": (200, {"prompt": "<|user|>Hi €"}),
    "/tokenize": (200, {"tokens": [{"id": 3, "piece": "<|user|>"}, {"id": 9, "piece": [72, 105, 32, 226]}]}),
}


def test_llama_server_lays_out_and_then_tokenizes_with_the_token_it_puts_in_front() -> None:
    with serve(LLAMA) as (address, asked):
        found = Server(f"{address}/v1/").read(MESSAGES)
    assert (found.ids, found.pieces) == ((3, 9), ("<|user|>", "Hi �"))
    assert [path for path, _, _ in asked] == ["/apply-template", "/tokenize"]
    assert asked[0][2]["messages"] == [{"role": "system", "content": "Be kind."}, {"role": "user", "content": "Hi €"}]
    assert asked[1][2] == {"content": "<|user|>Hi €", "add_special": True, "parse_special": True, "with_pieces": True}


def test_vllm_tokenizes_a_conversation_at_once() -> None:
    answers: Answers = {
        "/tokenize": (200, {"count": 2, "tokens": [3, 9], "token_strs": ["<|user|>", "ĠHi"]}),
        "/detokenize": (200, {"prompt": "<|user|> Hi"}),
    }
    with serve(answers) as (address, asked):
        found = Server(address).read(MESSAGES)
    assert (found.text, found.ids) == ("<|user|> Hi", (3, 9))
    assert asked[1][2]["add_generation_prompt"]


@pytest.mark.parametrize(
    ("answers", "said"),
    [
        ({}, r"has no /apply-template \(status 404\) and no /tokenize"),
        ({"/apply-template": (401, {"error": "no key"})}, "asks for a key"),
        ({"/apply-template": (503, {"error": "Loading model"})}, "still loading"),
        ({"/apply-template": (302, {})}, "another address, which is not asked"),
        ({"/apply-template": (200, {"prompt": "x"})}, r"does not tell its tokens.*status 404"),
        ({"/apply-template": (200, {"prompt": "x"}), "/tokenize": (200, {"tokens": [1, 2]})}, "no ids with pieces"),
        ({"/apply-template": (200, b"\xff{"), "/tokenize": (200, b"[" * 50_000)}, "has no /apply-template"),
    ],
)
def test_a_server_that_cannot_tell_says_what_it_lacks(answers: Answers, said: str) -> None:
    with serve(answers) as (address, _), pytest.raises(EngineError, match=said) as raised:
        Server(address).read(MESSAGES)
    assert raised.value.hint
    assert address in raised.value.message


def test_a_key_goes_to_the_server_alone_and_is_never_shown(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MY_KEY", SECRET)

    def repeat(path: str, body: Any) -> tuple[int, Any]:
        return 500, {"error": f"what is {SECRET}?"}

    with serve(repeat) as (address, asked), pytest.raises(EngineError) as raised:
        Server(address, "MY_KEY").read(MESSAGES)
    assert {headers["Authorization"] for _, headers, _ in asked} == {f"Bearer {SECRET}"}
    error = raised.value
    assert SECRET not in f"{error.message}{error.hint}{error.details}"


def test_no_proxy_and_no_other_host_is_asked(monkeypatch: pytest.MonkeyPatch) -> None:
    with serve({}) as (proxy, to_proxy), serve(LLAMA) as (address, _):
        for name in ("http_proxy", "HTTP_PROXY", "all_proxy"):
            monkeypatch.setenv(name, proxy)
        assert Server(address).read(MESSAGES).ids == (3, 9)
    assert to_proxy == []


def test_a_server_that_is_not_there_is_told_as_such() -> None:
    with serve({}) as (address, _):
        pass
    with pytest.raises(EngineError, match="does not answer"):
        Server(address).read(MESSAGES)


@pytest.mark.parametrize("address", ["http://", "http://ada:pass@host:1", "http://host:port", "http://[", "http://h:0"])
def test_what_is_no_address_is_refused_and_a_password_in_it_not_shown(address: str) -> None:
    with pytest.raises(EngineError, match="no server's address") as raised:
        Server(address)
    assert "pass" not in raised.value.message


@given(st.binary(max_size=60))
def test_whatever_a_server_says_is_an_answer_or_one_message(raw: bytes) -> None:
    server = Server("http://127.0.0.1:1")
    server._ask = lambda path, body: _Reply(200, server._decode(raw))  # type: ignore[method-assign]
    with pytest.raises(EngineError):
        server.read(MESSAGES)


def test_addresses_are_told_from_models() -> None:
    assert is_server("HTTP://127.0.0.1:8080")
    assert not is_server("models/http.gguf")
