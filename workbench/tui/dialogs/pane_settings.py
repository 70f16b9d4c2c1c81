"""PaneSettings: the side panel of one pane, its sampling above all; it knows nothing of the session or of engines.

Each field says what it does while the cursor stands in it. Dismissed with the changed Variant and, when a person wants
another prompt or model, which of them to choose next; or with None.
"""

from __future__ import annotations

from pathlib import Path
from typing import ClassVar, NamedTuple

import msgspec
from textual import events
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Horizontal, Vertical, VerticalScroll

from workbench.engines.engine import Sampling
from workbench.evaluation.bench import Variant
from workbench.sanitize import sanitize
from workbench.tui.constraints import MisplacedError, read_constraint, write_constraint
from workbench.tui.widgets.dialog import Dialog
from workbench.tui.widgets.editing import Input, TextArea
from workbench.tui.widgets.plain import Button, Label


class Field(NamedTuple):
    """A field of Sampling: its name, what it does, and how it is written."""

    name: str
    label: str
    explanation: str


FIELDS = (
    Field("temperature", "temperature", "0 always takes the likeliest token; 0.7 varies; above 1.5 wanders."),
    Field(
        "top_p",
        "top p",
        "Keep the likeliest tokens that together hold this share of the probability. 1 is off.",
    ),
    Field("top_k", "top k", "Keep only this many of the likeliest tokens. 0 is off."),
    Field("min_p", "min p", "Drop tokens less likely than this share of the likeliest one. 0 is off."),
    Field(
        "max_tokens",
        "max tokens",
        "The answer is cut after this many tokens; they are reserved in the context.",
    ),
    Field(
        "stop",
        "stop texts",
        r"The answer ends before any of these; separate them with a comma, write \n for a line end.",
    ),
    Field("seed", "seed", "The same seed gives the same answer; empty draws a new one each time."),
    Field(
        "repetition_penalty",
        "repetition",
        "Above 1, tokens that already occurred become less likely. 1 is off.",
    ),
    Field("frequency_penalty", "frequency", "Lowers a token by this for each time it occurred. 0 is off."),
    Field("presence_penalty", "presence", "Lowers a token by this once it occurred at all. 0 is off."),
    Field(
        "logit_bias",
        "logit bias",
        "text=number, separated by commas: raises or lowers those tokens, -100 forbids.",
    ),
)

CONSTRAINTS = (
    Field("grammar", "grammar", "The answer follows it, from its rule root on. GBNF, or @file to read it from."),
    Field("json_schema", "JSON schema", "The answer is JSON of this form. JSON, or @file to read it from."),
)
"""Fields of Sampling with several lines; one of them at most."""

_OTHER_TEXTS = {
    "name": "What stands in the pane's border and in every report.",
    "choose-prompt": "Enter chooses another prompt of the library.",
    "choose-model": "Enter chooses another model: one that was found, or any file.",
    "reproducible": "Enter turns it: each answer computed by itself, slower, but the same to the last bit every time.",
}
_UNFOLLOWED = "This pane's model cannot follow it. Empty the field to take it away."


class Settled(NamedTuple):
    """The variant as the form left it. then: what to choose next, a `prompt`, a `model`, or nothing."""

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


