"""Whether a model on this machine can be shown pictures, told before it is loaded."""

from __future__ import annotations

from workbench.errors import ModelError
from workbench.models.hf_folder import read_config
from workbench.models.projector import check_projector
from workbench.models.reference import Model
from workbench.models.untrusted_files import is_regular

_PROCESSORS = ("preprocessor_config.json", "processor_config.json")


def check_sees(model: Model) -> None:
    """Raise ModelError that names the model, and why, where it cannot be shown pictures. A server's is asked later."""
    if model.format == "remote":
        return
    if model.format == "gguf":
        check_projector(model)
    elif model.format == "hf":
        _check_folder(model)
    else:
        raise ModelError(
            f"{model.name} cannot be shown pictures: a script reads text alone.", "Choose a model that sees."
        )


def _check_folder(model: Model) -> None:
    if not isinstance(read_config(model.path).get("vision_config"), dict):
        raise ModelError(
            f"{model.name} cannot be shown pictures: its config.json has no vision_config.", "Choose a model that sees."
        )
    if not any(is_regular(model.path / name) for name in _PROCESSORS):
        raise ModelError(
            f"{model.name} cannot be shown pictures: its folder has no {_PROCESSORS[0]}, which says how pictures are"
            " prepared.",
            "Fetch the folder again, whole.",
        )
