"""A Hugging Face folder's model and tokenizer in memory, on the device and in the precision that suit.

Code that comes with a folder never runs, pickled weights are never opened, and nothing is fetched.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

# read when the libraries are imported
os.environ.setdefault("HF_HUB_OFFLINE", "1")
os.environ.setdefault("TRANSFORMERS_OFFLINE", "1")
os.environ.setdefault("TOKENIZERS_PARALLELISM", "false")

import torch
import transformers
from transformers import (
    MODEL_FOR_IMAGE_TEXT_TO_TEXT_MAPPING,
    AutoConfig,
    AutoModelForCausalLM,
    AutoModelForImageTextToText,
    AutoTokenizer,
)

from workbench.errors import ModelError
from workbench.inference.transformers.quantization import check_bitsandbytes, make_quantization_config
from workbench.models.reference import Dtype, Model, Quantization
from workbench.units import format_subject

transformers.utils.logging.disable_progress_bar()
transformers.utils.logging.set_verbosity_error()

_LOCAL_ONLY = {"local_files_only": True, "trust_remote_code": False}


@dataclass(frozen=True)
class LoadedCheckpoint:
    """A loaded model and its tokenizer."""

    model: Any
    tokenizer: Any
    quantization: Quantization = ""

    @property
    def ends(self) -> set[int]:
        """The tokens that the folder's own settings name as ends of an answer."""
        settings = (self.model.generation_config, self.model.config.get_text_config())
        found = [getattr(setting, "eos_token_id", None) for setting in settings if setting is not None]
        tokens = [token for entry in found for token in (entry if isinstance(entry, (list, tuple)) else [entry])]
        return {token for token in tokens if isinstance(token, int)}

    @property
    def chat_template(self) -> str | None:
        """The folder's chat template; of several, the one for plain chats."""
        template = self.tokenizer.chat_template
        return template.get("default") if isinstance(template, dict) else template


def choose_device(wanted: str = "") -> torch.device:
    """The device that is wanted, else the fastest of this machine. Raises ModelError for one that is not there."""
    if wanted and wanted != "auto":
        return _find_device(wanted)
    if torch.cuda.is_available():
        return torch.device("cuda")
    if torch.backends.mps.is_available():
        return torch.device("mps")
    return torch.device("cpu")


def computes_on_cpu(model: torch.nn.Module) -> bool:
    """Whether the CPU computes any part of a model: what accelerate keeps in RAM or on disk moves to a device first."""
    return any(tensor.device.type == "cpu" for tensor in model.parameters())


def _find_device(wanted: str) -> torch.device:
    try:
        device = torch.device(wanted)
    except RuntimeError:
        device = torch.device("meta")
    count = {"cpu": 1, "cuda": torch.cuda.device_count(), "mps": int(torch.backends.mps.is_available())}
    if (device.index or 0) < count.get(device.type, 0):
        return device
    found = ["cpu", *(f"cuda:{index}" for index in range(count["cuda"])), *(["mps"] if count["mps"] else [])]
    raise ModelError(
        f"device_map: expected auto or one of {', '.join(found)}, found {wanted!r}.",
        "Choose one of these; `workbench doctor` says why a graphics card is not among them.",
    )


def _choose_map(wanted: str, device: torch.device, quantized: bool) -> dict[str, Any]:
    """Arguments that place the weights: over all cards by accelerate where `auto` finds several, else on the device."""
    if wanted == "auto" and torch.cuda.device_count() > 1:
        return {"device_map": "auto"}
    return {"device_map": {"": device}} if quantized else {}


def choose_dtype(quantization: str, device: torch.device, wanted: Dtype = "") -> torch.dtype:
    """What is wanted; else the checkpoint's own precision, on a CPU half precision only where the processor computes in
    it."""
    if wanted:
        return {"float32": torch.float32, "float16": torch.float16, "bfloat16": torch.bfloat16}[wanted]
    stored = {"F16": torch.float16, "BF16": torch.bfloat16}.get(quantization, torch.float32)
    if device.type != "cpu":
        return stored
    computes = stored == torch.bfloat16 and bool(torch.cpu._is_avx512_bf16_supported())
    return torch.bfloat16 if computes else torch.float32


def free_bytes(device: torch.device) -> int | None:
    """Free memory of a graphics card; None for memory that the system knows."""
    return int(torch.cuda.mem_get_info()[0]) if device.type == "cuda" else None