class PaneSettings(Dialog[Settled | None]):
    """A form over the fields of Sampling, with the pane's name, prompt and model above it."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("escape", "dismiss(None)", "leave", id="settings.leave"),
        Binding("ctrl+s", "apply", "apply", id="settings.apply", priority=True),
        Binding("down", "app.focus_next", show=False, id="settings.next"),
        Binding("up", "app.focus_previous", show=False, id="settings.previous"),
    ]

    def __init__(self, variant: Variant, unsupported: frozenset[str] = frozenset(), folder: Path = Path()) -> None:
        """unsupported: sampling fields that the pane's engine cannot honour; they are shown so.

        folder: of the bench, where a file named after an `@` lies.
        """
        super().__init__()
        self._variant, self._unsupported, self._folder = variant, unsupported, folder
        self._reproducible = variant.reproducible
        self._problem = False

    def compose(self) -> ComposeResult:
        variant = self._variant
        with Vertical(classes="panel") as panel:
            panel.border_title = "Pane settings"
            with VerticalScroll(can_focus=False):
                with Horizontal(classes="field"):
                    yield Label("name")
                    yield Input(variant.name, id="name", compact=True)
                for label, value in (("prompt", variant.prompt), ("model", variant.model)):
                    with Horizontal(classes="field"):
                        yield Label(label)
                        yield Button(f"{value}  ▾", id=f"choose-{label}", classes="fixed", compact=True)
                for field in FIELDS:
                    with Horizontal(classes="field"):
                        yield Label(field.label)
                        yield Input(
                            write_field(variant.sampling, field.name),
                            id=field.name,
                            compact=True,
                            disabled=field.name in self._unsupported,
                        )
                yield from self._compose_constraints()
            yield Label("", id="explanation")
            yield Label("up/down move   enter apply, or choose\n^s apply   esc leave", classes="muted")

    def _compose_constraints(self) -> ComposeResult:
        for field in CONSTRAINTS:
            text = write_constraint(getattr(self._variant.sampling, field.name))
            with Horizontal(classes="field -tall"):
                yield Label(field.label)
                # What an engine cannot follow can still be taken away.
                yield ConstraintEditor(text, field.name, disabled=field.name in self._unsupported and not text)
        with Horizontal(classes="field"):
            yield Label("reproducible")
            yield Button(_TURNED[self._reproducible], id="reproducible", classes="fixed", compact=True)

    def on_descendant_focus(self, event: events.DescendantFocus) -> None:
        if self._problem:
            return
        texts = {field.name: field.explanation for field in (*FIELDS, *CONSTRAINTS)} | _OTHER_TEXTS
        texts |= dict.fromkeys(self._unsupported, _UNFOLLOWED)
        self._say(texts.get(event.widget.id or "", ""))

    def on_input_changed(self) -> None:
        self._problem = False

    def on_text_area_changed(self) -> None:
        self._problem = False

    def on_input_submitted(self) -> None:
        self.action_apply()

    def on_button_pressed(self, event: Button.Pressed) -> None:
        if event.button.id != "reproducible":
            self.action_apply((event.button.id or "").removeprefix("choose-"))
            return
        self._reproducible = not self._reproducible
        event.button.label = _TURNED[self._reproducible]

    def action_apply(self, then: str = "") -> None:
        """Take every field, or say which one cannot be read."""
        values: dict[str, object] = {}
        for field in (*FIELDS, *CONSTRAINTS):
            try:
                values[field.name] = self._read(field.name)
                if field.name == "json_schema" and values["json_schema"] is not None and values["grammar"]:
                    raise ValueError("there is a grammar above; keep one of the two.")
            except ValueError as error:
                self._refuse(field, error)
                return
        name = self.query_one("#name", Input).value.strip() or self._variant.name
        sampling = msgspec.convert(values, Sampling)
        changes = {"name": name, "sampling": sampling, "reproducible": self._reproducible}
        self.dismiss(Settled(msgspec.structs.replace(self._variant, **changes), then))

    def _read(self, name: str) -> object:
        widget = self.query_one(f"#{name}")
        if isinstance(widget, ConstraintEditor):
            return read_constraint(name, widget.text, self._folder)
        return read_field(name, self.query_one(f"#{name}", Input).value)

    def _refuse(self, field: Field, error: ValueError) -> None:
        self._say(sanitize(f"{field.label}: {error}"), problem=True)
        widget = self.query_one(f"#{field.name}")
        widget.focus()
        if isinstance(widget, ConstraintEditor) and isinstance(error, MisplacedError):
            widget.move_cursor((error.line - 1, error.column - 1))

    def _say(self, text: str, problem: bool = False) -> None:
        label = self.query_one("#explanation", Label)
        label.update(text)
        label.set_class(problem, "-problem")
        self._problem = problem


_TURNED = {False: "off", True: "on"}

_RANGES: dict[str, tuple[float, float]] = {
    "temperature": (0, 10),
    "top_p": (0, 1),
    "top_k": (0, 1_000_000),
    "min_p": (0, 1),
    "max_tokens": (1, 1_000_000),
    "repetition_penalty": (0.01, 10),
    "frequency_penalty": (-10, 10),
    "presence_penalty": (-10, 10),
}


def write_field(sampling: Sampling, name: str) -> str:
    """A field of Sampling as the form shows it."""
    value = getattr(sampling, name)
    if value is None:
        return ""
    if isinstance(value, tuple):
        return ", ".join(text.replace("\\", "\\\\").replace("\n", "\\n").replace(",", "\\,") for text in value)
    if isinstance(value, dict):
        return ", ".join(f"{text}={bias:g}" for text, bias in value.items())
    return f"{value:g}" if isinstance(value, float) else str(value)


def read_field(name: str, text: str) -> object:
    """The value a person wrote for a field. Raises ValueError that says what was expected."""
    if name == "stop":
        return tuple(part for part in _split_stops(text) if part)
    if name == "seed":
        return _read_number(text, whole=True) if text.strip() else None
    if name == "logit_bias":
        return _read_biases(text)
    number = _read_number(text, whole=name in ("top_k", "max_tokens"))
    low, high = _RANGES[name]
    if not low <= number <= high:
        raise ValueError(f"{number:g} is outside {low:g} to {high:g}.")
    return number


def _read_number(text: str, whole: bool) -> float:
    try:
        return int(text) if whole else float(text)
    except ValueError:
        raise ValueError(f"{text!r} is not a {'whole number' if whole else 'number'}.") from None


def _split_stops(text: str) -> list[str]:
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
            raise ValueError(f"{part!r} is not text=number.")
        biases[token] = _read_number(number, whole=False)
    return biases
