from __future__ import annotations

import json
from collections.abc import AsyncIterator

import httpx2
import msgspec
import pytest

from workbench.endpoint import make_endpoint
from workbench.errors import ServerMismatchError
from workbench.inference.client import gather_now
from workbench.inference.pool import Pool
from workbench.inference.remote.card import CapabilityCard, TokenCount
from workbench.inference.remote.clock import CLOCK
from workbench.inference.remote.engine import RemoteEngine
from workbench.inference.remote.server_model import ServerModel
from workbench.inference.remote.truncation import TruncationGuard, check_echo, count_least_tokens
from workbench.inference.types import GenerateRequest
from workbench.models.reference import Model
from workbench.prompting.prompt import Message


def _card(counted: int | None = 20, reported: int | None = 24, echoed: str = "qwen") -> CapabilityCard:
    return CapabilityCard("http://here", ServerModel("qwen", "ollama"), echoed, count=TokenCount(counted, reported))


def _request(text: str) -> GenerateRequest:
    return GenerateRequest(0, (Message("user", text),))


WORDS = _request("several words of a prompt " * 100)


def test_our_count_and_the_overhead_of_the_template_are_what_is_expected():
    guard = TruncationGuard(_card())
    guard.check(WORDS, 504, 500)
    guard.check(WORDS, 508, 500)


def test_a_cut_prompt_ends_the_run_with_both_counts():
    with pytest.raises(ServerMismatchError, match="cut the prompt: it read 256 tokens of one that has 504") as caught:
        TruncationGuard(_card()).check(WORDS, 256, 500)
    assert "num_ctx" in caught.value.hint


def test_a_system_prompt_of_the_servers_own_is_seen():
    with pytest.raises(ServerMismatchError, match="adds to the prompt: it read 560 tokens of one that has 504"):
        TruncationGuard(_card()).check(WORDS, 560, 500)


def test_only_prompts_longer_than_any_before_are_counted_again():
    guard = TruncationGuard(_card())
    assert guard.wants_count(WORDS)
    guard.check(WORDS, 504, 500)
    assert not guard.wants_count(WORDS)
    assert not guard.wants_count(_request("short"))
    assert guard.wants_count(_request("several words of a prompt " * 130))


def test_without_a_tokenizer_the_words_are_the_least():
    guard = TruncationGuard(_card(counted=None))
    assert not guard.wants_count(WORDS)
    guard.check(WORDS, 600)
    with pytest.raises(ServerMismatchError, match="it read 300 tokens of one that has at least 500"):
        guard.check(WORDS, 300)


def test_a_server_that_reports_nothing_proves_nothing():
    TruncationGuard(_card()).check(WORDS, 0, 500)


@pytest.mark.parametrize(("text", "least"), [("", 0), ("a b, c.", 3), ("x" * 33, 3), ("返金してください", 1)])
def test_the_least_number_of_tokens(text, least):
    assert count_least_tokens(text) == least


def test_another_model_in_the_middle_of_a_run_ends_it():
    check_echo(_card(), "qwen")
    check_echo(_card(), "")
    with pytest.raises(ServerMismatchError, match="Another model answered on http://here: 'llama', after 'qwen'"):
        check_echo(_card(), "llama")


class CuttingServer:
    """Ollama, as far as a short conversation goes: it reads the last 40 tokens of a prompt and reports just these."""

    def __init__(self) -> None:
        self.longest = 40

    def __call__(self, request: httpx2.Request) -> httpx2.Response:
        body = json.loads(request.content) if request.content else {}
        if request.url.path == "/api/tags":
            return _reply({"models": [{"name": "tiny"}]})
        if request.url.path != "/api/chat":
            return _reply({})
        read = min(sum(3 + len(turn["content"].split()) for turn in body["messages"]), self.longest)
        return _reply(
            {
                "model": "tiny",
                "message": {"content": "one two"},
                "done": True,
                "prompt_eval_count": read,
                "eval_count": 2,
            }
        )


def _reply(value: object) -> httpx2.Response:
    async def stream() -> AsyncIterator[bytes]:
        yield json.dumps(value).encode() + b"\n"

    return httpx2.Response(200, headers={"content-type": "application/x-ndjson"}, content=stream())


async def _count_words(tokenizer: str, request: GenerateRequest) -> int:
    assert tokenizer == "tiny.gguf"
    return sum(len(message.content.split()) for message in request.messages)


def _ask(text: str, tokenizer: str) -> str:
    endpoint = make_endpoint("http://there", "ollama", tokenizer=tokenizer)
    transport = httpx2.MockTransport(CuttingServer())
    count = _count_words if tokenizer else None
    pool = Pool(connect=lambda model, loop: RemoteEngine(model, loop, CLOCK, lambda _: transport, count=count))
    try:
        request = msgspec.structs.replace(_request(text), priority=1)
        return gather_now([pool.client(Model("m", format="remote", remote=endpoint)).complete(request)])[0].text
    finally:
        pool.close()


def test_a_tokenizer_of_this_machine_finds_the_smallest_cut():
    assert _ask("a few words", "tiny.gguf") == "one two"
    with pytest.raises(ServerMismatchError, match="cut the prompt: it read 40 tokens of one that has 53"):
        _ask("word " * 50, "tiny.gguf")


def test_without_one_a_small_cut_stays_below_the_certain():
    assert _ask("word " * 42, "") == "one two"
    with pytest.raises(ServerMismatchError, match="at least 90"):
        _ask("word " * 90, "")
