"""A Hugging Face folder's configuration as transformers completes it: with the defaults of its class filled in.

It loads transformers: run it in a process of its own.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from workbench.errors import ModelError
from workbench.models.folder import read_config


def read_effective_config(folder: Path) -> dict[str, Any]:
    """Everything that the model is built from. Raises ModelError."""
    from transformers import AutoConfig
    from transformers.models.auto.modeling_auto import MODEL_FOR_CAUSAL_LM_MAPPING_NAMES as CLASSES

    stored = read_config(folder)
    try:
        config: dict[str, Any] = AutoConfig.from_pretrained(
            folder, local_files_only=True, trust_remote_code=False
        ).to_dict()
    except Exception as error:  # whatever a library raises over foreign files
        said = (str(error).strip().splitlines() or [type(error).__name__])[0][:300]
        raise ModelError(
            f"{folder / 'config.json'} describes no model that transformers knows: {said}",
            "Fetch the folder again, or a GGUF file of this model.",
            f"{type(error).__name__}: {error}"[:4000],
        ) from error
    if not stored.get("architectures"):
        config["architectures"] = [CLASSES.get(stored["model_type"], stored["model_type"])]
    return config
