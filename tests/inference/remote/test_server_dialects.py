"""What each dialect sends, and how it reads what comes."""

from __future__ import annotations

import json
from typing import Any, NamedTuple

import pytest

from workbench.inference.remote.dialects.protocol import DialectRequest, StreamedAnswer
from workbench.inference.remote.dialects.registry import find_dialect, server_dialects
from workbench.inference.remote.server_model import ServerAdapter, ServerModel
from workbench.inference.sampling_fields import FIELDS
from workbench.inference.types import GenerateRequest, Sampling
from workbench.models.reference import Adapter, Applied
from workbench.prompting.prompt import Message

ADAPTERS = (ServerAdapter("calm", 0), ServerAdapter("brief", 1))
MODEL = ServerModel("tiny", "", context_tokens=4096, adapters=ADAPTERS)
TALK = (Message("system", "Be kind."), Message("user", "Hi"))


class ReadText(NamedTuple):
    answer: str
    thinking: str
    facts: StreamedAnswer


def ask(messages: tuple[Message, ...] = TALK, sampling: Sampling = Sampling(), **fields: Any) -> DialectRequest:
    return DialectRequest(GenerateRequest(1, messages, sampling, **fields), MODEL)


def body(dialect: str, request: DialectRequest) -> dict[str, Any]:
    return find_dialect(dialect).call(request).body


def refusals(dialect: str, request: DialectRequest) -> str:
    return "; ".join(find_dialect(dialect).check(request))


def read(dialect: str, events: list[dict[str, Any]], stops: bool = False) -> ReadText:
    facts = StreamedAnswer(stops=stops)
    pieces = [piece for event in events for piece in find_dialect(dialect).read(event, facts)]
    texts = ["".join(piece.text for piece in pieces if piece.thinking is thinking) for thinking in (False, True)]
    return ReadText(*texts, facts)


def test_there_is_a_dialect_for_every_name_that_a_bench_may_give() -> None:
    assert set(server_dialects()) == {"openai", "vllm", "llama-server", "ollama", "lmstudio", "sglang"}


CHANGED: dict[str, Any] = {
    "stop": ("END",), "bad_words": ("no",), "logit_bias": {"id:7": 2.0}, "dry_sequence_breakers": ("x",),
    "thinking": "off", "reasoning_effort": "low", "grammar": "root ::= 'a'", "regex": "a+",
    "json_schema": {"type": "object"}, "ignore_eos": True, "seed": 5,
}  # fmt: skip


@pytest.mark.parametrize("dialect", sorted(server_dialects()))
@pytest.mark.parametrize("field", [field.name for field in FIELDS])
def test_a_field_that_is_set_is_sent_or_refused_by_its_name(dialect: str, field: str) -> None:
    value = CHANGED.get(field, 3 if isinstance(getattr(Sampling(), field), int) else 0.7)
    others = {"dry_multiplier": 0.8} if field.startswith("dry_") else {}  # without it the others mean nothing
    request = ask(sampling=Sampling(**{**others, field: value}))
    refused = refusals(dialect, request)
    usual = json.dumps(body(dialect, ask(sampling=Sampling(**others))), sort_keys=True)
    sent = json.dumps(body(dialect, request), sort_keys=True)
    if refused:
        assert f"{field} " in refused
    elif field != "repeat_last_n":  # which means nothing without a penalty that looks at it
        assert sent != usual, f"{dialect} drops {field} in silence"


@pytest.mark.parametrize("dialect", sorted(server_dialects()))
def test_greedy_decoding_is_said_in_every_field_that_could_say_otherwise(dialect: str) -> None:
    """Servers put values of their own in place of what is not sent."""
    sent = body(dialect, ask())
    options = sent.get("options", sent)
    for field, wire in find_dialect(dialect).fields.items():  # type: ignore[attr-defined]
        assert options[wire] == getattr(Sampling(), field)
    assert 256 in (options.get("max_tokens"), options.get("num_predict"), options.get("n_predict"))
    assert options["seed"] == 0


