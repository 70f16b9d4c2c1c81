"""Checks a bench, a recipe, a prompt or the settings, with all that they name: every problem with its line."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import msgspec

from workbench import files, paths
from workbench.datasets.case import Case
from workbench.datasets.cases import Cases, load_cases
from workbench.datasets.spec import Dataset
from workbench.datasets.turns import list_turn_variables
from workbench.errors import FileError, PromptError, TemplateError, WorkbenchError
from workbench.library.formats.prompty import split
from workbench.library.library import Library
from workbench.library.names import SUFFIXES as PROMPT_SUFFIXES
from workbench.library.names import strip_suffix
from workbench.library.open_prompt import open_prompt
from workbench.models.adapter_config import find_named_base
from workbench.models.discovery import default_folders, discover_adapters, find_known_models
from workbench.models.reference import Adapter, Model, resolve_adapters, resolve_model
from workbench.prompting.prompt import Prompt
from workbench.prompting.render import find_variables
from workbench.retrieval.documents import list_files
from workbench.retrieval.spec import Retrieve
from workbench.runs import bench as bench_file
from workbench.runs.bench import AdapterChoice, Bench, Variant, load_bench
from workbench.runs.chain import check_sampling, list_step_models, resolve_chain
from workbench.runs.inputs import check_inputs, list_columns
from workbench.runs.opening import open_library
from workbench.runs.passage_finder import PassageFinder
from workbench.runs.passage_source import PASSAGES, find_passage_source
from workbench.runs.project import locate_prompt
from workbench.runs.retrieval_warnings import check_relevant
from workbench.scoring.factory import make_each
from workbench.scoring.grader_request import GraderName, name_grader
from workbench.settings import Settings, load_settings
from workbench.training.recipe import Recipe
from workbench.training.recipe_file import SUFFIX as RECIPE_SUFFIX
from workbench.training.recipe_problems import find_value_problems
from workbench.training.task import find_base
from workbench.training.task_data import locate_dataset
from workbench.yaml_document import find_problems
from workbench.yaml_tree import YamlParseError, YamlProblem, find_line, parse_yaml, to_plain

_PATH = re.compile(r"[A-Za-z_]\w*(?:\.[\w-]+|\[\d+\])*")
_STEP = re.compile(r"([\w-]+)|\[(\d+)\]")
_AT_LINE = re.compile(r" at line \d+(?:, column \d+)?")


def check_file(path: Path, settings: Settings) -> tuple[YamlProblem, ...]:
    """Everything that is wrong with a file, by line; line 0: the file as a whole.

    Raises FileError for a file that cannot be read or is of no known kind.
    """
    text = files.read_text(path)
    if path.name.endswith(PROMPT_SUFFIXES):
        found = list(_check_prompt(path, text, settings))
    elif path.suffix == ".toml":
        found = list(_check_settings(path))
    elif path.suffix in (".yaml", ".yml"):
        found = _check_yaml(path, text, settings)
    else:
        raise FileError(
            f"{path} is none of the files that can be checked.",
            "Expected a .bench.yaml, a .recipe.yaml, a .prompty, a .chain.yaml or the settings (.toml).",
        )
    return tuple(sorted(dict.fromkeys(found)))


class _Findings:
    """The problems of a YAML file, each put at the line of a key."""

    def __init__(self, tree: Any) -> None:
        self._tree = tree
        self.problems: list[YamlProblem] = []

    def add(self, path: str, message: str) -> None:
        self.problems.append(YamlProblem(self._line(path), " ".join(message.split())))

    def add_described(self, message: str) -> None:
        """A problem that begins with the path of its key."""
        path = _PATH.match(message)
        self.add(path[0] if path else "", message)

    @contextmanager
    def at(self, path: str) -> Iterator[None]:
        """An error raised in here is a problem of this key."""
        try:
            yield
        except WorkbenchError as error:
            self.add(path, f"{path}: {error.message}")

    def _line(self, path: str) -> int:
        node, line = self._tree, 1
        for step in _STEP.finditer(path):
            key = step[1] or int(step[2])
            line = find_line(node, key, line)
            try:
                node = node[key]
            except (KeyError, IndexError, TypeError):
                break
        return line


def _check_yaml(path: Path, text: str, settings: Settings) -> list[YamlProblem]:
    try:
        tree = parse_yaml(text)
        plain = to_plain(tree)
    except YamlParseError as error:
        return [error.problem]
    keys = plain if isinstance(plain, dict) else {}
    is_recipe = path.name.endswith(RECIPE_SUFFIX) or ("base" in keys and "variants" not in keys)
    kind: type[Bench | Recipe] = Recipe if is_recipe else Bench
    found = _Findings(tree)
    found.problems += find_problems(tree, kind)
    _check_scorers(keys.get("scorers"), path.parent, found)
    if found.problems:  # what a file names can only be looked for when its form is right
        return found.problems
    value = msgspec.convert(plain, kind)
    if isinstance(value, Recipe):
        _check_recipe(value, path.parent, settings, found)
    else:
        _check_bench(value, path.parent, settings, found)
    return found.problems


def _check_scorers(specs: Any, folder: Path, found: _Findings) -> None:
    sound = [spec for spec in specs if isinstance(spec, (str, dict))] if isinstance(specs, list) else []
    for index, spec in enumerate(sound):
        for problem in make_each([spec], folder)[1]:
            found.add(f"scorers[{index}]", f"scorers[{index}]: {problem}")
    for problem in make_each(sound, folder)[1]:
        if problem.startswith("two scorers"):
            found.add("scorers", f"scorers: {problem}")


def _check_bench(bench: Bench, folder: Path, settings: Settings, found: _Findings) -> None:
    for message in bench_file.find_value_problems(bench):
        found.add_described(message)
    cases = _check_dataset("dataset", bench.dataset, folder, found) if bench.dataset else None
    library = None
    with found.at("library"):
        library = open_library(settings, bench, folder)
    models = find_known_models(settings, folder)
    adapters = discover_adapters(default_folders(settings, folder))
    for index, variant in enumerate(bench.variants):
        where = f"variants[{index}]"
        remote = False
        with found.at(f"{where}.model"):
            remote = resolve_model(variant.model, bench.models, folder, models).remote is not None
        for number, choice in enumerate(() if remote else variant.adapters):
            with found.at(f"{where}.adapters[{number}]"):
                resolve_adapters((choice,), folder, adapters)
        with found.at(f"{where}.prompt"):
            if library:
                prompt = resolve_chain(library.open(variant.prompt).prompt, _open_step(library))
                check_sampling(prompt, variant.sampling, variant.default_sampling)
                _check_inputs(prompt, cases, bench.dataset, retrieves=variant.retrieval is not None)
                for name in list_step_models(prompt):
                    resolve_model(name, bench.models, folder, models)
                if variant.retrieval:
                    with found.at(f"{where}.retrieve"):
                        _check_retrieval(variant, prompt, bench, cases, folder, models)
    case = cases[0] if cases else Case(1, {}, "x")
    for index, spec in enumerate(bench.scorers):
        with found.at(f"scorers[{index}]"):
            for scorer in make_each([spec], folder)[0]:
                for grader in dict.fromkeys(map(name_grader, scorer.grader_requests("", case))):
                    _find_grader(grader, bench, folder, models, adapters)
    for index, task in enumerate(bench.keep):
        kept = _check_dataset(f"keep[{index}].dataset", task.dataset, folder, found)
        with found.at(f"keep[{index}].prompt"):
            if library and task.prompt:
                _check_inputs(resolve_chain(library.open(task.prompt).prompt, _open_step(library)), kept, task.dataset)
        for problem in make_each(task.scorers, folder)[1]:
            found.add(f"keep[{index}].scorers", f"keep[{index}].scorers: {problem}")


def _find_grader(
    name: GraderName, bench: Bench, folder: Path, models: Sequence[Model], adapters: Sequence[Adapter]
) -> None:
    """Raise ModelError for a judge or a reward model that is not there."""
    base = name.model
    if name.adapter:
        (applied,) = resolve_adapters((AdapterChoice(name.adapter),), folder, adapters)
        base = base or find_named_base(applied.adapter)
    if base:
        resolve_model(base, bench.models, folder, models)


def _open_step(library: Library) -> Callable[[str], Prompt]:
    return lambda name: library.open(name).prompt


def _check_dataset(where: str, dataset: Dataset, folder: Path, found: _Findings) -> Cases | None:
    """The cases of a dataset that has any."""
    with found.at(where):
        cases = load_cases(dataset, folder)
        return cases if cases[0] else None
    return None


def _check_inputs(prompt: Prompt, cases: Cases | None, dataset: Dataset | None, retrieves: bool = False) -> None:
    """Raise PromptError or TemplateError for a prompt that the cases do not fit."""
    asked = find_variables(prompt)
    if cases is None or dataset is None:
        return
    first = cases[0]
    columns = (*first.variables, *list_turn_variables((first,)), *([PASSAGES] if retrieves else []))
    known = {*columns, *prompt.defaults, *dataset.defaults}
    if missing := [name for name in asked if name not in known]:
        raise PromptError(
            f"the prompt {prompt.name} asks for {', '.join(missing)}; the cases have {', '.join(columns)}."
        )
    every = (*list_columns(cases), *([PASSAGES] if retrieves else []))
    check_inputs(prompt, every, dataset)


def _check_retrieval(
    variant: Variant, prompt: Prompt, bench: Bench, cases: Cases | None, folder: Path, models: Sequence[Model]
) -> None:
    """Raise WorkbenchError where nothing can be retrieved for a variant."""
    source = find_passage_source(
        variant, prompt, bench.documents, folder, lambda name: resolve_model(name, bench.models, folder, models)
    )
    if source is None or source.is_empty:
        return
    if cases is not None:
        check_relevant(source, cases)
    finder = PassageFinder()
    try:
        if source.retrieve.pin:
            finder.find(
                msgspec.structs.replace(source, retrieve=Retrieve("none", pin=source.retrieve.pin)), Case(0, {})
            )
        else:
            list_files(source.path)
    finally:
        finder.close()


def _check_recipe(recipe: Recipe, folder: Path, settings: Settings, found: _Findings) -> None:
    for message in find_value_problems(recipe):
        found.add_described(message)
    folders = default_folders(settings, folder)
    near, bench = folder, None
    if recipe.bench:
        with found.at("bench"):
            path = paths.find_input(recipe.bench, folder)
            near, bench = path.parent, load_bench(path)
    with found.at("base"):
        find_base(recipe.base, folder, find_known_models(settings, folder), bench, near)
    if recipe.parent:
        with found.at("parent"):
            resolve_adapters((AdapterChoice(recipe.parent),), folder, discover_adapters(folders))
    names = [variant.name for variant in bench.variants] if bench else []
    if bench and recipe.variant and recipe.variant not in names:
        found.add("variant", f"variant: {recipe.bench} has no variant {recipe.variant!r}; it has {', '.join(names)}")
    if recipe.prompt and not recipe.library:
        with found.at("prompt"):
            open_library(settings, bench, near).open(recipe.prompt)
    own = bench.dataset if bench else None
    mixed = ((f"datasets[{index}]", dataset) for index, dataset in enumerate(recipe.datasets))
    for where, dataset in (("train", recipe.train), ("validation", recipe.validation), *mixed):
        if dataset:
            with found.at(where):
                _check_dataset(where, *locate_dataset(dataset, own, folder, near), found)


def _check_prompt(path: Path, text: str, settings: Settings) -> Iterator[YamlProblem]:
    try:
        prompt = open_prompt(path, strip_suffix(path.name), read_only=True).prompt
    except WorkbenchError as error:
        yield from _split_message(error.message, path)
        return
    above = text[: len(text) - len(split(text, path).body)].count("\n")
    yield from _check_template(lambda: find_variables(prompt), above)
    if prompt.steps:
        yield from _check_steps(path, prompt, settings)


def _check_steps(path: Path, prompt: Prompt, settings: Settings) -> Iterator[YamlProblem]:
    """What the steps of a chain name."""
    folder, _ = locate_prompt(path.absolute())
    library = open_library(msgspec.structs.replace(settings, library=str(folder)))
    try:
        resolve_chain(prompt, _open_step(library))
    except WorkbenchError as error:
        yield from _split_message(error.message, path)


def _check_template(compile: Callable[[], object], above: int) -> Iterator[YamlProblem]:
    """above: lines of the file before the template."""
    try:
        compile()
    except TemplateError as error:
        yield YamlProblem(above + (error.line or 1), _AT_LINE.sub("", error.message), error.column or 0)
    except PromptError as error:
        yield YamlProblem(above + 1, error.message)


def _check_settings(path: Path) -> Iterator[YamlProblem]:
    try:
        load_settings(path)
    except WorkbenchError as error:
        yield from _split_message(error.message, path)


def _split_message(message: str, path: Path) -> Iterator[YamlProblem]:
    """The problems in an error's message, a line each, at the lines it names."""
    for line in message.splitlines():
        own = line.strip().removeprefix(f"{path}:").removeprefix(str(path)).strip()
        numbered = re.match(r"(\d+): (.*)", own)
        mentioned = re.search(r"\bline (\d+)", own)
        if numbered:
            yield YamlProblem(int(numbered[1]), numbered[2])
        else:
            yield YamlProblem(int(mentioned[1]) if mentioned else 0, own)
