"""A `*.recipe.yaml` read, and written with its comments kept."""

from __future__ import annotations

from pathlib import Path

from workbench import files, yaml_document
from workbench.errors import BenchError, TrainingError
from workbench.training.method import Method
from workbench.training.recipe import EvalArgs, Recipe, TrainingArgs
from workbench.training.recipe_problems import check_recipe
from workbench.yaml_render import render_block
from workbench.yaml_tree import parse_yaml, to_plain

SUFFIX = ".recipe.yaml"


def load_recipe(path: Path) -> Recipe:
    """Read a recipe. Raises FileError when it cannot be read, TrainingError with line and key of all that is wrong."""
    return parse_recipe(files.read_text(path), str(path))


def parse_recipe(text: str, where: str) -> Recipe:
    """The recipe that a text describes; `where` names the text in errors."""
    try:
        recipe = yaml_document.decode(text, Recipe, where)
    except BenchError as error:
        raise TrainingError(error.message, error.hint, error.details) from error
    check_recipe(recipe, where)
    return recipe


def parse_stored_recipe(text: str, where: str) -> Recipe:
    """The recipe that a job or a manifest keeps, also as an earlier version wrote it."""
    held = to_plain(parse_yaml(text))
    sections: dict[str, type[Method | TrainingArgs | EvalArgs]] = {
        "method": Method,
        "training": TrainingArgs,
        "evaluation": EvalArgs,
    }
    renamed = {
        name: {kind.RENAMED.get(key, key): value for key, value in held[name].items()}
        for name, kind in sections.items()
        if isinstance(held, dict) and isinstance(held.get(name), dict)
    }
    return parse_recipe(render_block({**held, **renamed}) if renamed else text, where)


def save_recipe(path: Path, recipe: Recipe, expected_digest: str | None = None) -> str:
    """Write a recipe, keeping the comments and key order of the file that is there; the new digest.

    expected_digest: as in files.write_text, whose errors it raises.
    """
    old = files.read_text(path) if path.exists() else ""
    text = yaml_document.encode(recipe, old)
    files.write_text(path, text, expected_digest)
    return files.digest_text(text)
