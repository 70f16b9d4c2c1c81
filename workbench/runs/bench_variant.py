"""Variant: one column of a bench, with what it lays over its model and how its prompt is perturbed."""

from __future__ import annotations

from typing import Any, ClassVar, Literal

import msgspec

from workbench.inference.types import Sampling
from workbench.retrieval.spec import Retrieve, RetrieveBy, read_retrieve


class AdapterChoice(msgspec.Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True):
    """An adapter that a variant lays over its model, by a name or path that models/reference.py resolves.

    adapter: name or path of a LoRA adapter or another one. scale: how strongly it acts; 0 is off.
    on: False keeps it in the list without using it.
    """

    adapter: str
    scale: float = 1.0
    on: bool = True


PerturbationKind = Literal["whitespace", "casing", "order", "typos"]


class Perturbation(msgspec.Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True):
    """How a perturbed variant words a variant's prompt; see perturbations.py.

    of: the variant's name. kind: what is changed; `order` is that of the examples. seed: of the change.
    """

    of: str
    kind: PerturbationKind
    seed: int = 0


class Perturbations(msgspec.Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True):
    """The perturbed variants that a run with --robustness adds.

    kinds: what is changed. count: number of perturbations of each kind. seed: the first seed.
    """

    kinds: tuple[PerturbationKind, ...] = ("whitespace", "casing", "order")
    count: int = 2
    seed: int = 0


class Variant(msgspec.Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True):
    """One column: a prompt of the library on a model, with the examples that are switched off, the sampling and
    the adapters laid over the model.

    name: name of the column, unique in the bench. examples_off: ids of examples that are not sent. sampling: how the
    next token is chosen. adapters: in the order in which they are applied.
    prompt: a library name such as `queues/few-shot`.
    model: a key of the bench's `models`, or the name or path of a model.
    perturbation: how the prompt is perturbed; set by a run with --robustness.
    deterministic: each answer is computed by itself: slower, but the same to the last bit from run to run.
    chat_template_kwargs: variables of the model's chat template, such as enable_thinking; they go before the model's.
    base_of: name of the variant that this one is without its adapters; on the screen it follows that one's changes.
    retrieve: how the prompt's `passages` are found in the bench's corpus: none, bm25, dense, hybrid, or oracle (those
        that the case says are relevant); or a mapping with details. Empty: no retrieval.
    constrained_calls: tool calls are held to the tools' JSON schemas, so that none is malformed.
    default_sampling: sampling fields that stay at the workbench's default although the prompt's file sets them.
    """

    RENAMED: ClassVar[dict[str, str]] = {"reproducible": "deterministic"}

    name: str
    prompt: str
    model: str
    sampling: Sampling = Sampling()
    examples_off: tuple[str, ...] = ()
    adapters: tuple[AdapterChoice, ...] = ()
    perturbation: Perturbation | None = None
    deterministic: bool = False
    chat_template_kwargs: dict[str, Any] = {}
    base_of: str = ""
    retrieve: RetrieveBy | Retrieve | None = None
    constrained_calls: bool = False
    default_sampling: tuple[str, ...] = ()

    @property
    def retrieval(self) -> Retrieve | None:
        """What it retrieves, in full; None where it says nothing of it."""
        return None if self.retrieve is None else read_retrieve(self.retrieve)

    @property
    def has_adapter(self) -> bool:
        """Whether one of its adapters is on."""
        return any(choice.on for choice in self.adapters)
