"""RecipeForm: the fields of a recipe as inputs, with help for the focused one. The recipe itself defines the fields."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import msgspec
from textual import events, on
from textual.app import ComposeResult
from textual.containers import Horizontal, Vertical, VerticalScroll
from textual.message import Message
from textual.suggester import SuggestFromList

from workbench.errors import TrainingError
from workbench.sanitize import sanitize
from workbench.training.recipe import Recipe
from workbench.training.recipe_fields import RecipeField, list_fields, list_sections
from workbench.tui.auto_values import AutoValues, describe_data
from workbench.tui.widgets.editing import Input
from workbench.tui.widgets.plain import Button, Label
from workbench.tui.widgets.recipe_values import read_values, write_value

_OPEN = ("", "method", "training", "optimizer", "evaluation", "budget", "preference", "rollouts")
"""sections that a form shows; the rest comes from the bench, and can be written in the file"""

_DATA = (
    *(f"train.{name}" for name in ("path", "split", "where", "columns", "expected", "group")),
    "datasets",
    *(f"auto_split.{name}" for name in ("seed", "validation", "test")),
)
"""fields of the data, which are the bench's own where they are empty"""

_OPTIONAL = ("preference", "rollouts")
"""sections that are not there without a value"""

_FIRST = ("name", "method.rank", "training.epochs", "training.max_steps", "training.learning_rate")
"""fields that most trainings differ in; the others are folded away"""


class RecipeForm(Vertical):
    """The fields that most trainings differ in, the others under "More", and help for the focused one."""

    class RecipeEdited(Message):
        """The recipe has changed and is valid."""

        def __init__(self, recipe: Recipe) -> None:
            super().__init__()
            self.recipe = recipe

    def __init__(self, recipe: Recipe, bases: Sequence[str] = ()) -> None:
        """bases: the models that can be trained here, by name: the bench's own and those that were found."""
        super().__init__(id="recipe-form")
        self.recipe = recipe
        self._bases = tuple(bases)
        known = {field.path: field for field in list_fields() if field.section in _OPEN or field.path in _DATA}
        first = [known.pop(path) for path in (*_FIRST, *_DATA)]
        self._fields = {_id(field): field for field in (*first, *known.values())}

    def compose(self) -> ComposeResult:
        values = msgspec.to_builtins(self.recipe)
        first = [item for item in self._fields.items() if item[1].path in _FIRST]
        with VerticalScroll(can_focus=False):
            for id, field in first[:1]:
                yield from self._compose_field(id, field, values)
            with Horizontal(classes="field -tall"):
                yield Label("data")
                yield Label(describe_data(self.recipe), id="recipe-data")
            for id, field in first[1:]:
                yield from self._compose_field(id, field, values)
            yield Button(self._more(), id="recipe-more", classes="fixed", compact=True)
            with Vertical(id="recipe-folded"):
                yield from self._compose_folded(values)
        yield Label("", id="recipe-explanation")

    def _compose_folded(self, values: dict[str, Any]) -> ComposeResult:
        help = {section.path: section.explanation for section in list_sections()}
        section = None
        for id, field in self._fields.items():
            if field.path in _FIRST:
                continue
            if field.section != section:
                section = field.section
                yield Label(f"{section or 'recipe'}  {help.get(section, '')}", classes="recipe-section")
            yield from self._compose_field(id, field, values)

    def _compose_field(self, id: str, field: RecipeField, values: dict[str, Any]) -> ComposeResult:
        with Horizontal(classes="field"):
            yield Label(field.name.replace("_", " "))
            suggester = SuggestFromList(self._bases) if field.path == "base" else None
            yield Input(
                write_value(field, values), placeholder=_default(field), id=id, compact=True, suggester=suggester
            )

    def _more(self) -> str:
        """The label of the fold: how many of its fields say something else than the default."""
        values = msgspec.to_builtins(self.recipe)
        folded = [field for field in self._fields.values() if field.path not in _FIRST]
        filled = sum(bool(write_value(field, values)) for field in folded)
        sign = "▴" if self.has_class("-more") else "▾"
        return f"More  {len(folded)} fields, {filled} set  {sign}"

    @on(Button.Pressed, "#recipe-more")
    def _fold(self) -> None:
        self.toggle_class("-more")
        self._show_more()

    def _show_more(self) -> None:
        self.query_one("#recipe-more", Button).label = self._more()

    def show_auto(self, values: AutoValues, data: str) -> None:
        """What empty fields will be, such as a learning rate by the size of the base; and what is trained on."""
        for id, field in self._fields.items():
            known = values.get(field.path, "")
            shown = known if field.default is not None else f"auto: {known}"
            self.query_one(f"#{id}", Input).placeholder = shown if known else _default(field)
        self.query_one("#recipe-data", Label).update(data)

    def load(self, recipe: Recipe) -> None:
        """Show another recipe."""
        self.recipe = recipe
        values = msgspec.to_builtins(recipe)
        with self.prevent(Input.Changed):
            for id, field in self._fields.items():
                self.query_one(f"#{id}", Input).value = write_value(field, values)
        self._show_more()
        self.show_auto({}, describe_data(recipe))

    def on_descendant_focus(self, event: events.DescendantFocus) -> None:
        field = self._fields.get(event.widget.id or "")
        if field is not None:
            choices = f" ({', '.join(choice for choice in field.choices if choice)})" if field.choices else ""
            here = f". Here: {', '.join(self._bases)}" if field.path == "base" and self._bases else ""
            self._show_help(f"{field.explanation}{choices}{here}")
        elif event.widget.id == "recipe-more":
            self._show_help("Enter shows the other fields, or hides them. Their defaults suit most trainings.")

    @on(Input.Changed)
    def _changed(self, event: Input.Changed) -> None:
        event.stop()
        typed = [(field, self.query_one(f"#{id}", Input).value) for id, field in self._fields.items()]
        try:
            recipe = read_values(self.recipe, typed)
        except TrainingError as error:
            self._show_help(error.message, problem=True)
            return
        if recipe != self.recipe:
            self.recipe = recipe
            self._show_more()
            self.show_auto({}, describe_data(recipe))  # until the next dry run
            self.post_message(self.RecipeEdited(recipe))
        field = self._fields.get(event.input.id or "")
        self._show_help(field.explanation if field else "")

    def _show_help(self, text: str, problem: bool = False) -> None:
        label = self.query_one("#recipe-explanation", Label)
        label.update(sanitize(text))
        label.set_class(problem, "-problem")


def _default(field: RecipeField) -> str:
    value = field.default
    if value is None or value in ("", (), {}):
        return "required" if field.required else "auto"
    return ("yes" if value else "no") if isinstance(value, bool) else str(value)


def _id(field: RecipeField) -> str:
    return "recipe-" + field.path.replace(".", "-").replace("_", "-")
