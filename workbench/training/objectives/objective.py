"""Objective: a loss with what goes with it. It knows no library: a trainer is imported when it is made."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Any, Literal, NamedTuple

from workbench.training.loss_args import LossArgs

MethodKind = Literal["lora", "qlora", "prefix", "prompt", "ia3", "full"]
DataForm = Literal["rows", "pairs", "labelled", "prompts"]
"""rows: prompts with an expected answer. pairs: prompts with a better and a worse answer. labelled: prompts with an
answer that is good or bad. prompts: those that the model answers itself while it learns."""

_METHOD_RATES: dict[MethodKind, float] = {
    "lora": 1.0,
    "qlora": 1.0,
    "ia3": 5.0,
    "prefix": 10.0,
    "prompt": 50.0,
    "full": 0.1,
}
"""Learning rate that suits a method, relative to LoRA's."""

EVERY_METHOD: tuple[MethodKind, ...] = tuple(_METHOD_RATES)
WEIGHT_METHODS: tuple[MethodKind, ...] = ("lora", "qlora", "ia3", "full")
"""Those without virtual tokens."""


def supervised_rate(parameters: int, method: MethodKind) -> float:
    """The learning rate of cross-entropy for a number of parameters and a method."""
    usual = 2e-3 if parameters < 20e6 else 5e-4 if parameters < 300e6 else 2e-4
    return usual * _METHOD_RATES[method]


def preference_rate(parameters: int, method: MethodKind) -> float:
    """The learning rate of the losses that compare with a reference."""
    return 5e-5 if parameters > 100e6 else 5e-4


class TrainerSpec(NamedTuple):
    """What trains an objective: TRL's trainer and config. options: arguments of the config beyond those that all
    share."""

    trainer: type
    config: type
    options: Callable[[LossArgs], dict[str, Any]]


class Objective(NamedTuple):
    """A loss and what goes with it.

    summary: a line of help. learning_rate: the default for a number of parameters and a method. methods: those that can
    train it. load: imports what trains it. packing: whether short rows can share a sequence. metrics: the trainer's
    name of a figure of an evaluation -> the one that is shown; curves: the same of an update. scores: whether the model
    gives a number to an answer, and none itself. min_batch: rows that a batch needs at least.
    """

    name: str
    summary: str
    data: DataForm
    learning_rate: Callable[[int, MethodKind], float]
    methods: tuple[MethodKind, ...]
    load: Callable[[], TrainerSpec]
    packing: bool = False
    metrics: Mapping[str, str] = MappingProxyType({})
    curves: Mapping[str, str] = MappingProxyType({})
    scores: bool = False
    min_batch: int = 1
