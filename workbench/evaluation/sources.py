"""Sources: where the parts of a bench come from.

Knows nothing of what is done with them.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

from workbench.evaluation.bench import AdapterChoice, Bench
from workbench.evaluation.opening import open_library
from workbench.models.reference import Applied, Model, resolve_adapters, resolve_model
from workbench.paths import working_folder
from workbench.prompting.prompt import Prompt
from workbench.settings import Settings


def _find_paths(choices: tuple[AdapterChoice, ...]) -> tuple[Applied, ...]:
    return resolve_adapters(choices, working_folder(), ())


class Sources(NamedTuple):
    """Where the parts of a bench come from; all raise WorkbenchError for what they do not have."""

    open_prompt: Callable[[str], Prompt]
    find_model: Callable[[str], Model]
    find_adapters: Callable[[tuple[AdapterChoice, ...]], tuple[Applied, ...]] = _find_paths


def find_sources(bench: Bench, folder: Path, settings: Settings) -> Sources:
    """The prompts, models and adapters that a bench in a folder can name."""
    from workbench.models.discover import default_folders, discover_adapters, discover_models

    library = open_library(settings, bench, folder)
    folders = default_folders(settings, folder)
    known = discover_models(folders)
    adapters = discover_adapters(folders) if any(variant.adapters for variant in bench.variants) else ()
    return Sources(
        lambda name: library.open(name).prompt,
        lambda name: resolve_model(name, bench.models, folder, known),
        lambda choices: resolve_adapters(choices, folder, adapters),
    )
