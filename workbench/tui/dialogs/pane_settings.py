"""PaneSettings: the side panel of one pane: its name and sampling parameters, with help for the focused field.

Dismissed with the changed Variant and whether a prompt or a model is to be chosen next; or with None.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import ClassVar, NamedTuple

import msgspec
from textual import events
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Horizontal, Vertical, VerticalScroll

from workbench.inference.sampling_fields import FIELDS, SamplingField
from workbench.inference.types import Sampling
from workbench.runs.bench import Variant
from workbench.sanitize import sanitize
from workbench.tui.constraints import MisplacedError, read_constraint, write_constraint
from workbench.tui.figures import show_adapters
from workbench.tui.widgets.dialog import FormDialog
from workbench.tui.widgets.editing import Input, TextArea
from workbench.tui.widgets.plain import Button, Label

LINES = tuple(field for field in FIELDS if field.kind not in ("grammar", "schema"))
"""Fields of Sampling that take one line of the form."""

TEXTS = tuple(field for field in FIELDS if field.kind in ("grammar", "schema"))
"""Those with several lines; one of them at most."""

_OTHER_TEXTS = {
    "name": "Shown on the pane's border and in every report.",
    "choose-prompt": "Enter opens another prompt of the library.",
    "choose-model": "Enter picks another model: one that was found, or any file.",
    "choose-adapters": "Enter opens the adapters of this pane: add, remove, switch, scale.",
    "deterministic": "Enter switches it: bit-identical answers on every run, but slower.",
}
_IGNORED = "default_sampling"
_UNFOLLOWED = "This pane's engine does not support it. Clear the field to remove it."


class SettingsResult(NamedTuple):
    """The variant as the form left it. then: what to choose next, a `prompt`, a `model`, the `adapters`, or nothing."""

    variant: Variant
    then: str = ""


class ConstraintEditor(TextArea):
    """The lines of one constraint; up and down leave it beyond the first and the last."""

    def __init__(self, text: str, id: str, disabled: bool) -> None:
        super().__init__(
            text, id=id, disabled=disabled, tab_behavior="focus", compact=True, highlight_cursor_line=False
        )

    def action_cursor_up(self, select: bool = False) -> None:
        if self.navigator.is_first_wrapped_line(self.cursor_location) and not select:
            self.screen.focus_previous()
        else:
            super().action_cursor_up(select)

    def action_cursor_down(self, select: bool = False) -> None:
        if self.navigator.is_last_wrapped_line(self.cursor_location) and not select:
            self.screen.focus_next()
        else:
            super().action_cursor_down(select)


class PaneSettings(FormDialog[SettingsResult | None]):
    """A form over the fields of Sampling, with the pane's name, prompt, model and adapters above it."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("escape", "cancel", "close", id="settings.leave"),
        Binding("ctrl+s", "apply", "apply", id="settings.apply", tooltip="Apply the settings", priority=True),
        Binding("down", "app.focus_next", "next field", show=False, id="settings.next"),
        Binding("up", "app.focus_previous", "previous field", show=False, id="settings.previous"),
    ]

    def __init__(
        self,
        variant: Variant,
        unsupported: frozenset[str] = frozenset(),
        folder: Path = Path(),
        set_by_prompt: Sequence[str] = (),
    ) -> None:
        """unsupported: sampling fields that the pane's engine cannot honour; they are shown so.

        folder: of the bench, where a file named after an `@` lies. set_by_prompt: fields that the prompt's file sets.
        """
        super().__init__()
        self._set_by_prompt = set_by_prompt
        self._variant, self._unsupported, self._folder = variant, unsupported, folder
        self._deterministic = variant.deterministic
        self._problem = False

    def compose(self) -> ComposeResult:
        variant = self._variant
        with Vertical(classes="panel") as panel:
            panel.border_title = "Pane settings"
            with VerticalScroll(can_focus=False):
                with Horizontal(classes="field"):
                    yield Label("name")
                    yield Input(variant.name, id="name", compact=True)
                adapters = show_adapters(variant.adapters) or "none"
                for label, value in (("prompt", variant.prompt), ("model", variant.model), ("adapters", adapters)):
                    with Horizontal(classes="field"):
                        yield Label(label)
                        yield Button(f"{value}  ▾", id=f"choose-{label}", classes="fixed", compact=True)
                for field in LINES:
                    with Horizontal(classes="field"):
                        yield Label(field.label)
                        yield Input(
                            write_field(variant.sampling, field.name),
                            id=field.name,
                            compact=True,
                            disabled=field.name in self._unsupported,
                        )
                yield from self._compose_constraints()
                with Horizontal(classes="field"):
                    yield Label("ignore in prompt")
                    yield Input(", ".join(variant.default_sampling), id=_IGNORED, compact=True)
            yield Label("", id="explanation")
            yield Label("up/down move   enter apply or choose\n^s apply   esc cancel", classes="muted")

    def _compose_constraints(self) -> ComposeResult:
        for field in TEXTS:
            text = write_constraint(getattr(self._variant.sampling, field.name))
            with Horizontal(classes="field -tall"):
                yield Label(field.label)
                # What an engine cannot follow can still be taken away.
                yield ConstraintEditor(text, field.name, disabled=field.name in self._unsupported and not text)
        with Horizontal(classes="field"):
            yield Label("deterministic")
            yield Button(_TURNED[self._deterministic], id="deterministic", classes="fixed", compact=True)

    def on_descendant_focus(self, event: events.DescendantFocus) -> None:
        if self._problem:
            return
        texts = {field.name: field.help for field in FIELDS} | _OTHER_TEXTS
        texts |= dict.fromkeys(self._unsupported, _UNFOLLOWED)
        texts[_IGNORED] = describe_ignored(self._set_by_prompt)
        self._show_help(texts.get(event.widget.id or "", ""))

    def on_input_changed(self) -> None:
        self._problem = False

    def on_text_area_changed(self) -> None:
        self._problem = False

    def on_input_submitted(self) -> None:
        self.action_apply()

    def on_button_pressed(self, event: Button.Pressed) -> None:
        if event.button.id != "deterministic":
            self.action_apply((event.button.id or "").removeprefix("choose-"))
            return
        self._deterministic = not self._deterministic
        event.button.label = _TURNED[self._deterministic]

    def action_apply(self, then: str = "") -> None:
        """Take every field, or say which one cannot be read."""
        values: dict[str, object] = {}
        for field in (*LINES, *TEXTS):
            try:
                values[field.name] = self._read(field)
                self._check_alone(field, values)
            except ValueError as error:
                self._refuse(field.label, field.name, error)
                return
        try:
            ignored = read_ignored(self.query_one(f"#{_IGNORED}", Input).value)
        except ValueError as error:
            self._refuse("ignore in prompt", _IGNORED, error)
            return
        name = self.query_one("#name", Input).value.strip() or self._variant.name
        sampling = msgspec.convert(values, Sampling)
        changes = {"name": name, "sampling": sampling, "deterministic": self._deterministic, _IGNORED: ignored}
        self.dismiss(SettingsResult(msgspec.structs.replace(self._variant, **changes), then))

    def _check_alone(self, field: SamplingField, values: Mapping[str, object]) -> None:
        before = [other.label for other in TEXTS if other != field and values.get(other.name)]
        if field in TEXTS and values[field.name] not in ("", None) and before:
            raise ValueError(f"there is a {before[0]} above; keep one of the two.")

    def _read(self, field: SamplingField) -> object:
        widget = self.query_one(f"#{field.name}")
        if isinstance(widget, ConstraintEditor):
            return read_constraint(field.name, widget.text, self._folder)
        return read_field(field, self.query_one(f"#{field.name}", Input).value)

    def _refuse(self, label: str, id: str, error: ValueError) -> None:
        self._show_help(sanitize(f"{label}: {error}"), problem=True)
        widget = self.query_one(f"#{id}")
        widget.focus()
        if isinstance(widget, ConstraintEditor) and isinstance(error, MisplacedError):
            widget.move_cursor((error.line - 1, error.column - 1))

    def _show_help(self, text: str, problem: bool = False) -> None:
        label = self.query_one("#explanation", Label)
        label.update(text)
        label.set_class(problem, "-problem")
        self._problem = problem


