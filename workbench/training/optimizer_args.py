"""The optimizer of a recipe, and the packages that optimizers and experiment trackers need."""

from __future__ import annotations

import importlib.util
import math
from collections.abc import Iterator, Mapping
from types import MappingProxyType
from typing import Annotated, Literal, NamedTuple, get_args

import msgspec

from workbench.errors import TrainingError
from workbench.package_commands import install_extra, pip_install
from workbench.training.method import Method

Tracker = Literal["tensorboard", "mlflow", "wandb"]

Optimizer = Literal[
    "",
    "adamw_torch",
    "adamw_torch_fused",
    "adamw_torch_8bit",
    "adamw_torch_4bit",
    "adamw_8bit",
    "adamw_bnb_8bit",
    "paged_adamw_32bit",
    "paged_adamw_8bit",
    "adafactor",
    "ademamix",
    "ademamix_8bit",
    "paged_ademamix_32bit",
    "paged_ademamix_8bit",
    "lion_32bit",
    "lion_8bit",
    "paged_lion_32bit",
    "paged_lion_8bit",
    "rmsprop",
    "rmsprop_bnb",
    "rmsprop_bnb_8bit",
    "rmsprop_bnb_32bit",
    "sgd",
    "adagrad",
    "galore_adamw",
    "galore_adamw_8bit",
    "galore_adafactor",
    "apollo_adamw",
    "grokadamw",
    "schedule_free_adamw",
    "schedule_free_radam",
    "schedule_free_sgd",
    "stable_adamw",
]
"""Those of transformers, by its names (OptimizerNames)."""

UNSUPPORTED = MappingProxyType(
    {
        "adamw_torch_xla": "for TPUs",
        "adamw_torch_npu_fused": "for NPUs",
        "adamw_anyprecision": "its package, torchdistx, is no longer maintained",
        "lomo": "it updates weights inside the backward pass, past gradient clipping and checkpoints",
        "adalomo": "as lomo",
        "galore_adamw_layerwise": "its state is not in the checkpoints, so a training could not be resumed",
        "galore_adamw_8bit_layerwise": "as galore_adamw_layerwise",
        "galore_adafactor_layerwise": "as galore_adamw_layerwise",
        "apollo_adamw_layerwise": "as galore_adamw_layerwise",
    }
)
"""The rest of transformers' optimizers, each with the reason why it is not offered."""

_ARGUMENTS = {
    "adamw_torch_8bit": ("block_size", "bf16_stochastic_round"),
    "adamw_torch_4bit": ("block_size", "bf16_stochastic_round"),
    "sgd": ("momentum", "dampening", "nesterov"),
    "adagrad": ("lr_decay", "eps"),
    "rmsprop": ("momentum", "alpha", "eps", "centered"),
    "ademamix": ("beta1", "beta2", "beta3", "alpha", "eps", "t_alpha", "t_beta3"),
    "galore": ("rank", "update_proj_gap", "scale", "proj_type"),
    "apollo": ("rank", "proj", "scale_type", "update_proj_gap", "scale", "proj_type"),
    "grokadamw": ("alpha_init", "lamb", "gamma", "grokking_signal_decay_rate", "gradient_clipping"),
    "schedule_free": ("weight_lr_power", "r"),
    "stable_adamw": ("max_lr", "kahan_sum", "decouple_lr"),
}
"""Names of optimizers, or how they begin behind `paged_` -> the arguments that transformers passes on; it drops
others without a word."""

_WHOLE_ONLY = ("galore", "apollo")


class OptimizerState(NamedTuple):
    """package: that the optimizer is in, "" where it is in torch or transformers; module: its import name.

    bytes: of optimizer state for each trainable parameter.
    """

    package: str
    module: str
    bytes: float


_PACKAGES: tuple[tuple[str, OptimizerState], ...] = (  # the first whose name begins alike
    ("adamw_torch_8bit", OptimizerState("torchao", "torchao", 2)),
    ("adamw_torch_4bit", OptimizerState("torchao", "torchao", 1)),
    ("adamw_torch", OptimizerState("", "", 8)),
    ("adafactor", OptimizerState("", "", 0.1)),
    ("sgd", OptimizerState("", "", 0)),
    ("adagrad", OptimizerState("", "", 4)),
    ("rmsprop_bnb_8bit", OptimizerState("bitsandbytes", "bitsandbytes", 1)),
    ("rmsprop_bnb", OptimizerState("bitsandbytes", "bitsandbytes", 4)),
    ("rmsprop", OptimizerState("", "", 4)),
    ("galore_adamw_8bit", OptimizerState("galore-torch", "galore_torch", 1)),
    ("galore", OptimizerState("galore-torch", "galore_torch", 3)),
    ("apollo", OptimizerState("apollo-torch", "apollo_torch", 1)),
    ("grokadamw", OptimizerState("grokadamw", "grokadamw", 12)),
    ("schedule_free_sgd", OptimizerState("schedulefree", "schedulefree", 4)),
    ("schedule_free", OptimizerState("schedulefree", "schedulefree", 8)),
    ("stable_adamw", OptimizerState("torch-optimi", "optimi", 8)),
    ("adamw_8bit", OptimizerState("bitsandbytes", "bitsandbytes", 2)),
    ("adamw_bnb_8bit", OptimizerState("bitsandbytes", "bitsandbytes", 2)),
    ("paged_adamw_8bit", OptimizerState("bitsandbytes", "bitsandbytes", 2)),
    ("paged_adamw_32bit", OptimizerState("bitsandbytes", "bitsandbytes", 8)),
    ("ademamix_8bit", OptimizerState("bitsandbytes", "bitsandbytes", 3)),
    ("paged_ademamix_8bit", OptimizerState("bitsandbytes", "bitsandbytes", 3)),
    ("ademamix", OptimizerState("bitsandbytes", "bitsandbytes", 12)),
    ("paged_ademamix_32bit", OptimizerState("bitsandbytes", "bitsandbytes", 12)),
    ("lion_8bit", OptimizerState("bitsandbytes", "bitsandbytes", 1)),
    ("paged_lion_8bit", OptimizerState("bitsandbytes", "bitsandbytes", 1)),
    ("lion_32bit", OptimizerState("bitsandbytes", "bitsandbytes", 4)),
    ("paged_lion_32bit", OptimizerState("bitsandbytes", "bitsandbytes", 4)),
)

