"""Log-likelihood of given answers on servers that only generate.

vLLM reports the log-probability of each prompt token. llama-server is made to write the answer: each of its tokens is
forced by a logit bias, and the log-probability that is reported for it is that of the model's own logits. A server that
can do neither is refused: a likelihood that is made up elsewhere would score like chance.
"""

from __future__ import annotations

import asyncio
import itertools
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from workbench.errors import EngineError
from workbench.inference.remote.card import LikelihoodMethod
from workbench.inference.remote.connection import ServerApi, find
from workbench.inference.remote.http import Reply
from workbench.inference.remote.prompt_ids import PromptIds, read_ids
from workbench.inference.types import Likelihood, LoglikelihoodRequest

FLOOR = -87.0
"""Below it a probability in float32 has lost its digits or is 0: such a log-probability is only an upper bound."""

_FORCE = 1e6
"""added to a logit: more than any model's logits differ by"""

METHODS: Mapping[str, LikelihoodMethod] = {"llama-server": "forced tokens", "vllm": "prompt logprobs"}
"""How each dialect can tell likelihoods; the others cannot."""


class _Token(NamedTuple):
    """What a server reports of one token of an answer. likeliest: greedy decoding writes it."""

    logprob: float
    likeliest: bool


async def loglikelihood(
    connection: ServerApi,
    method: LikelihoodMethod,
    request: LoglikelihoodRequest,
) -> tuple[Likelihood, ...]:
    """How likely the model finds each answer. method: of the card.

    Raises EngineError where the server cannot tell, or does not.
    """
    if method == "none":
        raise EngineError(
            f"{connection.address} cannot tell log-likelihoods: a scorer that needs them does not work with it.",
            "vLLM and llama-server can. Use a scorer that reads the answer, such as exact_match.",
        )
    measure = _force if method == "forced tokens" else _read_prompt
    fields = connection.adapter_fields(request.adapters)
    prompt = await read_ids(connection, request.request)
    encoded = await asyncio.gather(*(read_ids(connection, request.request, answer) for answer in request.answers))
    return tuple(
        await asyncio.gather(
            *(
                _score(connection, measure, prompt, ids, answer, fields)
                for ids, answer in zip(encoded, request.answers, strict=True)
            )
        )
    )


async def _score(
    connection: ServerApi, measure: Any, prompt: PromptIds, whole: PromptIds, answer: str, fields: dict[str, Any]
) -> Likelihood:
    shared = sum(1 for _ in itertools.takewhile(lambda pair: pair[0] == pair[1], zip(prompt, whole, strict=False)))
    size = len(answer.encode("utf-8", "replace"))
    if not shared:
        raise EngineError("The conversation is empty.", "Write something into the prompt.")
    tokens: Sequence[_Token] = await measure(connection, whole, shared, fields)
    return Likelihood(
        sum(max(token.logprob, FLOOR) for token in tokens),
        len(tokens),
        size,
        all(token.likeliest for token in tokens),
        is_bound=any(token.logprob <= FLOOR for token in tokens),
    )


async def _force(connection: ServerApi, ids: PromptIds, start: int, fields: dict[str, Any]) -> list[_Token]:
    """One request a token, one after the other: the server's prefix cache has what the next one begins with."""
    found = []
    for position in range(start, len(ids)):
        reply = await connection.post(
            "/completion",
            {
                "prompt": list(ids[:position]),
                "n_predict": 1,
                "temperature": 0.0,
                "samplers": ["temperature"],
                "n_probs": 1,
                "post_sampling_probs": False,
                "logit_bias": [[ids[position], _FORCE]],
                "cache_prompt": not fields,  # with adapters, prefixes of one are kept for another
                "stream": False,
                **fields,
            },
        )
        found.append(_read_forced(connection, reply, ids[position]))
    return found


def _read_forced(connection: ServerApi, reply: Reply, token: int) -> _Token:
    reported = find(reply.body, "completion_probabilities", 0)
    best = find(reported, "top_logprobs", 0)
    if reply.status != 200 or not isinstance(reported, dict) or reported.get("id") != token:
        raise EngineError(
            f"{connection.address} did not write the token it was reported to (status {reply.status}).",
            "Its log-likelihoods cannot be read. Use a scorer that reads the answer.",
            str(reply.body)[:500],
        )
    logprob = reported.get("logprob")
    if not isinstance(logprob, (int, float)):
        raise EngineError(f"{connection.address} reports no log-probability.", "Update the server.")
    return _Token(float(logprob), isinstance(best, dict) and best.get("id") == token)


async def _read_prompt(connection: ServerApi, ids: PromptIds, start: int, fields: dict[str, Any]) -> list[_Token]:
    reply = await connection.post(
        "/v1/completions",
        {
            "model": connection.model_name,
            "prompt": list(ids),
            "max_tokens": 1,
            "temperature": 0.0,
            "prompt_logprobs": 1,
            "add_special_tokens": False,
            "stream": False,
            **fields,
        },
    )
    reported = find(reply.body, "choices", 0, "prompt_logprobs")
    if reply.status != 200 or not isinstance(reported, list) or len(reported) != len(ids):
        raise EngineError(
            f"{connection.address} reports no log-probabilities of the prompt (status {reply.status}).",
            "Its log-likelihoods cannot be read. Use a scorer that reads the answer.",
            str(reply.body)[:500],
        )
    return [_read_ranked(connection, reported[at], ids[at]) for at in range(start, len(ids))]


def _read_ranked(connection: ServerApi, reported: Any, token: int) -> _Token:
    own = reported.get(str(token)) if isinstance(reported, dict) else None
    logprob = own.get("logprob") if isinstance(own, dict) else None
    if not isinstance(logprob, (int, float)):
        raise EngineError(
            f"{connection.address} leaves out the log-probability of a prompt token.", "Update the server."
        )
    return _Token(float(logprob), isinstance(own, dict) and own.get("rank") == 1)
