"""A task: a recipe with everything it names found: base, prompt, training and validation rows, scorers."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import msgspec

from workbench import paths
from workbench.datasets import Cases
from workbench.datasets.dataset_types import RecognizedType
from workbench.errors import ModelError, TrainingError
from workbench.inference.types import Sampling
from workbench.models.discovery import default_folders, discover_adapters, find_known_models
from workbench.models.reference import Adapter, Model, resolve_adapters, resolve_model, with_template_kwargs
from workbench.prompting.prompt import Example, Prompt
from workbench.prompting.render import find_variables
from workbench.runs.bench import Bench, Variant, load_bench
from workbench.runs.generation import enabled_examples
from workbench.runs.inputs import check_inputs, list_columns
from workbench.runs.opening import open_library
from workbench.runs.passage_source import PASSAGES, PassageSource, find_passage_source
from workbench.runs.tool_setup import NO_SETUP, ToolSetup
from workbench.scoring.trust import Spec
from workbench.settings import Settings
from workbench.training.dataset_types import choose_type
from workbench.training.mixed_cases import MixedCases
from workbench.training.optimizer_args import check_packages
from workbench.training.recipe import Recipe, find_objective
from workbench.training.recipe_file import SUFFIX
from workbench.training.task_data import OpenedDataset, open_data

_FALLBACK: tuple[Spec, ...] = ("exact_match",)


class Task(NamedTuple):
    """A recipe with its parts. target: the model that the bench's variant runs on, None without a bench.

    train and validation are None for preference pairs without other data. test: the cases that the bench compares
    variants on, None without a bench. chat_template_kwargs: variables of the chat template that the variant is asked
    with, as a JSON object; empty: none. recognized: what the rows are where they are trained without the prompt, as
    conversations or text; None: they are variables of the prompt. tools: what the bench's tools answer. data_notes:
    how the rows were divided and drawn. passages: where those come from that the prompt shows with each row.
    """

    recipe: Recipe
    name: str
    folder: Path
    base: Model
    prompt: Prompt | None
    examples: tuple[Example, ...]
    sampling: Sampling
    train: Cases | MixedCases | None
    validation: Cases | MixedCases | None
    scorers: tuple[Spec, ...]
    parent: Adapter | None = None
    target: Model | None = None
    test: Cases | None = None
    chat_template_kwargs: str = ""
    recognized: RecognizedType | None = None
    tools: ToolSetup = NO_SETUP
    data_notes: tuple[str, ...] = ()
    passages: PassageSource | None = None


def open_task(recipe: Recipe, folder: Path, settings: Settings, name: str = "") -> Task:
    """Find everything that a recipe names.

    folder: the recipe's, from which relative paths are looked up first. name: of the adapter where the recipe gives
    none. Raises WorkbenchError for the first part that is missing.
    """
    check_packages(recipe.optimizer, recipe.method, recipe.report_to)
    bench_path = paths.find_input(recipe.bench, folder) if recipe.bench else None
    bench = load_bench(bench_path) if bench_path else None
    near = bench_path.parent if bench_path else folder
    variant = _choose_variant(bench, recipe.variant) if bench else None
    known = find_known_models(settings, folder)
    base = find_base(recipe.base, folder, known, bench, near)
    prompt = _open_prompt(recipe, bench, variant, near, settings)
    passages = _find_passages(recipe, bench, variant, prompt, near, known)
    data = open_data(recipe, bench, folder, near, prompt)
    recognized = _recognize(recipe, data.opened, prompt)
    if recognized is not None:
        prompt = None
    if prompt is not None:
        for one in data.opened:
            check_inputs(prompt, (*list_columns(one.cases), *([PASSAGES] if passages else [])), one.dataset)
    target = _find_target(variant, bench, near, known)
    asked = with_template_kwargs(target or base, variant.chat_template_kwargs) if variant else base
    made = data.auto_split or recipe.auto_split
    return Task(
        msgspec.structs.replace(recipe, auto_split=made) if made else recipe,
        recipe.name or name or (variant.name if variant else "adapter"),
        folder,
        base,
        prompt,
        enabled_examples(variant or Variant("", "", ""), prompt) if prompt else (),
        variant.sampling if variant else Sampling(max_tokens=64),
        data.train,
        data.validation,
        recipe.scorers or (bench.scorers if bench else _FALLBACK),
        _find_parent(recipe.parent, folder, settings),
        asked if target else None,
        data.test,
        asked.chat_template_kwargs,
        recognized,
        bench.tools if bench else NO_SETUP,
        data.notes,
        passages,
    )


def _recognize(recipe: Recipe, opened: Sequence[OpenedDataset], prompt: Prompt | None) -> RecognizedType | None:
    """What the rows are, which has to be the same in all of several datasets."""
    if not opened or find_objective(recipe).data not in ("rows", "prompts"):
        return None
    found = [choose_type(recipe.dataset_type, one.layout, one.cases, prompt is not None) for one in opened]
    first = found[0]
    if other := next((at for at, one in enumerate(found) if one != first), None):
        names = [one.words if one else "variables of the prompt" for one in (first, found[other])]
        raise TrainingError(
            f"{opened[0].cases.path.name} holds {names[0]}, and {opened[other].cases.path.name} holds {names[1]}.",
            "Train on datasets of one type, or say what a row is with dataset_type.",
        )
    if first and first.type == "text" and find_objective(recipe).data == "prompts":
        raise TrainingError(
            f"{find_objective(recipe).name} samples answers to prompts, and {opened[0].cases.path} is {first.words}.",
            "Name a prompt, or train with the objective sft.",
        )
    return first


def _find_passages(
    recipe: Recipe,
    bench: Bench | None,
    variant: Variant | None,
    prompt: Prompt | None,
    near: Path,
    known: Sequence[Model],
) -> PassageSource | None:
    """Where the passages come from that the variant's prompt shows; None where it shows none.

    near: the bench's folder. Raises TrainingError for a prompt that cannot be shown with rows to train on.
    """
    if prompt and prompt.nearest:
        raise TrainingError(
            f"{prompt.name} shows each case the nearest examples, which training rows do not have.",
            "Train with a prompt whose `nearest` is 0.",
        )
    if bench is None or variant is None or prompt is None or not variant.retrieval:
        return None
    if PASSAGES not in find_variables(prompt):
        return None
    if find_objective(recipe).data not in ("rows", "prompts"):
        raise TrainingError(
            f"{variant.name} retrieves passages, which the rows of {find_objective(recipe).name} do not have.",
            "Train with sft, or train a variant without `retrieve`.",
        )

    def find_model(name: str) -> Model:
        return resolve_model(name, bench.models, near, known)

    return find_passage_source(variant, prompt, bench.documents, near, find_model)


def recipe_name(path: Path) -> str:
    """The name that a recipe's file gives to its adapter."""
    return path.name.removesuffix(SUFFIX) if path.name.endswith(SUFFIX) else path.stem


