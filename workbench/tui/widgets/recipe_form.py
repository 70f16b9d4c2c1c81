"""RecipeForm: every value of a recipe as a line to type in, with its explanation while the cursor stands there.

Knows nothing of training: which values there are, and what they may be, the recipe says.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import msgspec
from textual import events, on
from textual.app import ComposeResult
from textual.containers import Horizontal, Vertical, VerticalScroll
from textual.message import Message

from workbench.errors import TrainingError
from workbench.sanitize import sanitize
from workbench.training.fields import Field, list_fields, list_sections
from workbench.training.recipe import Recipe, check_recipe
from workbench.tui.widgets.editing import Input
from workbench.tui.widgets.plain import Label

_OPEN = ("", "method", "training", "evaluation", "budget")
"""sections that a form shows; the rest comes from the bench, and can be written in the file"""


class RecipeForm(Vertical):
    """Fields by section, and what the one under the cursor means."""

    class Edited(Message):
        """The recipe is another, and can be trained as it reads."""

        def __init__(self, recipe: Recipe) -> None:
            super().__init__()
            self.recipe = recipe

    def __init__(self, recipe: Recipe) -> None:
        super().__init__(id="recipe-form")
        self.recipe = recipe
        self._fields = {_id(field): field for field in list_fields() if field.section in _OPEN}

    def compose(self) -> ComposeResult:
        told = {section.path: section.explanation for section in list_sections()}
        values = msgspec.to_builtins(self.recipe)
        section = None
        with VerticalScroll(can_focus=False):
            for id, field in self._fields.items():
                if field.section != section:
                    section = field.section
                    yield Label(f"{section or 'recipe'}  {told.get(section, '')}", classes="recipe-section")
                with Horizontal(classes="field"):
                    yield Label(field.name.replace("_", " "))
                    text = write_value(field, values)
                    yield Input(text, placeholder=_default(field), id=id, compact=True)
        yield Label("", id="recipe-explanation")

    def load(self, recipe: Recipe) -> None:
        """Show another recipe."""
        self.recipe = recipe
        values = msgspec.to_builtins(recipe)
        with self.prevent(Input.Changed):
            for id, field in self._fields.items():
                self.query_one(f"#{id}", Input).value = write_value(field, values)

    def on_descendant_focus(self, event: events.DescendantFocus) -> None:
        field = self._fields.get(event.widget.id or "")
        if field is not None:
            choices = f" ({', '.join(choice for choice in field.choices if choice)})" if field.choices else ""
            self._say(f"{field.explanation}{choices}")

    @on(Input.Changed)
    def _changed(self, event: Input.Changed) -> None:
        event.stop()
        typed = [(field, self.query_one(f"#{id}", Input).value) for id, field in self._fields.items()]
        try:
            recipe = read_values(self.recipe, typed)
        except TrainingError as error:
            self._say(error.message, problem=True)
            return
        if recipe != self.recipe:
            self.recipe = recipe
            self.post_message(self.Edited(recipe))
        field = self._fields.get(event.input.id or "")
        self._say(field.explanation if field else "")

    def _say(self, text: str, problem: bool = False) -> None:
        label = self.query_one("#recipe-explanation", Label)
        label.update(sanitize(text))
        label.set_class(problem, "-problem")


def write_value(field: Field, values: dict[str, Any]) -> str:
    """A field as one types it; empty where the recipe says nothing else than the default."""
    value: Any = values
    for key in field.path.split("."):
        if not isinstance(value, dict) or key not in value:
            return ""
        value = value[key]
    if value is None:
        return ""
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, (list, tuple)):
        return ", ".join(item if isinstance(item, str) else str(item) for item in value)
    return f"{value:g}" if isinstance(value, float) else str(value)


def read_values(recipe: Recipe, typed: Iterable[tuple[Field, str]]) -> Recipe:
    """The recipe with what was typed; an empty field is its default. Raises TrainingError for what cannot be."""
    values = msgspec.to_builtins(recipe)
    for field, text in typed:
        if text.strip() == write_value(field, values):
            continue
        *sections, name = field.path.split(".")
        place = values
        for section in sections:
            place = place.setdefault(section, {})
        if text.strip():
            place[name] = _read(field, text.strip())
        else:
            place.pop(name, None)
    try:
        changed = msgspec.convert(values, Recipe, strict=False)
    except msgspec.ValidationError as error:
        raise TrainingError(str(error)) from error
    check_recipe(changed)
    return changed


def _read(field: Field, text: str) -> object:
    if field.kind == "switch":
        if text.lower() not in ("yes", "no", "true", "false"):
            raise TrainingError(f"{field.name}: expected yes or no, found {text!r}.")
        return text.lower() in ("yes", "true")
    if field.kind == "list":
        return [part.strip() for part in text.split(",") if part.strip()]
    try:
        return {"whole": int, "number": float}.get(field.kind, str)(text)
    except ValueError as error:
        kind = "whole number" if field.kind == "whole" else "number"
        raise TrainingError(f"{field.name}: expected a {kind}, found {text!r}.") from error


def _default(field: Field) -> str:
    value = field.default
    if value is None or value == "" or value == ():
        return "required" if field.required else "(as explained below)"
    return ("yes" if value else "no") if isinstance(value, bool) else str(value)


def _id(field: Field) -> str:
    return "recipe-" + field.path.replace(".", "-").replace("_", "-")
