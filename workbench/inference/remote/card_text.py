"""A capability card in words: rows for the command line and for the screen."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Literal, NamedTuple

from workbench.inference.remote.card import AdapterProof, CapabilityCard, FieldFinding
from workbench.units import format_bytes, format_count

Mark = Literal["", "good", "bad", "doubt"]

_STATES: dict[str, tuple[Mark, str]] = {
    "acts": ("good", "acts"),
    "ignored": ("bad", "ignored: the server's own"),
    "refused": ("bad", "refused"),
    "unknown": ("doubt", "not seen to act"),
}
_SIGNS: dict[Mark, str] = {"": " ", "good": "✓", "bad": "✗", "doubt": "?"}


class CardRow(NamedTuple):
    """label: empty where the row goes on with the one before. mark: good and bad are shown by a sign as well."""

    label: str
    value: str
    mark: Mark = ""

    @property
    def sign(self) -> str:
        return _SIGNS[self.mark]


def describe_card(card: CapabilityCard) -> list[CardRow]:
    """All that a card says, a row each."""
    return [
        *_describe_model(card),
        *map(_describe_field, card.fields),
        *_describe_numbers(card),
        *_describe_adapters(card),
    ]


def summarize_card(name: str, card: CapabilityCard) -> str:
    """Where a model ran and what of a request does not act there, in one sentence."""
    ignored = [one.name for one in card.fields if one.state in ("ignored", "refused")]
    proofs = [describe_proof(proof) for proof in card.adapters]
    parts = [f"does not act on {', '.join(ignored)}" if ignored else "acts on every field that was probed", *proofs]
    return (
        f"{name} is on a server, {card.address} ({card.model.server or card.model.dialect}), which {'; '.join(parts)}."
    )


def _describe_model(card: CapabilityCard) -> Iterator[CardRow]:
    model = card.model
    yield CardRow("server", f"{card.address}  {model.server or model.dialect}")
    echoed = f", answers as {card.echoed_model}" if card.echoed_model not in ("", model.name) else ""
    yield CardRow("model", f"{model.name or 'its only one'}{echoed}")
    weights = [model.architecture, model.quantization, model.digest[:12]]
    weights += [f"{format_count(model.parameters)} parameters"] if model.parameters else []
    weights += [format_bytes(model.file_bytes)] if model.file_bytes else []
    yield CardRow("weights", ", ".join(filter(None, weights)) or "not reported")
    yield CardRow("context", f"{model.context_tokens:,} tokens" if model.context_tokens else "not told")
    yield CardRow("chat template", card.template_digest or "not reported")


def _describe_field(field: FieldFinding) -> CardRow:
    mark, state = _STATES[field.state]
    return CardRow(field.name, f"{state}{f' ({field.evidence})' if field.evidence else ''}", mark)


def _describe_numbers(card: CapabilityCard) -> Iterator[CardRow]:
    count = card.count
    if count.reported is None:
        yield CardRow("prompt tokens", "not reported", "doubt")
    elif count.counted is None:
        yield CardRow("prompt tokens", f"{count.reported} reported; the tokenizer is not known", "doubt")
    else:
        same = count.reported == count.counted
        more = "" if same else f", {count.reported - count.counted:+} of the template's"
        counted = f"{count.reported} reported, {count.counted} counted by {count.source}{more}"
        yield CardRow("prompt tokens", counted, "good" if same else "doubt")
    kind = {"raw": "the model's own", "processed": "after temperature and penalties", "unknown": "of an unknown kind"}
    known = card.logprobs in kind
    yield CardRow(
        "logprobs", kind.get(card.logprobs, "none"), "good" if card.logprobs == "raw" else "doubt" if known else "bad"
    )
    possible = card.likelihood != "none"
    method = f"by {card.likelihood}" if possible else "not available: scorers that need it are refused"
    yield CardRow("log-likelihood", f"{method} ({card.likelihood_evidence})", "good" if possible else "bad")
    yield CardRow("probed by", f"{card.requests} requests")


def _describe_adapters(card: CapabilityCard) -> Iterator[CardRow]:
    listed = [one.name for one in card.model.adapters]
    if not listed and not card.adapters:
        yield CardRow("adapters", "none")
    proofs = {proof.name: proof for proof in card.adapters}
    for index, name in enumerate(dict.fromkeys((*listed, *proofs))):
        label = "" if index else "adapters"
        proof = proofs.get(name)
        if proof is None:
            yield CardRow(label, f"{name}: not proved yet", "doubt")
        else:
            yield CardRow(label, describe_proof(proof), "good" if proof.holds else "bad")


def describe_proof(proof: AdapterProof) -> str:
    """What was seen of an adapter, in a line."""
    if proof.problem:
        return f"{proof.name}: {proof.problem}"
    if not proof.acts:
        return f"{proof.name}: identical to the base on {proof.prompts} prompts, not applied"
    by = f"mean |Δlogprob| {proof.mean_change:.2g}" if proof.mean_change is not None else "by text"
    seen = f"{proof.name}: changes the answer, {by}, another text on {proof.changed_answers} of {proof.prompts} prompts"
    return seen if proof.steady else f"{seen}; mixed with the base when asked again"