_TURNED = {False: "off", True: "on"}


def describe_ignored(set_by_prompt: Sequence[str]) -> str:
    """Help for the fields that are not taken from the prompt's file."""
    sets = f"It sets {', '.join(map(sanitize, set_by_prompt))}." if set_by_prompt else "It sets none."
    return f"Sampling fields of the prompt's file that this pane does not take. {sets}"


def read_ignored(text: str) -> tuple[str, ...]:
    """Names of sampling fields with commas between. Raises ValueError for one that is no field."""
    names = tuple(dict.fromkeys(filter(None, (part.strip() for part in text.split(",")))))
    if unknown := [name for name in names if name not in Sampling.__struct_fields__]:
        raise ValueError(f"no sampling field is named {', '.join(map(repr, unknown))}; write temperature, for example.")
    return names


def write_field(sampling: Sampling, name: str) -> str:
    """A field of Sampling as the form shows it."""
    value = getattr(sampling, name)
    if value is None:
        return ""
    if isinstance(value, bool):
        return _TURNED[value]
    if isinstance(value, tuple):
        return ", ".join(text.replace("\\", "\\\\").replace("\n", "\\n").replace(",", "\\,") for text in value)
    if isinstance(value, dict):
        return ", ".join(f"{text}={bias:g}" for text, bias in value.items())
    return f"{value:g}" if isinstance(value, float) else str(value)


