"""Packing: linear layers in 8 or 4 bits while a checkpoint is loaded, by bitsandbytes where it can run."""

from __future__ import annotations

import importlib
import importlib.util
import logging
from importlib.metadata import version
from typing import Any

import torch
from transformers import BitsAndBytesConfig
from transformers.utils import BITSANDBYTES_MIN_VERSION, is_bitsandbytes_available

from workbench.errors import ModelError
from workbench.models.reference import Quantization

_ELSE = (
    "leave the quantization out, or make a GGUF file, which is small everywhere: workbench convert MODEL small.gguf"
    " --type q4_k_m"
)


def make_quantization_config(kind: Quantization, dtype: torch.dtype, device: torch.device) -> Any:
    """What transformers is told so that it packs the weights; None for no kind.

    Raises ModelError that says why bitsandbytes cannot do it here.
    """
    if not kind:
        return None
    check_bitsandbytes(kind, device)
    logging.getLogger("bitsandbytes").setLevel(logging.ERROR)  # it tells of every cast of every step
    if kind == "8bit":
        return BitsAndBytesConfig(load_in_8bit=True)
    return BitsAndBytesConfig(
        load_in_4bit=True, bnb_4bit_quant_type="nf4", bnb_4bit_compute_dtype=dtype, bnb_4bit_use_double_quant=False
    )


def check_bitsandbytes(kind: str, device: torch.device) -> None:
    """Raise ModelError where bitsandbytes is missing, too old, or made for other devices than this one."""
    if importlib.util.find_spec("bitsandbytes") is None:
        raise ModelError(
            f"Loading in {kind} needs bitsandbytes, which is not installed.",
            f"Install it with `pip install 'bitsandbytes>={BITSANDBYTES_MIN_VERSION}'`. Or {_ELSE}",
        )
    found = version("bitsandbytes")
    if not is_bitsandbytes_available():
        raise ModelError(
            f"Loading in {kind} needs bitsandbytes {BITSANDBYTES_MIN_VERSION} or newer; found {found}.",
            f"Update it with `pip install -U bitsandbytes`. Or {_ELSE}",
        )
    try:
        bitsandbytes = importlib.import_module("bitsandbytes")
    except Exception as error:
        raise ModelError(
            f"bitsandbytes {found} cannot be loaded here: {type(error).__name__}: {error}.",
            f"Install it again. Or {_ELSE}",
        ) from error
    devices = {str(name) for name in getattr(bitsandbytes, "supported_torch_devices", {"cuda"})}
    if device.type not in devices:
        raise ModelError(
            f"Loading in {kind} cannot be done here: bitsandbytes {found} runs on {', '.join(sorted(devices))}, and"
            f" this model would run on {device.type}.",
            f"Instead, {_ELSE}",
        )
