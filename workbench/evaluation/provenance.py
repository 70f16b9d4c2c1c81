"""Provenance: what a variant's answers come from, in full, so that any of them can be run exactly so again.

Knows nothing of how a run goes on, nor of scores.
"""

from __future__ import annotations

import hashlib
import json
from datetime import datetime
from importlib import metadata
from pathlib import Path

import msgspec

from workbench.engines.engine import Sampling
from workbench.errors import StoreError
from workbench.evaluation.bench import Variant
from workbench.evaluation.datasets import Case
from workbench.evaluation.launch import Draft
from workbench.evaluation.perturbations import perturb
from workbench.evaluation.sources import Sources
from workbench.models.reference import Applied, Format, Model, with_template_kwargs
from workbench.models.template_text import is_dated
from workbench.prompting.budget import Strategy
from workbench.prompting.prompt import Message, Prompt
from workbench.store.fingerprints import fingerprint
from workbench.store.store import Store

_LIBRARIES: dict[Format, tuple[str, ...]] = {"gguf": ("llama-cpp-python",), "hf": ("transformers", "torch")}


class ModelTrace(msgspec.Struct, frozen=True):
    """A model, and the fingerprint of its files."""

    model: Model
    fingerprint: str

    @property
    def path(self) -> Path:
        return self.model.path


class AdapterTrace(msgspec.Struct, frozen=True):
    """An adapter as it was laid over the model, and the fingerprint of its files."""

    applied: Applied
    fingerprint: str

    @property
    def path(self) -> Path:
        return self.applied.adapter.path


class Provenance(msgspec.Struct, frozen=True, omit_defaults=True):
    """What determines a variant's answer to a case.

    variant: as the bench had it. engine: what computed, with its version.
    """

    variant: Variant
    prompt: Prompt
    model: ModelTrace
    adapters: tuple[AdapterTrace, ...] = ()
    strategy: Strategy = "refuse"
    engine: str = ""

    @property
    def base(self) -> Model:
        return self.model.model

    @property
    def applied(self) -> tuple[Applied, ...]:
        return tuple(one.applied for one in self.adapters)

    def draft(self, case: Case, repeat: int = 0) -> Draft:
        """The question that a case asks, for the so-manieth time."""
        variant = msgspec.structs.replace(self.variant, sampling=repeat_sampling(self.variant.sampling, repeat))
        return Draft.of(variant, self.prompt, case, self.strategy, self.base, self.applied)

    def encode(self) -> str:
        return msgspec.json.encode(self, enc_hook=str).decode()

    @classmethod
    def decode(cls, text: str) -> Provenance:
        """Raises StoreError for a text that says no such thing."""
        try:
            return msgspec.json.decode(text, type=cls, dec_hook=lambda kind, value: kind(value))
        except (msgspec.DecodeError, RecursionError, ValueError, TypeError) as error:
            raise StoreError(f"What a variant came from cannot be read: {error}.", "Run the bench again.") from error

    @classmethod
    def is_readable(cls, text: str) -> bool:
        try:
            cls.decode(text)
        except StoreError:
            return False
        return True

    def check(self, store: Store) -> None:
        """Raise StoreError when the model or an adapter is no longer what it was."""
        traces: tuple[ModelTrace | AdapterTrace, ...] = (self.model, *self.adapters)
        for one in traces:
            if fingerprint(store, one.path) != one.fingerprint:
                raise StoreError(
                    f"{one.path} has changed since: what {self.variant.name} answered with it cannot be run again.",
                    "Put the old file back, or start a new run.",
                )


def trace(variant: Variant, sources: Sources, strategy: Strategy, store: Store) -> Provenance:
    """What a variant's answers will come from. Raises WorkbenchError when a part of it cannot be found.

    Reads large files the first time, to know them by their content.
    """
    prompt = _word(variant, sources.open_prompt(variant.prompt))
    model = _fix_date(with_template_kwargs(sources.find_model(variant.model), variant.chat_template_kwargs))
    applied = sources.find_adapters(variant.adapters)
    return Provenance(
        variant,
        prompt,
        trace_model(model, store),
        tuple(_trace_adapter(one, store) for one in applied),
        strategy,
        name_engine(model.format),
    )


def _fix_date(model: Model) -> Model:
    """A template that writes the day asks another question each day: the run keeps its own, so that an answer is
    cached under the day it was asked on, and a run that is gone on with tomorrow asks the same."""
    known = json.loads(model.chat_template_kwargs) if model.chat_template_kwargs else {}
    if "date" in known or not is_dated(model):
        return model
    return with_template_kwargs(model, {"date": datetime.now().date().isoformat()})


def _word(variant: Variant, prompt: Prompt) -> Prompt:
    """The prompt as the variant's perturbation has it, over the examples that it shows."""
    if variant.perturbation is None:
        return prompt
    shown = tuple(example for example in prompt.examples if example.id not in variant.examples_off)
    return perturb(msgspec.structs.replace(prompt, examples=shown), variant.perturbation)


def trace_model(model: Model, store: Store) -> ModelTrace:
    """A model with its fingerprint."""
    path = model.path.absolute()
    return ModelTrace(msgspec.structs.replace(model, path=path), fingerprint(store, path))


def repeat_sampling(sampling: Sampling, repeat: int) -> Sampling:
    """How a repeat draws: with a seed of its own, where a seed decides anything."""
    if sampling.seed is None or sampling.temperature == 0:
        return sampling
    return msgspec.structs.replace(sampling, seed=sampling.seed + repeat)


def digest_question(
    model: ModelTrace,
    adapters: tuple[AdapterTrace, ...],
    messages: tuple[Message, ...],
    mode: str,
    sampling: Sampling,
    engine: str,
    repeat: int = 0,
    strategy: str = "",
) -> bytes | None:
    """A fingerprint of everything that determines an answer; None where chance does.

    strategy: what else decides which messages are sent.
    """
    if sampling.temperature > 0 and sampling.seed is None:
        return None
    drawn = sampling if sampling.temperature > 0 else msgspec.structs.replace(sampling, seed=0)
    laid = sorted((one.fingerprint, one.applied.scale) for one in adapters if one.applied.scale)
    opened = msgspec.structs.replace(model.model, name="", path=Path(), context_tokens=None)
    told = (opened, model.fingerprint, laid, messages, mode, drawn, engine, repeat, strategy)
    packed = msgspec.json.encode(told, enc_hook=str, order="deterministic")
    return hashlib.blake2b(packed, digest_size=16).digest()


def name_engine(kind: Format) -> str:
    """What computes answers of such models, with its version."""
    libraries = _LIBRARIES.get(kind, ())
    return " ".join(f"{name} {metadata.version(name)}" for name in libraries) or kind


def _trace_adapter(applied: Applied, store: Store) -> AdapterTrace:
    path = applied.adapter.path.absolute()
    found = msgspec.structs.replace(applied, adapter=msgspec.structs.replace(applied.adapter, path=path))
    return AdapterTrace(found, fingerprint(store, path))
