"""PaneSettings: the side panel of one pane, its sampling above all.

Each field says what it does while the cursor stands in it. Dismissed with the changed Variant and, when a person wants
another prompt or model, which of them to choose next; or with None.
"""

from __future__ import annotations

from typing import ClassVar, NamedTuple

import msgspec
from textual import events
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Horizontal, Vertical, VerticalScroll
from textual.screen import ModalScreen
from textual.widgets import Button, Input, Label

from workbench.engines.engine import Sampling
from workbench.evaluation.bench import Variant


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


_OTHER_TEXTS = {
    "name": "What stands in the pane's border and in every report.",
    "choose-prompt": "Enter chooses another prompt of the library.",
    "choose-model": "Enter chooses another model: one that was found, or any file.",
}


class Settled(NamedTuple):
    """The variant as the form left it. then: what to choose next, a `prompt`, a `model`, or nothing."""

    variant: Variant
    then: str = ""


class PaneSettings(ModalScreen[Settled | None]):
    """A form over the fields of Sampling, with the pane's name, prompt and model above it."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("escape", "dismiss(None)", "leave", id="settings.leave"),
        Binding("ctrl+s", "apply", "apply", id="settings.apply", priority=True),
        Binding("down", "app.focus_next", show=False, id="settings.next"),
        Binding("up", "app.focus_previous", show=False, id="settings.previous"),
    ]

    def __init__(self, variant: Variant, unsupported: frozenset[str] = frozenset()) -> None:
        """unsupported: sampling fields that the pane's engine cannot honour; they are shown so."""
        super().__init__()
        self._variant, self._unsupported = variant, unsupported
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
            yield Label("", id="explanation", markup=False)
            yield Label("up/down move   enter apply, or choose\nesc leave", classes="muted")

    def on_descendant_focus(self, event: events.DescendantFocus) -> None:
        if self._problem:
            return
        texts = {field.name: field.explanation for field in FIELDS} | _OTHER_TEXTS
        self._say(texts.get(event.widget.id or "", ""))

    def on_input_changed(self) -> None:
        self._problem = False

    def on_input_submitted(self) -> None:
        self.action_apply()

    def on_button_pressed(self, event: Button.Pressed) -> None:
        self.action_apply((event.button.id or "").removeprefix("choose-"))

    def action_apply(self, then: str = "") -> None:
        """Take every field, or say which one cannot be read."""
        values: dict[str, object] = {}
        for field in FIELDS:
            text = self.query_one(f"#{field.name}", Input).value
            try:
                values[field.name] = read_field(field.name, text)
            except ValueError as error:
                self._say(f"{field.label}: {error}", problem=True)
                self.query_one(f"#{field.name}", Input).focus()
                return
        name = self.query_one("#name", Input).value.strip() or self._variant.name
        sampling = msgspec.convert(values, Sampling)
        self.dismiss(Settled(msgspec.structs.replace(self._variant, name=name, sampling=sampling), then))

    def _say(self, text: str, problem: bool = False) -> None:
        label = self.query_one("#explanation", Label)
        label.update(text)
        label.set_class(problem, "-problem")
        self._problem = problem


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