def test_fields_that_are_left_to_the_server_are_not_sent() -> None:
    left_out = ask()._replace(left_out=frozenset({"temperature", "seed"}))
    for dialect in server_dialects():
        sent = body(dialect, left_out)
        assert not {"temperature", "seed"} & {*sent, *sent.get("options", {})}, dialect


def test_llama_server_is_told_every_adapter_the_base_too() -> None:
    assert body("llama-server", ask())["lora"] == [{"id": 0, "scale": 0.0}, {"id": 1, "scale": 0.0}]
    applied = (Applied(Adapter("brief", format="remote"), 0.5),)
    assert body("llama-server", ask(adapters=applied))["lora"] == [{"id": 0, "scale": 0.0}, {"id": 1, "scale": 0.5}]
    assert not body("llama-server", ask())["cache_prompt"]
    bare = ask()._replace(model=ServerModel("tiny", ""))
    assert "lora" not in body("llama-server", bare)
    assert body("llama-server", bare)["cache_prompt"]


@pytest.mark.parametrize(("dialect", "name"), [("vllm", "calm"), ("sglang", "tiny:calm"), ("ollama", "calm")])
def test_elsewhere_an_adapter_is_part_of_the_models_name(dialect: str, name: str) -> None:
    applied = (Applied(Adapter("calm", format="remote")),)
    assert body(dialect, ask(adapters=applied))["model"] == name
    assert body(dialect, ask())["model"] == "tiny"
    assert "scale of calm is 0.5" in refusals(dialect, ask(adapters=(Applied(applied[0].adapter, 0.5),)))


@pytest.mark.parametrize("dialect", sorted(server_dialects()))
def test_an_adapter_that_the_server_does_not_have_is_refused_by_name(dialect: str) -> None:
    assert "gone" in refusals(dialect, ask(adapters=(Applied(Adapter("gone", format="remote")),)))


def test_an_assistant_turn_is_continued_where_that_can_be_said() -> None:
    begun = (*TALK, Message("assistant", "Hel"))
    for dialect in ("vllm", "sglang", "llama-server"):
        sent = body(dialect, ask(begun))
        assert (sent["continue_final_message"], sent["add_generation_prompt"]) == (True, False), dialect
        assert "continue_final_message" not in body(dialect, ask())
    for dialect in ("openai", "lmstudio"):
        assert "cannot continue it" in refusals(dialect, ask(begun))


def test_a_completion_goes_without_a_chat_template() -> None:
    calls = {name: one.call(ask(mode="completion")) for name, one in server_dialects().items()}
    assert {call.path for call in calls.values()} == {"/v1/completions", "/completion", "/api/generate"}
    assert {call.body["prompt"] for call in calls.values()} == {"Be kind.Hi"}
    assert calls["ollama"].body["raw"]


def test_ollama_is_told_the_context_and_may_not_cut_the_prompt() -> None:
    sent = body("ollama", ask())
    assert sent["options"]["num_ctx"] == 4096
    assert (sent["truncate"], sent["shift"]) == (False, False)


def test_reasoning_models_of_a_service_know_the_limit_by_another_name() -> None:
    sent = body("openai", ask()._replace(max_completion_tokens=True))
    assert (sent["max_completion_tokens"], "max_tokens" in sent) == (256, False)


def test_variables_of_the_template_are_sent_or_refused() -> None:
    request = ask(sampling=Sampling(thinking="off"), chat_template_kwargs='{"date": "2026-11-30"}')
    for dialect in ("vllm", "sglang", "llama-server"):
        kwargs = body(dialect, request)["chat_template_kwargs"]
        assert (kwargs["date"], kwargs["enable_thinking"]) == ("2026-11-30", False)
    assert "chat_template_kwargs" in refusals("openai", ask(chat_template_kwargs='{"a": 1}'))


def test_a_chat_template_of_ones_own_is_sent_or_refused() -> None:
    own = ask()._replace(chat_template="{{ messages }}")
    assert body("vllm", own)["chat_template"] == "{{ messages }}"
    assert "chat_template" not in body("vllm", ask())
    for dialect in server_dialects().keys() - {"vllm"}:
        assert "a chat_template is set" in refusals(dialect, own)


