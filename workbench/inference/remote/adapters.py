"""Adapters on servers: whether they act, and how vLLM and SGLang load one of this machine."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import msgspec

from workbench.errors import EngineError, ModelError, ServerMismatchError
from workbench.inference.remote.card import AdapterProof
from workbench.inference.remote.connection import Connection, RemoteAnswer, ServerApi
from workbench.inference.types import GenerateRequest, Sampling, TokenLogprob
from workbench.models.reference import Adapter, Applied
from workbench.prompting.prompt import Message

PROMPTS = (
    "Where is my parcel?",
    "Name three colours.",
    "I was charged twice for one order.",
    "What is seven plus five?",
    "Write one short sentence about the sea.",
)
"""What each adapter is asked, and the base too."""

_TOKENS = 12
_LEAST_CHANGE = 1e-4
"""nats; less than that is how differently the same numbers are added up"""

_MOST_NOISE = 0.05
"""nats by which the same request may be answered otherwise, as other batches and cached prefixes add numbers up"""


async def load_adapter(connection: ServerApi, adapter: Adapter, digest: str) -> str:
    """Load an adapter of this machine into a vLLM or SGLang server on it; the name that it has there.

    The digest in the name makes a changed adapter another one, with no prefixes cached for the old one. Raises
    ModelError where the server does not allow it or refuses the adapter.
    """
    from workbench.models.adapter_info import inspect_adapter

    name = f"{adapter.name}-{digest[:8]}"
    if any(one.name == name for one in (await connection.describe()).adapters):
        return name
    ranks = inspect_adapter(adapter).ranks
    reply = await connection.post(
        "/v1/load_lora_adapter" if connection.dialect == "vllm" else "/load_lora_adapter",
        {"lora_name": name, "lora_path": str(adapter.path.absolute())},
    )
    if reply.status == 200:
        return name
    if reply.status == 404:
        raise ModelError(
            f"{connection.address} does not load adapters while it runs (status 404).",
            "Start vLLM with VLLM_ALLOW_RUNTIME_LORA_UPDATING=True and --enable-lora, or with --lora-modules.",
        )
    rank = f" of rank {max(ranks):g}" if ranks else ""
    raise ModelError(
        f"{connection.address} refuses the adapter {adapter.name}{rank} (status {reply.status}).",
        "Start the server with a --max-lora-rank that is at least the adapter's rank.",
        str(reply.body)[:500],
    )


async def unload_adapter(connection: ServerApi, name: str) -> None:
    """Take an adapter that was loaded out of the server again."""
    path = "/v1/unload_lora_adapter" if connection.dialect == "vllm" else "/unload_lora_adapter"
    await connection.post(path, {"lora_name": name})


async def prove_adapter(connection: Connection, applied: Applied) -> AdapterProof:
    """Ask the base, the adapter, and both again; see whether the adapter's answers are others and stay what they are.

    A server that keeps prefixes of one adapter for another answers the second time otherwise. Never raises for a server
    that refuses the adapter: the proof says so.
    """
    name = applied.adapter.name
    try:
        base, changed, *again = [await ask_prompts(connection, chosen) for chosen in ((), (applied,)) * 2]
    except (EngineError, ModelError) as error:
        return AdapterProof(name, False, problem=error.message)
    texts, change = count_others(base, changed), find_mean_change(base, changed)
    repeats = [(one, two) for first, second in zip((base, changed), again, strict=True) for one, two in
               zip(first, second, strict=True)]  # fmt: skip
    if change is None:
        steady = all(one.completion.text == two.completion.text for one, two in repeats)
        return AdapterProof(name, bool(texts), len(PROMPTS), texts, steady=steady)
    noise = max((find_mean_change([one], [two]) or 0.0 for one, two in repeats), default=0.0)
    steady = noise <= _MOST_NOISE
    acts = change > (max(_LEAST_CHANGE, 3 * noise) if steady else _LEAST_CHANGE)
    return AdapterProof(name, acts, len(PROMPTS), texts, change, noise, steady)


def check_proof(address: str, proof: AdapterProof) -> None:
    """Raise ServerMismatchError for an adapter that does not act, or that a server mixes with the base."""
    if proof.problem:
        raise ServerMismatchError(f"{address} cannot answer with the adapter {proof.name}: {proof.problem}")
    if not proof.acts:
        raise ServerMismatchError(
            f"The adapter {proof.name} is not applied: on {proof.prompts} prompts {address} answers identically to the"
            f" base{_describe_change(proof)}.",
            "Check that the server has the adapter for this base and that its modules' names match.",
        )
    if not proof.steady:
        raise ServerMismatchError(
            f"{address} mixes the adapter {proof.name} with the base: asked again, they answered"
            f" otherwise{_describe_change(proof)}.",
            "It keeps what it computed with one for the other. Restart llama-server with --cache-ram 0.",
        )


def _describe_change(proof: AdapterProof) -> str:
    if proof.mean_change is None:
        return ""
    return f" (mean |Δlogprob| {proof.mean_change:.2g}; {proof.noise:.2g} when the same was asked again)"


async def ask_prompts(connection: Connection, applied: tuple[Applied, ...]) -> list[RemoteAnswer]:
    """The greedy answers to PROMPTS, with log-probabilities where the server gives any. Raises EngineError."""
    sampling = Sampling(max_tokens=_TOKENS)
    first = GenerateRequest(0, (Message("user", PROMPTS[0]),), sampling, adapters=applied, top_logprobs=5)
    try:
        answers, top = [await connection.answer(first)], 5
    except EngineError:
        answers, top = [await connection.answer(msgspec.structs.replace(first, top_logprobs=0))], 0
    for prompt in PROMPTS[1:]:
        request = msgspec.structs.replace(first, messages=(Message("user", prompt),), top_logprobs=top)
        answers.append(await connection.answer(request))
    return answers


def count_others(base: Sequence[RemoteAnswer], other: Sequence[RemoteAnswer]) -> int:
    """How many prompts were answered with another text."""
    return sum(one.completion.text != two.completion.text for one, two in zip(base, other, strict=True))


def find_mean_change(base: Sequence[RemoteAnswer], other: Sequence[RemoteAnswer]) -> float | None:
    """The mean absolute difference of log-probabilities, in nats; None where none are there to compare."""
    found = [change for one, two in zip(base, other, strict=True) for change in _compare(one, two)]
    return sum(found) / len(found) if found else None


def _compare(one: RemoteAnswer, other: RemoteAnswer) -> list[float]:
    """Of tokens that both know, up to the first place where they wrote another one."""
    changes: list[float] = []
    for left, right in zip(one.tokens, other.tokens, strict=False):
        mine, theirs = _read_alternatives(left), _read_alternatives(right)
        changes += [abs(mine[text] - theirs[text]) for text in mine.keys() & theirs.keys()]
        if left.text != right.text:
            break
    return changes


def _read_alternatives(token: TokenLogprob) -> Mapping[str, float]:
    return {one.text: one.logprob for one in token.top_logprobs} | {token.text: token.logprob}