def find_base(
    name: str, folder: Path, known: Sequence[Model] = (), bench: Bench | None = None, near: Path | None = None
) -> Model:
    """The model to train on: one of the bench's own, one that was found, or a path.

    near: the bench's folder. Raises ModelError where there is none, or none that can be trained.
    """
    if bench and name in bench.models:
        model = resolve_model(name, bench.models, near or folder, known)
    else:
        model = resolve_model(name, {}, folder, known)
    if model.format == "hf":
        return model
    if model.format == "gguf":
        twin = find_hf_source(model)
        form = (
            f"Name {twin.path} instead: it is the Hugging Face form of the same model."
            if twin
            else "Name the Hugging Face folder it was converted from; the adapter then applies to the GGUF file too."
        )
        raise ModelError(f"{name} is a GGUF file, which cannot be trained.", form)
    why = "it is on a server" if model.remote else f"its format is {model.format}"
    raise ModelError(f"{name} cannot be trained: {why}.", "Name a Hugging Face folder.")


def find_hf_source(model: Model) -> Model | None:
    """The Hugging Face folder beside a GGUF file that it was made from, by its name: `desk` for `desk-q8_0.gguf`."""
    from workbench.models.reference import detect_format

    if model.format == "hf":
        return model
    if model.format != "gguf":
        return None
    parts = model.path.stem.split("-")
    beside = [model.path.with_name("-".join(parts[:end])) for end in range(len(parts), 0, -1)]
    folder = next((path for path in beside if detect_format(path) == "hf"), None)
    return Model(folder.name, folder, "hf") if folder else None


def recipe_from_bench(bench_path: Path, variant: str, settings: Settings) -> Recipe:
    """The recipe that trains on a bench's own data, with the defaults. Raises WorkbenchError without data."""
    bench = load_bench(bench_path)
    chosen = _choose_variant(bench, variant)
    if bench.dataset is None:
        raise TrainingError(f"{bench_path} has no dataset to train on.", "Add one with a split `train`.")
    folder = bench_path.parent
    model = resolve_model(chosen.model, bench.models, folder, find_known_models(settings, folder))
    twin = find_hf_source(model)
    if twin is None:
        raise ModelError(
            f"{chosen.model}, which {chosen.name} runs on, cannot be trained: {_describe_form(model)}.",
            "Write a recipe whose base is the Hugging Face folder of the same model.",
        )
    return Recipe(base=_name_base(twin, model), bench=str(bench_path), variant=chosen.name)


def _describe_form(model: Model) -> str:
    return "it is on a server" if model.remote else "it is a GGUF file"


def _name_base(twin: Model, model: Model) -> str:
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
    prompt = library.open(wanted).prompt
    if prompt.steps:
        raise TrainingError(
            f"{wanted} is a chain of several calls, and training learns the answer to one.",
            "Train on the prompt of one of its steps, or on one without steps.",
        )
    pictures = [name for name, kind in prompt.kinds.items() if kind == "image"]
    if pictures:
        raise TrainingError(
            f"{wanted} has pictures ({pictures[0]}), which training rows cannot show: the model would learn another"
            " prompt than it is asked later.",
            "Train on a prompt without them.",
        )
    return prompt


def _find_parent(name: str, folder: Path, settings: Settings) -> Adapter | None:
    if not name:
        return None
    from workbench.runs.bench import AdapterChoice

    known = discover_adapters(default_folders(settings, folder))
    (applied,) = resolve_adapters((AdapterChoice(name),), folder, known)
    if applied.adapter.format != "peft":
        raise ModelError(
            f"{name} is a GGUF adapter, which cannot be trained.", "Name the PEFT folder that it was converted from."
        )
    return applied.adapter


def _find_target(variant: Variant | None, bench: Bench | None, near: Path, known: Sequence[Model]) -> Model | None:
    if variant is None or bench is None:
        return None
    try:
        return resolve_model(variant.model, bench.models, near, known)
    except ModelError:
        return None
