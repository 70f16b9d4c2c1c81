"""Task: what a recipe means: the base, the prompt, the rows to learn from and to examine on, the judges.

Knows where the parts of a recipe are found, and says of each that is missing what to do; not how they are trained.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import msgspec

from workbench import paths
from workbench.engines.engine import Sampling
from workbench.errors import DatasetError, ModelError, TrainingError, WorkbenchError
from workbench.evaluation.bench import Bench, Dataset, Variant, load_bench
from workbench.evaluation.datasets import Cases, load_cases
from workbench.evaluation.inputs import check_inputs, list_columns
from workbench.evaluation.launch import enabled_examples
from workbench.evaluation.opening import open_library
from workbench.models.discover import default_folders, discover_adapters, discover_models
from workbench.models.reference import Adapter, Model, resolve_adapters, resolve_model, with_template_kwargs
from workbench.prompting.prompt import Example, Prompt
from workbench.settings import Settings
from workbench.training.recipe import SUFFIX, Recipe, Spec

_FALLBACK: tuple[Spec, ...] = ("exact_match",)


class Task(NamedTuple):
    """A recipe with its parts found. target: the model that the bench's variant runs on, None without a bench.

    train and validation are None where pairs of answers are learned and no data is named. test: the cases that the
    bench compares variants on, None without a bench. chat_template_kwargs: variables of the chat template that the
    variant is asked with, as a JSON object; empty: none.
    """

    recipe: Recipe
    name: str
    folder: Path
    base: Model
    prompt: Prompt | None
    examples: tuple[Example, ...]
    sampling: Sampling
    train: Cases | None
    validation: Cases | None
    scorers: tuple[Spec, ...]
    parent: Adapter | None = None
    target: Model | None = None
    test: Cases | None = None
    chat_template_kwargs: str = ""


def open_task(recipe: Recipe, folder: Path, settings: Settings, name: str = "") -> Task:
    """Find everything that a recipe names.

    folder: the recipe's, from which relative paths are looked up first. name: of the adapter where the recipe gives
    none. Raises WorkbenchError for the first part that is missing.
    """
    bench_path = paths.find_input(recipe.bench, folder) if recipe.bench else None
    bench = load_bench(bench_path) if bench_path else None
    near = bench_path.parent if bench_path else folder
    variant = _choose_variant(bench, recipe.variant) if bench else None
    known = discover_models(default_folders(settings, folder))
    base = find_base(recipe.base, folder, known)
    prompt = _open_prompt(recipe, bench, variant, near, settings)
    train, validation = _choose_data(recipe, bench)
    cases = _load(train, folder if recipe.train else near, "learn from") if train else None
    if prompt and train and cases is not None:
        check_inputs(prompt, list_columns(cases), train)
    target = _find_target(variant, bench, near, known)
    asked = with_template_kwargs(target or base, variant.chat_template_kwargs) if variant else base
    return Task(
        recipe,
        recipe.name or name or (variant.name if variant else "adapter"),
        folder,
        base,
        prompt,
        enabled_examples(variant or Variant("", "", ""), prompt) if prompt else (),
        variant.sampling if variant else Sampling(max_tokens=64),
        cases,
        _load_validation(validation, folder if recipe.validation else near, required=recipe.validation is not None),
        recipe.scorers or (bench.scorers if bench else _FALLBACK),
        _find_parent(recipe.parent, folder, settings),
        asked if target else None,
        _load_validation(bench.dataset, near, required=False) if bench else None,
        asked.chat_template_kwargs,
    )


def name_of(path: Path) -> str:
    """The name that a recipe's file gives to its adapter."""
    return path.name.removesuffix(SUFFIX) if path.name.endswith(SUFFIX) else path.stem


def find_base(name: str, folder: Path, known: Sequence[Model] = ()) -> Model:
    """The model to train on. Raises ModelError where there is none, or none that can be trained."""
    model = resolve_model(name, {}, folder, known)
    if model.format == "hf":
        return model
    if model.format == "gguf":
        twin = find_twin(model)
        form = (
            f"Name {twin.path} instead: it is the Hugging Face form of the same model."
            if twin
            else ("Name the Hugging Face folder it was made from; the adapter can then be laid over the GGUF file.")
        )
        raise ModelError(f"{name} is a GGUF file, which can answer but not be trained.", form)
    raise ModelError(f"{name} is no model that can be trained.", "Name a Hugging Face folder.")