def delta(content: str = "", finish: str | None = None, index: int = 0, **more: Any) -> dict[str, Any]:
    return {"model": "m", "choices": [{"index": index, "delta": {"content": content, **more}, "finish_reason": finish}]}


def test_chat_chunks_are_read_with_their_counts() -> None:
    usage = {"prompt_tokens": 9, "completion_tokens": 4, "prompt_tokens_details": {"cached_tokens": 5},
             "completion_tokens_details": {"reasoning_tokens": 2}}  # fmt: skip
    events = [
        delta(reasoning_content="Hm."),
        delta("Hel"),
        delta("another", index=1),
        delta("lo", "stop"),
        {"choices": [], "usage": usage, "system_fingerprint": "b1"},
    ]
    answer, thinking, facts = read("openai", events)
    assert (answer, thinking, facts.model, facts.fingerprint) == ("Hello", "Hm.", "m", "b1")
    assert (facts.prompt_tokens, facts.cached_tokens, facts.output_tokens, facts.thinking_tokens) == (9, 5, 4, 2)
    assert facts.stop_reason == "eos"


@pytest.mark.parametrize(
    ("finish", "stops", "reason"),
    [("stop", False, "eos"), ("stop", True, "stop"), ("length", True, "length"), ("tool_calls", False, "eos")],
)
def test_the_reasons_of_an_end(finish: str, stops: bool, reason: str) -> None:
    assert read("openai", [delta("x", finish)], stops).facts.stop_reason == reason


def test_vllm_says_which_stop_string_it_was() -> None:
    event = delta("x", "stop")
    event["choices"][0]["stop_reason"] = None
    assert read("vllm", [event], stops=True).facts.stop_reason == "eos"
    event["choices"][0]["stop_reason"] = "END"
    assert read("vllm", [event], stops=True).facts.stop_reason == "stop"


def test_what_a_filter_withholds_is_no_answer() -> None:
    assert read("openai", [delta("x", "content_filter")]).facts.refusal
    assert read("openai", [delta(refusal="No.")]).facts.refusal == "No."


def test_logprobs_are_read_in_the_forms_there_are() -> None:
    token = {"token": "é", "bytes": [195, 169], "logprob": -0.5, "top_logprobs": [{"token": "x", "logprob": -1.0}]}
    event = delta("é")
    event["choices"][0]["logprobs"] = {"content": [token]}
    facts = StreamedAnswer()
    (piece,) = find_dialect("openai").read(event, facts)
    assert (piece.tokens[0].text, piece.tokens[0].logprob, piece.tokens[0].top_logprobs[0].text) == ("é", -0.5, "x")
    older = {"tokens": ["a"], "token_logprobs": [-0.25], "top_logprobs": [{"b": -2.0, "a": -0.25}]}
    (piece,) = find_dialect("vllm").read({"choices": [{"index": 0, "text": "a", "logprobs": older}]}, facts)
    assert [top.text for top in piece.tokens[0].top_logprobs] == ["a", "b"]
    native = {"content": "a", "completion_probabilities": [{"token": "a", "logprob": -0.1, "top_logprobs": []}]}
    (piece,) = find_dialect("llama-server").read(native, facts)
    assert piece.tokens[0].logprob == -0.1


def test_ollamas_lines_are_read_with_its_own_times() -> None:
    lines = [
        {"model": "q", "message": {"role": "assistant", "thinking": "Hm."}, "done": False},
        {"model": "q", "message": {"role": "assistant", "content": "Hi"}, "done": False},
        {"model": "q", "message": {"content": ""}, "done": True, "done_reason": "length",
         "load_duration": 2_000_000_000, "prompt_eval_count": 7, "prompt_eval_duration": 500_000_000, "eval_count": 3,
         "eval_duration": 250_000_000},
    ]  # fmt: skip
    answer, thinking, facts = read("ollama", lines)
    assert (answer, thinking, facts.stop_reason) == ("Hi", "Hm.", "length")
    assert (facts.prompt_tokens, facts.output_tokens, facts.cached_tokens) == (7, 3, None)
    assert (facts.load_seconds, facts.prompt_seconds, facts.decode_seconds) == (2.0, 0.5, 0.25)
