"""The processor of a Hugging Face folder, which prepares pictures for its model."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import transformers
from transformers import AutoConfig, AutoImageProcessor, AutoProcessor, AutoTokenizer
from transformers.models.auto.processing_auto import PROCESSOR_MAPPING_NAMES

from workbench.errors import ModelError

_LOCAL_ONLY = {"local_files_only": True, "trust_remote_code": False}
_PARTS = {"image_processor": AutoImageProcessor, "tokenizer": AutoTokenizer}


def load_processor(path: Path) -> Any:
    """What prepares pictures for a folder's model. Raises ModelError."""
    try:
        try:
            return AutoProcessor.from_pretrained(path, **_LOCAL_ONLY)
        except ImportError:
            return _load_for_pictures(path)
    except Exception as error:
        lines = str(error).strip().splitlines()
        raise ModelError(
            f"The processor in {path}, which prepares pictures, cannot be loaded:"
            f" {lines[0] if lines else type(error).__name__}",
            "Install what it asks for, or use the model's GGUF form with a projector.",
            f"{type(error).__name__}: {error}",
        ) from error


def _load_for_pictures(path: Path) -> Any:
    """The same without the part for videos, which wants torchvision; pictures need it for nothing."""
    name = PROCESSOR_MAPPING_NAMES[AutoConfig.from_pretrained(path, **_LOCAL_ONLY).model_type]
    base: Any = getattr(transformers, name)

    def check(self: Any, part: str, given: Any) -> Any:
        return None if part == "video_processor" else base.check_argument_for_proper_class(self, part, given)

    kind: Any = type(base.__name__, (base,), {"check_argument_for_proper_class": check})
    parts = [
        _PARTS[part].from_pretrained(path, **_LOCAL_ONLY) if part in _PARTS else None for part in kind.get_attributes()
    ]
    settings, _ = kind.get_processor_dict(path, **_LOCAL_ONLY)
    return kind.from_args_and_dict(parts, settings)
