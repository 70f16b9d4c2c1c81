"""What a server can do wrong, one function each; importing it registers them."""

from __future__ import annotations

import asyncio
import gzip
import io
import json
from email.utils import formatdate

from tests.inference.remote.hostile_server import (
    MODEL,
    SCENARIOS,
    HostileRequest,
    ReplyWriter,
    answer,
    piece,
    scenario,
    usage,
    whole,
)

SECONDS = 7
DATE = 2_000_000_000
"""Seconds since 1970, far ahead of any clock that a test shows the client."""
LONG = 50 * 2**20
BOMB = 512 * 2**20


@scenario
async def fine(reply: ReplyWriter, request: HostileRequest) -> None:
    await answer(reply, request)


# ---- refusals and retries


@scenario
async def busy_seconds(reply: ReplyWriter, request: HostileRequest) -> None:
    await _busy(reply, request, {"Retry-After": str(SECONDS)})


@scenario
async def busy_date(reply: ReplyWriter, request: HostileRequest) -> None:
    await _busy(reply, request, {"Retry-After": formatdate(DATE, usegmt=True)})


@scenario
async def busy_silent(reply: ReplyWriter, request: HostileRequest) -> None:
    await _busy(reply, request, {})


@scenario
async def busy_nonsense(reply: ReplyWriter, request: HostileRequest) -> None:
    await _busy(reply, request, {"Retry-After": "-1e999 parsecs"})


async def _busy(reply: ReplyWriter, request: HostileRequest, headers: dict[str, str]) -> None:
    """429 twice, then an answer."""
    if request.number < 2:
        await reply.send(429, {"error": {"message": "slow down"}}, headers)
    else:
        await answer(reply, request)


@scenario
async def busy_for_ever(reply: ReplyWriter, request: HostileRequest) -> None:
    await reply.send(429, {"error": {"message": "slow down"}}, {"Retry-After": "1"})


@scenario
async def busy_too_long(reply: ReplyWriter, request: HostileRequest) -> None:
    await reply.send(429, {"error": {"message": "come back tomorrow"}}, {"Retry-After": "86400"})


@scenario
async def fails_once(reply: ReplyWriter, request: HostileRequest) -> None:
    if request.number == 0:
        await reply.send(500, {"error": {"message": "out of memory"}})
    else:
        await answer(reply, request)


@scenario
async def fails_for_ever(reply: ReplyWriter, request: HostileRequest) -> None:
    await reply.send(500, {"error": {"message": "out of memory"}})


@scenario
async def refuses(reply: ReplyWriter, request: HostileRequest) -> None:
    await reply.send(400, {"error": {"message": "temperature must be 1"}})


@scenario
async def echoes_the_key(reply: ReplyWriter, request: HostileRequest) -> None:
    """A refusal that repeats all that it was sent, in every place an error may stand."""
    sent = json.dumps(dict(request.headers))
    await reply.send(401, {"error": {"message": f"bad key: {sent}", "param": sent}, "detail": sent, "message": sent})


@scenario
async def echoes_the_key_in_a_stream(reply: ReplyWriter, request: HostileRequest) -> None:
    await reply.start_stream()
    await reply.event(piece("Lan"))
    await reply.event({"error": {"message": f"upstream said: {request.headers.get('authorization')}", "code": 500}})


@scenario
async def redirects(reply: ReplyWriter, request: HostileRequest) -> None:
    """To the same server under another name, where a scenario of its own takes down what arrives."""
    port = request.headers["host"].rpartition(":")[2]
    await reply.send(307, b"", {"Location": f"http://localhost:{port}/fine/v1/chat/completions"})


# ---- connections that end


@scenario
async def drops_at_once(reply: ReplyWriter, request: HostileRequest) -> None:
    reply.drop()