def load_checkpoint(
    model: Model, dtype: torch.dtype, device: torch.device, advance: Callable[[float | None], bool]
) -> LoadedCheckpoint:
    """Load a folder. Raises ModelError with one clear message for each way in which that can fail."""
    path = model.path
    quantization_config = make_quantization_config(model.quantization, dtype, device)
    config = _load_config(path)
    tokenizer = _load_tokenizer(path)
    if not advance(0.1):
        raise ModelError(f"Loading {path} was given up.", "Run again to load it.")
    _check_stored(path, config, device)
    placed = _choose_map(model.device_map, device, bool(quantization_config))
    if quantization_config:
        placed["quantization_config"] = quantization_config
    if model.attention:
        placed["attn_implementation"] = model.attention
    try:
        loaded, report = _choose_class(config).from_pretrained(
            path,
            config=config,
            dtype=dtype,
            use_safetensors=True,
            output_loading_info=True,
            ignore_mismatched_sizes=True,  # they are refused below, with their names
            **placed,
            **_LOCAL_ONLY,
        )
        _check_whole(path, report)
        return LoadedCheckpoint(
            (loaded if "device_map" in placed else loaded.to(device)).eval().requires_grad_(False),
            tokenizer,
            model.quantization,
        )
    except ModelError:
        raise
    except (MemoryError, torch.OutOfMemoryError) as error:
        raise ModelError(
            f"There was not enough memory to load {path}.",
            "Unload another model, or choose a smaller one.",
            str(error),
        ) from error
    except Exception as error:
        raise _explain(path, error) from error


def sees(config: Any) -> bool:
    """Whether a configuration is of a model that can be shown pictures."""
    return getattr(config, "vision_config", None) is not None and type(config) in MODEL_FOR_IMAGE_TEXT_TO_TEXT_MAPPING


def _choose_class(config: Any) -> Any:
    return AutoModelForImageTextToText if sees(config) else AutoModelForCausalLM


def _check_stored(path: Path, config: Any, device: torch.device) -> None:
    """Raise ModelError where a checkpoint that is stored packed cannot be unpacked here."""
    stored = getattr(config, "quantization_config", None)
    settings = stored if isinstance(stored, dict) else getattr(stored, "__dict__", {})
    if "bitsandbytes" in str(settings.get("quant_method", "")).lower() or settings.get("load_in_4bit"):
        kind = "4bit" if settings.get("load_in_4bit") or settings.get("_load_in_4bit") else "8bit"
        try:
            check_bitsandbytes(kind, device)
        except ModelError as error:
            raise ModelError(f"{path} is stored in {kind}. {error.message}", error.hint, error.details) from error


def _load_config(path: Path) -> Any:
    try:
        return AutoConfig.from_pretrained(path, **_LOCAL_ONLY)
    except Exception as error:
        raise _explain(path, error) from error


def _load_tokenizer(path: Path) -> Any:
    try:
        return AutoTokenizer.from_pretrained(path, **_LOCAL_ONLY)
    except Exception as error:
        raise ModelError(
            f"The tokenizer in {path} cannot be loaded: {_first_line(error)}",
            "Fetch tokenizer.json and tokenizer_config.json again.",
            f"{type(error).__name__}: {error}",
        ) from error


def _check_whole(path: Path, report: Any) -> None:
    """Tensors that are missing would be random numbers: the model would answer, and answer nonsense."""
    missing = sorted(report["missing_keys"])
    wrong = sorted(str(entry[0]) for entry in report.get("mismatched_keys", ()))
    if missing or wrong:
        parts = [f"{_count(missing)} missing ({', '.join(missing[:3])})"] if missing else []
        parts += [f"{_count(wrong)} of another shape ({', '.join(wrong[:3])})"] if wrong else []
        raise ModelError(
            f"The weights in {path} do not match its config.json: {' and '.join(parts)}.",
            "Fetch the folder again, whole.",
            "\n".join([*missing, *wrong]),
        )


def _count(names: list[str]) -> str:
    return format_subject(len(names), "tensor")


def _explain(path: Path, error: Exception) -> ModelError:
    words = str(error)
    details = f"{type(error).__name__}: {words}"
    if "trust_remote_code" in words:
        return ModelError(
            f"{path} comes with code of its own, and such code never runs here.",
            "Choose a model whose architecture transformers knows, or its GGUF form.",
            details,
        )
    if "attention" in words.lower() and ("attn_implementation" in words or "flash" in words.lower()):
        return ModelError(
            f"{path} cannot be opened with this attention here: {_first_line(error)}",
            "Choose another attention in the model's entry, such as sdpa, or install what it needs.",
            details,
        )
    if isinstance(error, (KeyError, ValueError)) and ("model type" in words or "Unrecognized" in words):
        return ModelError(
            f"{path} has an architecture that transformers {transformers.__version__} cannot run as a language model.",
            "Choose another model, or update transformers when it learns this architecture.",
            details,
        )
    return ModelError(
        f"{path} could not be loaded: {_first_line(error)}", "Fetch the folder again, or choose another.", details
    )


def _first_line(error: Exception) -> str:
    lines = str(error).strip().splitlines()
    return lines[0] if lines else type(error).__name__