_TRACKER_MODULES: Mapping[Tracker, str] = MappingProxyType(
    {"tensorboard": "tensorboard", "mlflow": "mlflow", "wandb": "wandb"}
)


def _help(text: str) -> msgspec.Meta:
    return msgspec.Meta(description=text)


class OptimizerArgs(msgspec.Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True):
    """optimizer: how gradients become updates"""

    optim: Annotated[
        Optimizer,
        _help(
            "optimizer, by its name in transformers; empty: AdamW. adafactor and the 8-bit ones need less memory;"
            " 8-bit, lion and ademamix need the extra bnb"
        ),
    ] = ""
    optim_args: Annotated[
        str,
        _help(
            "further arguments of the optimizer as transformers reads them, such as momentum=0.9,nesterov=true for sgd"
        ),
    ] = ""
    loraplus_lr_ratio: Annotated[
        float | None,
        _help("LoRA+: learning rate of the matrices B over that of A (arXiv:2402.12354), 16 is usual; empty: the same"),
    ] = None
    neftune_noise_alpha: Annotated[
        float | None,
        _help("NEFTune: noise on the input embeddings in training (arXiv:2310.05914), 5 is usual; empty: none"),
    ] = None


def find_optimizer_problems(optimizer: OptimizerArgs, method: Method) -> Iterator[str]:
    """What an optimizer asks for that cannot be, each with its key."""
    ratio, noise, name = optimizer.loraplus_lr_ratio, optimizer.neftune_noise_alpha, optimizer.optim
    if ratio is not None and not (math.isfinite(ratio) and ratio >= 1):
        yield f"optimizer.loraplus_lr_ratio: expected a number from 1, found {ratio}"
    if ratio is not None and method.kind not in ("lora", "qlora"):
        yield f"optimizer.loraplus_lr_ratio: only LoRA has it, not {method.kind}"
    if noise is not None and not (math.isfinite(noise) and noise > 0):
        yield f"optimizer.neftune_noise_alpha: expected a number above 0, found {noise}"
    if noise is not None and method.kind in ("prefix", "prompt"):
        yield f"optimizer.neftune_noise_alpha: {method.kind} trains embeddings of its own; leave it out"
    yield from _find_bad_arguments(name, optimizer.optim_args)
    if name.startswith(_WHOLE_ONLY) and method.kind != "full":
        yield f"optimizer.optim: {name} projects the gradients of whole matrices; it needs method.kind: full"
    if name.startswith(_WHOLE_ONLY) and ratio is not None:
        yield f"optimizer.loraplus_lr_ratio: {name} cannot be combined with it"


def _find_bad_arguments(name: str, text: str) -> Iterator[str]:
    if not text.strip():
        return
    plain = name.removeprefix("paged_")
    exact = "rmsprop_bnb" not in plain
    known = next((keys for start, keys in _ARGUMENTS.items() if plain.startswith(start) and exact), ())
    for part in text.split(","):
        key, equals, value = (piece.strip() for piece in part.partition("="))
        if not equals or not value:
            yield f"optimizer.optim_args: expected key=value, separated by commas, found {part.strip()!r}"
        elif key not in known:
            takes = ", ".join(known) or "none"
            yield f"optimizer.optim_args: {name or 'AdamW'} takes no {key}; its arguments: {takes}"


def find_optimizer_state(name: str) -> OptimizerState:
    """What an optimizer needs."""
    held = dict(_PACKAGES)
    if name in held:
        return held[name]
    return next((state for prefix, state in _PACKAGES if name.startswith(prefix)), OptimizerState("", "", 8))


def check_packages(optimizer: OptimizerArgs, method: Method, report_to: tuple[Tracker, ...]) -> None:
    """Raise TrainingError for a package that is missing, before anything is loaded."""
    state = find_optimizer_state(optimizer.optim)
    if state.package and importlib.util.find_spec(state.module) is None:
        raise TrainingError(
            f"optimizer.optim: {optimizer.optim} needs the package {state.package}, which is not installed.",
            f"Install it: {_describe_install(state.package)}. Or choose one that needs none, such as adafactor.",
        )
    if method.kind == "qlora" and importlib.util.find_spec("bitsandbytes") is None:
        raise TrainingError(
            "method.kind: qlora needs the package bitsandbytes, which is not installed.",
            f"Install it: {_describe_install('bitsandbytes')}. Or train with method.kind: lora.",
        )
    missing = [name for name in report_to if importlib.util.find_spec(_TRACKER_MODULES[name]) is None]
    if missing:
        raise TrainingError(
            f"report_to: {', '.join(missing)} is not installed.",
            f"Install it: {install_extra(*missing)}. Or take it out of report_to: the screen and the job's events hold"
            " the same figures.",
        )


def _describe_install(package: str) -> str:
    return install_extra("bnb") if package == "bitsandbytes" else pip_install(package)


OPTIMIZERS: tuple[str, ...] = tuple(filter(None, get_args(Optimizer)))
