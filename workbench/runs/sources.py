"""Where the parts of a bench come from."""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import NamedTuple

from workbench.models.reference import Adapter, Applied, Model, resolve_adapters, resolve_model
from workbench.paths import working_folder
from workbench.prompting.prompt import Prompt
from workbench.runs.bench import AdapterChoice, Bench, Variant
from workbench.runs.chain import resolve_chain
from workbench.runs.opening import open_library
from workbench.runs.passage_source import PassageSource, find_passage_source
from workbench.settings import Settings


def _find_paths(choices: tuple[AdapterChoice, ...]) -> tuple[Applied, ...]:
    return resolve_adapters(choices, working_folder(), ())


def _find_no_passages(variant: Variant, prompt: Prompt) -> PassageSource | None:
    return find_passage_source(variant, prompt, None, working_folder(), Model)


class Sources(NamedTuple):
    """Where the parts of a bench come from; all raise WorkbenchError for what they do not have.

    open_prompt: gives a chain with its steps looked up.
    """

    open_prompt: Callable[[str], Prompt]
    find_model: Callable[[str], Model]
    find_adapters: Callable[[tuple[AdapterChoice, ...]], tuple[Applied, ...]] = _find_paths
    find_passages: Callable[[Variant, Prompt], PassageSource | None] = _find_no_passages

    def once(self) -> Sources:
        """The same with each part found once, for a whole run."""
        return self._replace(
            open_prompt=cache(self.open_prompt),
            find_model=cache(self.find_model),
            find_adapters=cache(self.find_adapters),
        )


def find_sources(bench: Bench, folder: Path, settings: Settings) -> Sources:
    """The prompts, models and adapters that a bench in a folder can name."""
    from workbench.models.discovery import default_folders, discover_adapters, find_known_models

    library = open_library(settings, bench, folder)
    folders = default_folders(settings, folder)
    known = find_known_models(settings, folder)

    @cache
    def list_adapters() -> tuple[Adapter, ...]:
        return discover_adapters(folders)

    def find_model(name: str) -> Model:
        return resolve_model(name, bench.models, folder, known, settings.offload)

    return Sources(
        lambda name: resolve_chain(library.open(name).prompt, lambda step: library.open(step).prompt),
        find_model,
        lambda choices: resolve_adapters(choices, folder, list_adapters() if choices else ()),
        lambda variant, prompt: find_passage_source(variant, prompt, bench.documents, folder, find_model),
    )