def read_field(field: SamplingField, text: str) -> object:
    """The value a person wrote for a field. Raises ValueError that says what was expected."""
    if field.kind == "texts":
        return tuple(part for part in _split_texts(text) if part)
    if field.kind == "biases":
        return _read_biases(text)
    if field.kind == "flag":
        return _read_flag(text)
    if field.kind == "choice":
        value: object = text.strip()
    elif field.name == "seed" and not text.strip():
        return None
    else:
        value = _read_number(text, whole=field.kind == "whole")
    if problem := field.find_problem(value):
        raise ValueError(f"{problem.removeprefix(field.name).strip()}.")
    return value


def _read_flag(text: str) -> bool:
    if text.strip() not in _TURNED.values():
        raise ValueError(f"{text!r} is neither on nor off.")
    return text.strip() == _TURNED[True]


def _read_number(text: str, whole: bool) -> float:
    try:
        return int(text) if whole else float(text)
    except ValueError:
        raise ValueError(f"{text!r} is not a {'whole number' if whole else 'number'}.") from None


def _split_texts(text: str) -> list[str]:
    r"""Comma-separated texts, a space after a comma dropped; `\n`, `\,` and `\\` stand for themselves."""
    parts, escaped = [""], False
    for character in text:
        if escaped:
            parts[-1] += {"n": "\n", "t": "\t"}.get(character, character)
            escaped = False
        elif character == "\\":
            escaped = True
        elif character == ",":
            parts.append("")
        elif character != " " or parts[-1] or len(parts) == 1:
            parts[-1] += character
    return parts


def _read_biases(text: str) -> dict[str, float]:
    biases: dict[str, float] = {}
    for part in filter(None, (part.strip() for part in text.split(","))):
        token, equals, number = part.rpartition("=")
        if not equals or not token:
            raise ValueError(f"{part!r} is not of the form text=number.")
        biases[token] = _read_number(number, whole=False)
    return biases
