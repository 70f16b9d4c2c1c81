"""The method of a recipe: which weights are trained, and how the adapter is made and initialized."""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import Annotated, ClassVar, Literal

import msgspec

from workbench.training.objectives import MethodKind

LoraInit = Literal["", "gaussian", "orthogonal", "pissa", "pissa_niter_16", "olora", "loftq"]

_OF_LORA = ("lora", "qlora")
_BASE_CHANGING = ("pissa", "olora")


def _help(text: str) -> msgspec.Meta:
    return msgspec.Meta(description=text)


class Method(msgspec.Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True):
    """what is trained: an adapter, or every weight of the base"""

    RENAMED: ClassVar[dict[str, str]] = {
        "targets": "target_modules",
        "rslora": "use_rslora",
        "dora": "use_dora",
        "virtual_tokens": "num_virtual_tokens",
    }

    kind: Annotated[
        MethodKind,
        _help(
            "lora: low-rank matrices beside the linear layers, the usual choice; qlora: the same over a base quantized"
            " to 4 bits; prefix, prompt: virtual tokens in front; ia3: rescaled activations, the smallest; full: every"
            " weight"
        ),
    ] = "lora"
    rank: Annotated[int, _help("LoRA: rank of the matrices; a higher one can learn more, and overfits sooner")] = 8
    alpha: Annotated[float, _help("LoRA: scaling, divided by the rank; twice the rank is usual")] = 16.0
    dropout: Annotated[float, _help("LoRA: dropout on the adapter's input, 0 to 1; reduces overfitting")] = 0.0
    target_modules: Annotated[
        tuple[str, ...], _help("LoRA, IA3: modules to adapt, such as q_proj; empty: every linear layer")
    ] = ()
    use_rslora: Annotated[bool, _help("LoRA: divide alpha by the square root of the rank; better above rank 32")] = (
        False
    )
    use_dora: Annotated[
        bool, _help("LoRA: learn magnitude and direction separately (DoRA); slower, no GGUF conversion")
    ] = False
    init_lora_weights: Annotated[
        LoraInit,
        _help(
            "LoRA: initial weights; empty: noise and zeros. pissa: the largest singular values of the base's weights,"
            " converges faster; pissa_niter_16: the same by a fast approximation; olora: a QR decomposition of them;"
            " orthogonal, gaussian: other noise; loftq: what qlora's quantization loses"
        ),
    ] = ""
    layers_to_transform: Annotated[
        tuple[int, ...], _help("LoRA: numbers of the layers to adapt, from 0, such as the last ones; empty: all")
    ] = ()
    modules_to_save: Annotated[
        tuple[str, ...],
        _help(
            "LoRA, IA3: modules to train in full, such as embed_tokens and lm_head where the base was never trained on"
            " a token it needs; much more memory, a large file, no GGUF conversion"
        ),
    ] = ()
    num_virtual_tokens: Annotated[int, _help("prefix, prompt: number of virtual tokens")] = 16

    @property
    def changes_base(self) -> bool:
        """Whether the initial weights are taken out of the base, so that the adapter must be converted afterwards."""
        return self.init_lora_weights.startswith(_BASE_CHANGING)


def find_method_problems(method: Method) -> Iterator[str]:
    """What a method asks for that cannot be, each with its key."""
    for name in ("rank", "num_virtual_tokens"):
        if getattr(method, name) < 1:
            yield f"method.{name}: expected a number from 1, found {getattr(method, name)}"
    if not (math.isfinite(method.alpha) and method.alpha > 0):
        yield f"method.alpha: expected a number above 0, found {method.alpha}"
    if not 0 <= method.dropout < 1:
        yield f"method.dropout: expected a share from 0 to below 1, found {method.dropout}"
    if method.kind not in _OF_LORA:
        for name in ("use_dora", "init_lora_weights", "layers_to_transform"):
            if getattr(method, name):
                yield f"method.{name}: only LoRA has it, not {method.kind}"
    if method.modules_to_save and method.kind not in (*_OF_LORA, "ia3"):
        yield f"method.modules_to_save: only LoRA and IA3 have it, not {method.kind}"
    yield from _find_bad_init(method)
    if any(layer < 0 for layer in method.layers_to_transform):
        yield f"method.layers_to_transform: expected numbers from 0, found {min(method.layers_to_transform)}"


def _find_bad_init(method: Method) -> Iterator[str]:
    init = method.init_lora_weights
    if method.changes_base and method.kind == "qlora":
        yield f"method.init_lora_weights: {init} takes weights out of the base, which qlora has quantized; use loftq"
    if method.changes_base and method.use_dora:
        yield f"method.init_lora_weights: {init} cannot be combined with use_dora"
    if init == "loftq" and method.kind == "lora":
        yield "method.init_lora_weights: loftq makes up for quantization; it needs kind: qlora"
    if init == "loftq" and method.use_dora:
        yield "method.init_lora_weights: loftq cannot be combined with use_dora"
    if init == "orthogonal" and method.rank % 2:
        yield f"method.rank: orthogonal initial weights need an even rank, found {method.rank}"
