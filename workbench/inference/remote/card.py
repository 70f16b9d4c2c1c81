"""CapabilityCard: what a server was seen to do with a model, as a probe found it on connecting."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from typing import Literal

import msgspec

from workbench.inference.remote.server_model import ServerModel

FieldState = Literal["acts", "ignored", "refused", "unknown"]
"""unknown: it was not seen to act, and an answer that shows it could not be had."""

LogprobKind = Literal["none", "raw", "processed", "unknown"]
"""raw: of the model's own logits. processed: after temperature and penalties."""

LikelihoodMethod = Literal["none", "forced tokens", "prompt logprobs"]

CONTINUATION = "continuation"
"""Among a card's fields: an assistant message that stands last is continued rather than answered."""

LOGPROBS = "top_logprobs"


class FieldFinding(msgspec.Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True):
    """Whether a field of a request acts on the answer. evidence: what was seen, in a few words."""

    name: str
    state: FieldState
    evidence: str = ""


class AdapterProof(msgspec.Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True):
    """Whether an adapter acts on a server.

    prompts: how many were asked. changed_answers: of those, how many were answered with another text than the base's.
    mean_change: mean absolute difference of log-probabilities to the base, in nats; None where the server tells none.
    noise: the same difference when base and adapter were asked again, of the prompt where it was largest.
    steady: asked again, after one another, base and adapter answered as before.
    """

    name: str
    acts: bool
    prompts: int = 0
    changed_answers: int = 0
    mean_change: float | None = None
    noise: float = 0.0
    steady: bool = True
    problem: str = ""
    """why it could not be asked; empty where it could"""

    @property
    def holds(self) -> bool:
        return self.acts and self.steady and not self.problem


class TokenCount(msgspec.Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True):
    """Prompt tokens of a known conversation: as counted, by whom, and as the server reported; None where unknown."""

    counted: int | None = None
    reported: int | None = None
    source: str = ""


class CapabilityCard(msgspec.Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True):
    """See the module.

    address: of the server. model: what the server says of its model. echoed_model: the name that answered.
    template_digest: of the chat template, or of how it lays a known conversation out; empty where neither is told.
    requests: answers that the probe asked for.
    """

    address: str
    model: ServerModel
    echoed_model: str = ""
    template_digest: str = ""
    count: TokenCount = TokenCount()
    logprobs: LogprobKind = "none"
    likelihood: LikelihoodMethod = "none"
    likelihood_evidence: str = ""
    fields: tuple[FieldFinding, ...] = ()
    adapters: tuple[AdapterProof, ...] = ()
    requests: int = 0

    @property
    def identity(self) -> str:
        """A digest of what makes two servers answer alike."""
        parts = (self.model.identity, self.echoed_model, self.template_digest)
        return hashlib.blake2b(msgspec.json.encode(parts), digest_size=16).hexdigest()

    @property
    def ignored(self) -> tuple[str, ...]:
        """Fields that a request may not set: they were seen not to act, or the server refuses them."""
        return tuple(one.name for one in self.fields if one.state in ("ignored", "refused"))

    def find(self, name: str) -> FieldFinding | None:
        return next((one for one in self.fields if one.name == name), None)

    def find_adapter(self, name: str) -> AdapterProof | None:
        return next((one for one in self.adapters if one.name == name), None)


def compare_cards(before: CapabilityCard, after: CapabilityCard) -> tuple[str, ...]:
    """What a server does differently from before, a sentence each; empty where nothing changed."""
    return tuple(_find_changes(before, after))


_FACTS = {
    "server": "server version",
    "name": "model",
    "architecture": "architecture",
    "quantization": "quantization",
    "parameters": "parameters",
    "file_bytes": "size",
    "digest": "weights",
    "context_tokens": "context",
}


def _find_identity_changes(before: CapabilityCard, after: CapabilityCard) -> Iterator[str]:
    pairs = [(label, getattr(before.model, name), getattr(after.model, name)) for name, label in _FACTS.items()]
    pairs.append(("model name", before.echoed_model, after.echoed_model))
    pairs.append(("chat template", before.template_digest, after.template_digest))
    mine, theirs = (", ".join(sorted(one.name for one in card.model.adapters)) for card in (before, after))
    pairs.append(("adapters", mine or "none", theirs or "none"))
    yield from (f"{label} {old or 'unknown'} → {new or 'unknown'}" for label, old, new in pairs if old != new)


def _find_changes(before: CapabilityCard, after: CapabilityCard) -> Iterator[str]:
    yield from _find_identity_changes(before, after)
    known = {one.name: one.state for one in before.fields}
    for one in after.fields:
        old = known.get(one.name, one.state)
        if {old, one.state} in ({"acts", "ignored"}, {"acts", "refused"}):
            yield f"{one.name} {old} → {one.state}"
    for name in ("logprobs", "likelihood"):
        if getattr(before, name) != getattr(after, name):
            yield f"{name} {getattr(before, name)} → {getattr(after, name)}"
    proofs = {one.name: one.acts for one in before.adapters}
    yield from (
        f"adapter {one.name} {'acts' if one.acts else 'does not act'} now"
        for one in after.adapters
        if proofs.get(one.name, one.acts) != one.acts
    )