def find_twin(model: Model) -> Model | None:
    """The Hugging Face folder beside a GGUF file that it was made from, by its name: `desk` for `desk-q8_0.gguf`."""
    from workbench.models.reference import recognize

    if model.format == "hf":
        return model
    parts = model.path.stem.split("-")
    beside = [model.path.with_name("-".join(parts[:end])) for end in range(len(parts), 0, -1)]
    folder = next((path for path in beside if recognize(path) == "hf"), None)
    return Model(folder.name, folder, "hf") if folder else None


def recipe_of(bench_path: Path, variant: str, settings: Settings) -> Recipe:
    """The recipe that trains on a bench's own data, with the defaults. Raises WorkbenchError where it has none."""
    bench = load_bench(bench_path)
    chosen = _choose_variant(bench, variant)
    if bench.dataset is None:
        raise TrainingError(
            f"{bench_path} has no dataset to learn from.", "Give it one, with a split `train` beside it."
        )
    folder = bench_path.parent
    model = resolve_model(chosen.model, bench.models, folder, discover_models(default_folders(settings, folder)))
    twin = find_twin(model)
    if twin is None:
        raise ModelError(
            f"{chosen.model}, which {chosen.name} runs on, is a GGUF file and cannot be trained.",
            "Write a recipe whose base is the Hugging Face folder that the file was made from.",
        )
    return Recipe(base=_shorten(twin, model), bench=str(bench_path), variant=chosen.name)


def _shorten(twin: Model, model: Model) -> str:
    return twin.name if twin == model else str(twin.path)


def _choose_variant(bench: Bench, name: str) -> Variant:
    if not name:
        return bench.variants[0]
    found = next((variant for variant in bench.variants if variant.name == name), None)
    if found is None:
        names = ", ".join(variant.name for variant in bench.variants)
        raise TrainingError(f"The bench has no variant {name!r}.", f"Its variants are: {names}.")
    return found


def _open_prompt(
    recipe: Recipe, bench: Bench | None, variant: Variant | None, near: Path, settings: Settings
) -> Prompt | None:
    wanted = recipe.prompt or (variant.prompt if variant else "")
    if not wanted:
        return None
    if recipe.library:
        bench = msgspec.structs.replace(bench, library=recipe.library) if bench else None
        near = near if bench else paths.find_input(recipe.library, near)
    library = open_library(settings, bench, near if (bench or recipe.library) else None)
    return library.open(wanted).prompt


def _choose_data(recipe: Recipe, bench: Bench | None) -> tuple[Dataset | None, Dataset | None]:
    """What is learned from and what is examined on; of a bench, and of a file with splits beside it, those splits."""
    of_bench = bench.dataset if bench else None
    plain = msgspec.structs.replace(of_bench, sample=None, limit=None) if of_bench else None
    train = recipe.train or (msgspec.structs.replace(plain, split="train") if plain and not recipe.preference else None)
    source = recipe.train or plain
    validation = recipe.validation or (
        msgspec.structs.replace(source, split="validation", sample=None, limit=None) if source else None
    )
    return train, validation


def _load(dataset: Dataset, folder: Path, purpose: str) -> Cases:
    try:
        return load_cases(dataset, folder)
    except DatasetError as error:
        raise DatasetError(f"There are no rows to {purpose}: {error.message}", error.hint, error.details) from error


def _load_validation(dataset: Dataset | None, folder: Path, required: bool) -> Cases | None:
    """The rows to examine on; None where none are named and none lie beside the others."""
    if dataset is None:
        return None
    try:
        return load_cases(dataset, folder)
    except WorkbenchError as error:
        if required:
            raise TrainingError(
                f"There are no rows to examine on: {error.message}", error.hint, error.details
            ) from error
        return None


def _find_parent(name: str, folder: Path, settings: Settings) -> Adapter | None:
    if not name:
        return None
    from workbench.evaluation.bench import AdapterChoice

    known = discover_adapters(default_folders(settings, folder))
    (applied,) = resolve_adapters((AdapterChoice(name),), folder, known)
    if applied.adapter.format != "peft":
        raise ModelError(
            f"{name} is a GGUF adapter, which cannot be trained further.", "Name the PEFT folder that it was made from."
        )
    return applied.adapter


def _find_target(variant: Variant | None, bench: Bench | None, near: Path, known: Sequence[Model]) -> Model | None:
    if variant is None or bench is None:
        return None
    try:
        return resolve_model(variant.model, bench.models, near, known)
    except ModelError:
        return None