@scenario
async def drops_in_the_body(reply: ReplyWriter, request: HostileRequest) -> None:
    """Half of an answer, whose whole length was promised; a stream in the middle of an event."""
    raw = json.dumps(piece("Lantern") if request.streams else whole("Lantern")).encode()
    kind = "text/event-stream" if request.streams else "application/json"
    await reply.start(200, {"Content-Type": kind, "Content-Length": str(len(raw) + 500)})
    if request.streams:
        await reply.event(piece("Lan"))
    await reply.write(raw[: len(raw) // 2])
    reply.drop()


@scenario
async def ends_early(reply: ReplyWriter, request: HostileRequest) -> None:
    """A stream that ends soundly, but without a reason why."""
    if not request.streams:
        await reply.send(200, {"id": "c1", "choices": []})
        return
    await reply.start_stream()
    await reply.event(piece("Lan"))


@scenario
async def empty_body(reply: ReplyWriter, request: HostileRequest) -> None:
    await reply.send(200, b"")


# ---- bodies that are none


@scenario
async def error_in_a_stream(reply: ReplyWriter, request: HostileRequest) -> None:
    await reply.start_stream()
    await reply.event(piece("Lan"))
    await reply.event({"error": {"message": "the context is full", "type": "server_error", "code": 500}})


@scenario
async def invalid_json(reply: ReplyWriter, request: HostileRequest) -> None:
    await reply.start_stream()
    await reply.event(piece("Lan"))
    await reply.event(b'{"choices": [{"delta": {"content": ')


@scenario
async def web_page(reply: ReplyWriter, request: HostileRequest) -> None:
    await reply.send(200, b"<!doctype html><title>Sign in</title>", {"Content-Type": "text/html"})


@scenario
async def deep_json(reply: ReplyWriter, request: HostileRequest) -> None:
    await reply.start_stream()
    await reply.event(b"[" * 200_000)


@scenario
async def wrong_types(reply: ReplyWriter, request: HostileRequest) -> None:
    await reply.start_stream()
    await reply.event({"choices": [{"index": "zero", "delta": {"content": {"text": 3}}, "finish_reason": 7}]})


@scenario
async def long_line(reply: ReplyWriter, request: HostileRequest) -> None:
    """One line of 50 MB, without an end."""
    await reply.start_stream()
    await reply.write(b'data: {"choices": [{"index": 0, "delta": {"content": "')
    block = b"x" * 2**20
    for _ in range(LONG // len(block)):
        await reply.write(block)


@scenario
async def gzip_bomb(reply: ReplyWriter, request: HostileRequest) -> None:
    """Half a megabyte that unpacks to half a gigabyte."""
    packed = io.BytesIO()
    with gzip.GzipFile(fileobj=packed, mode="wb", compresslevel=9) as file:
        file.write(b'{"error": "')
        block = b"x" * 2**20
        for _ in range(BOMB // len(block)):
            file.write(block)
    await reply.send(200, packed.getvalue(), {"Content-Encoding": "gzip"})


# ---- answers that are sound, though unusual


@scenario
async def split_utf8(reply: ReplyWriter, request: HostileRequest) -> None:
    """A stream whose writes end within characters."""
    await reply.start_stream()
    events = [piece("Grüße "), piece("an 山田🙂"), piece(finish="stop"), usage()]
    raw = b"".join(b"data: " + json.dumps(one, ensure_ascii=False).encode() + b"\n\n" for one in events)
    for byte in raw + b"data: [DONE]\n\n":
        await reply.write(bytes([byte]))
        await asyncio.sleep(0)


@scenario
async def comments(reply: ReplyWriter, request: HostileRequest) -> None:
    """Comments, other fields, CRLF, and an event whose data stands in two lines."""
    await reply.start_stream()
    await reply.write(b": keep-alive\r\n\r\n:\r\nevent: message\r\nid: 1\r\nretry: 10\r\n")
    await reply.write(b"data: " + json.dumps(piece("Lan")).encode() + b"\r\n\r\n: ping\n\n")
    first, _, rest = json.dumps(piece("tern")).partition(", ")
    await reply.write(f"data: {first},\ndata: {rest}\n\n".encode())
    await reply.write(b"data:" + json.dumps(piece(finish="stop")).encode() + b"\n\n")
    await reply.event(usage())
    await reply.event(b"[DONE]")


@scenario
async def no_usage(reply: ReplyWriter, request: HostileRequest) -> None:
    if not request.streams:
        await reply.send(200, {name: value for name, value in whole("Lantern").items() if name != "usage"})
        return
    await reply.start_stream()
    for event in (piece("Lantern"), piece(finish="stop"), b"[DONE]"):
        await reply.event(event)


@scenario
async def other_model(reply: ReplyWriter, request: HostileRequest) -> None:
    """The answer of another model than was asked for."""
    if not request.streams:
        await reply.send(200, whole("Lantern", model="impostor-7b"))
        return
    await reply.start_stream()
    for event in (piece("Lantern"), piece(finish="stop"), usage()):
        await reply.event({**event, "model": "impostor-7b"})
    await reply.event(b"[DONE]")


@scenario
async def cuts_the_prompt(reply: ReplyWriter, request: HostileRequest) -> None:
    """The prompt counts three tokens, whatever it was."""
    if not request.streams:
        await reply.send(200, whole("Lantern", prompt=3))
        return
    await reply.start_stream()
    for event in (piece("Lantern"), piece(finish="stop"), usage(prompt=3), b"[DONE]"):
        await reply.event(event)


@scenario
async def several_choices(reply: ReplyWriter, request: HostileRequest) -> None:
    """Choices that were not asked for, and one index twice in an event."""
    await reply.start_stream()
    await reply.event(piece("Lan"))
    other = {"index": 1, "delta": {"content": "Harbour"}, "finish_reason": None}
    first = {"index": 0, "delta": {"content": "te"}, "finish_reason": None}
    second = {"index": 0, "delta": {"content": "rn"}, "finish_reason": None}
    await reply.event({"id": "c1", "model": MODEL, "choices": [other, first, second]})
    await reply.event({"id": "c1", "model": MODEL, "choices": [{**other, "finish_reason": "length"}]})
    for event in (piece(finish="stop"), usage(), b"[DONE]"):
        await reply.event(event)


@scenario
async def late_reasoning(reply: ReplyWriter, request: HostileRequest) -> None:
    """Reasoning that goes on after the answer has begun, under both names it has."""
    await reply.start_stream()
    await reply.event(piece(reasoning_content="First, "))
    await reply.event(piece("Lan"))
    await reply.event(piece(reasoning="second thoughts"))
    for event in (piece("tern"), piece(finish="stop"), usage(completion=6), b"[DONE]"):
        await reply.event(event)


@scenario
async def tool_calls(reply: ReplyWriter, request: HostileRequest) -> None:
    """A tool's call in pieces, instead of an answer."""
    await reply.start_stream()
    call = {"index": 0, "id": "t1", "type": "function", "function": {"name": "look_up", "arguments": '{"city": '}}
    await reply.event(piece(None, tool_calls=[call]))
    await reply.event(piece(None, tool_calls=[{"index": 0, "function": {"arguments": '"Oslo"}'}}]))
    for event in (piece(finish="tool_calls"), usage(), b"[DONE]"):
        await reply.event(event)


@scenario
async def odd_numbers(reply: ReplyWriter, request: HostileRequest) -> None:
    """Counts that cannot be."""
    await reply.start_stream()
    await reply.event(piece("Lantern"))
    await reply.event(piece(finish="stop"))
    counts = {"prompt_tokens": -5, "completion_tokens": 10**30, "prompt_tokens_details": {"cached_tokens": "many"}}
    await reply.event({**usage(), "usage": counts})
    await reply.event(b"[DONE]")


@scenario
async def odd_logprobs(reply: ReplyWriter, request: HostileRequest) -> None:
    """Logprobs that no float has, and none where some should be."""
    await reply.start_stream()
    event = piece("Lantern")
    tops = [{"token": "Lan", "logprob": float("-inf"), "bytes": [999]}, {"token": None, "logprob": "low"}, 7]
    odd = [{"token": "Lan", "logprob": float("nan"), "top_logprobs": tops}, {"token": "tern"}, "x", {"logprob": 1e400}]
    event["choices"][0]["logprobs"] = {"content": odd}
    for one in (event, piece(finish="stop"), usage(), b"[DONE]"):
        await reply.event(one)


@scenario
async def half_characters(reply: ReplyWriter, request: HostileRequest) -> None:
    """A character as two halves in two events, which JSON allows, and a half of which nothing follows."""
    await reply.start_stream()
    for half in ("\ud83d", "\ude42", " and \ud83d"):
        await reply.event(piece(f"Lantern {half}"))
    for event in (piece(finish="stop"), usage(), b"[DONE]"):
        await reply.event(event)


@scenario
async def as_told(reply: ReplyWriter, request: HostileRequest) -> None:
    """The scenario that the last message names, behind `Scenario: `; a sound answer to any other."""
    said = request.body["messages"][-1]["content"] if isinstance(request.body, dict) else ""
    name = said.partition("Scenario: ")[2].strip()
    await SCENARIOS.get(name, answer)(reply, request)
