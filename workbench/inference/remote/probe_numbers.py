"""What a probe reads off numbers: the kind of log-probabilities, the count of a known prompt, likelihoods that hold."""

from __future__ import annotations

import hashlib

from msgspec.structs import replace

from workbench.errors import EngineError
from workbench.inference.remote.card import LikelihoodMethod, LogprobKind, TokenCount
from workbench.inference.remote.connection import Connection, RemoteAnswer
from workbench.inference.remote.likelihood import METHODS, loglikelihood
from workbench.inference.remote.prompt_ids import KNOWN_DIALECTS, read_ids
from workbench.inference.remote.server_model import ServerModel
from workbench.inference.types import GenerateRequest, LoglikelihoodRequest, Sampling

HOT = Sampling(temperature=1.5, max_tokens=12, seed=11)
"""Far from greedy: what is drawn shows, and a temperature that is applied."""

_LEAST_SPREAD = 0.3
"""nats between alternatives, below which noise hides what the temperature does"""

_NEAR = 0.05
"""nats within which two log-probabilities are the same"""


async def find_logprob_kind(connection: Connection, request: GenerateRequest, plain: RemoteAnswer) -> LogprobKind:
    """raw: those of the model's own logits, whatever the temperature."""
    try:
        hot = await connection.answer(replace(request, sampling=replace(HOT, max_tokens=1)))
    except EngineError:
        return "unknown"
    if not hot.tokens or not plain.tokens:
        return "unknown"
    cold = {one.text: one.logprob for one in plain.tokens[0].top_logprobs}
    shared = [(cold[one.text], one.logprob) for one in hot.tokens[0].top_logprobs if one.text in cold]
    before, after = ([pair[side] for pair in shared] for side in (0, 1))
    if len(shared) < 2 or max(before) - min(before) < _LEAST_SPREAD:
        return "unknown"
    stretched = (max(after) - min(after)) / (max(before) - min(before))  # 1 / temperature where it was applied
    return "raw" if stretched > (1 + 1 / HOT.temperature) / 2 else "processed"


async def count_known(
    connection: Connection, request: GenerateRequest, own_count: int | None, reported: int | None, model: ServerModel
) -> tuple[TokenCount, str]:
    """The tokens of the known conversation by our count and by the server's report; the template's digest."""
    ids: tuple[int, ...] = ()
    if connection.dialect in KNOWN_DIALECTS:
        try:
            ids = await read_ids(connection, request)
        except EngineError:
            ids = ()
    digest = model.template_digest or (_digest_layout(ids) if ids else "")
    if own_count is not None:
        return TokenCount(own_count, reported, "our tokenizer"), digest
    if ids:
        return TokenCount(len(ids), reported, "the server's own tokenizer"), digest
    return TokenCount(None, reported), digest


async def probe_likelihood(
    connection: Connection, request: GenerateRequest, plain: RemoteAnswer
) -> tuple[LikelihoodMethod, str]:
    """Whether a forced token is reported with the log-probability that it has among the alternatives."""
    method = METHODS.get(connection.dialect)
    if method is None:
        return "none", f"the {connection.dialect} dialect cannot tell them"
    if not plain.tokens:
        return "none", "the server gives no log-probabilities to check them by"
    first = plain.tokens[0]
    texts = [one for one in reversed(first.top_logprobs) if one.text.strip() and "\ufffd" not in one.text]
    problem = "no alternative of the first token can be spelled"
    for expected in texts:
        asked = LoglikelihoodRequest(0, request.messages, (expected.text,))
        try:
            (found,) = await loglikelihood(connection, method, asked)
        except EngineError as error:
            return "none", error.message
        if found.tokens != 1:
            continue
        if abs(found.logprob - expected.logprob) < _NEAR:
            return method, f"{expected.text!r} {found.logprob:.3f}, among the alternatives {expected.logprob:.3f}"
        problem = f"{expected.text!r} {found.logprob:.3f}, but {expected.logprob:.3f} among the alternatives"
    return "none", problem


def _digest_layout(ids: tuple[int, ...]) -> str:
    """A digest of how a template lays a conversation out, where its text is not told."""
    return hashlib.blake2b(repr(ids).encode(), digest_size=8).hexdigest()
