"""ModelsScreen: the models and adapters on this machine, what is in them, what fits, and what is loaded.

Headers are read in the background, one at a time, as one walks over them. Dismissed with what the pane shall run on.
"""

from __future__ import annotations

import importlib.util
from collections.abc import Collection, Sequence
from pathlib import Path
from typing import ClassVar, Literal, NamedTuple

import msgspec
import psutil
from textual import on, work
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Horizontal, Vertical, VerticalScroll
from textual.content import Content
from textual.screen import Screen
from textual.widgets import Footer

from workbench.errors import WorkbenchError
from workbench.evaluation.bench import ModelChoice
from workbench.evaluation.session import Session
from workbench.hosting.pool import Pool
from workbench.models.reference import Adapter, Model, resolve_model
from workbench.sanitize import sanitize
from workbench.tui.details import describe_adapter, describe_model
from workbench.tui.dialogs.picker import Choice, Picker
from workbench.tui.figures import show_bytes
from workbench.tui.widgets.dialog import is_open
from workbench.tui.widgets.editing import Input
from workbench.tui.widgets.filtered_list import FilteredList
from workbench.tui.widgets.plain import Option, OptionList, Static

REFRESH_SECONDS = 1.0

_PRECISIONS = (
    Choice("/", "as suits this machine", "the checkpoint's own, where the device computes in it"),
    Choice("float32/", "float32", "exact, and the largest"),
    Choice("bfloat16/", "bfloat16", "half the memory; quick where the processor or card computes in it"),
    Choice("float16/", "float16", "half the memory; numbers beyond 65,504 overflow"),
    Choice("/8bit", "8 bit", "a quarter of float32, by bitsandbytes"),
    Choice("/4bit", "4 bit", "an eighth of float32, by bitsandbytes; answers change a little"),
)
"""What a model can be opened in; the id is dtype/quantization."""


def list_precisions() -> list[Choice]:
    """What a model can be opened in; what needs a library that is not there says so."""
    there = importlib.util.find_spec("bitsandbytes") is not None
    missing = "needs bitsandbytes, which is not installed: pip install bitsandbytes"
    return [one._replace(note=missing) if one.id.endswith("bit") and not there else one for one in _PRECISIONS]


class Taken(NamedTuple):
    """What a person chose for the pane."""

    kind: Literal["model", "adapter"]
    name: str


class ModelsScreen(Screen[Taken | None]):
    """Two lists on the left, the details of what one stands on at the right."""

    HORIZONTAL_BREAKPOINTS = [(0, "-narrow"), (112, "-wide")]  # noqa: RUF012 - Screen declares it so
    HELP_TEXT: ClassVar[str] = """\
Every model and adapter that was found, with what its header says. The bar compares what a model needs with the memory
that is free; an adapter is checked against the model of the pane you came from. Enter takes what you stand on for that
pane. Nothing is loaded before it is needed: f7 loads ahead, f8 frees the memory. A Hugging Face model can be opened in
another precision, which the bench remembers: p.
"""
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("escape", "dismiss(None)", "back", id="models.back"),
        Binding("p", "precision", "precision", id="models.precision"),
        Binding("f7", "load", "load", id="models.load", priority=True),
        Binding("f8", "unload", "unload", id="models.unload", priority=True),
    ]

    def __init__(self, session: Session, pool: Pool, base: Model | None, laid: Sequence[Adapter]) -> None:
        """base: what the pane runs on now; adapters are checked against it. laid: the pane's own."""
        super().__init__(id="models")
        self._session, self._pool, self._base, self._laid = session, pool, base, tuple(laid)
        self.bases = FilteredList("bases", "Models")
        self.adapters = FilteredList("adapters", "Adapters")

    def compose(self) -> ComposeResult:
        yield Static(self._title(), id="models-title")
        with Horizontal():
            with Vertical(id="models-lists"):
                yield Input(placeholder="type to search", compact=True, id="models-search")
                yield self.bases
                yield self.adapters
            with VerticalScroll(id="models-details"):
                yield Static(id="models-text")
        yield Footer(show_command_palette=False, compact=True)

    def on_mount(self) -> None:
        self._fill("")
        self.bases.focus()
        self.set_interval(REFRESH_SECONDS, self._show_residents)
        if self._base is not None:
            self.bases.stand_on(self._base.name)

    def _title(self) -> Content:
        free, total = psutil.virtual_memory().available, psutil.virtual_memory().total
        loaded = [
            f"{sanitize(resident.model.name)} {resident.state} {show_bytes(resident.memory_bytes)}"
            for resident in self._pool.residents()
        ]
        left = Content.assemble((" models and adapters  ", "bold $primary"), "  ".join(loaded) or "nothing is loaded")
        return Content.assemble(left, (f"   {show_bytes(free)} of {show_bytes(total)} free", "$foreground 60%"))

    def _show_residents(self) -> None:
        if not is_open(self):
            return
        self.query_one("#models-title", Static).update(self._title(), layout=False)

    def _fill(self, query: str) -> None:
        loaded = {resident.model.path for resident in self._pool.residents() if resident.state == "ready"}
        found = [(model.name, model.path in loaded) for model in self._session.models]
        names = {name for name, _ in found}
        own = [name for name in self._session.bench.models if name not in names]
        self.bases.fill([*((name, self._is_loaded(name, loaded)) for name in own), *found], query)
        self.adapters.fill([(adapter.name, False) for adapter in self._session.adapters], query)

    @on(Input.Changed, "#models-search")
    def _searched(self, event: Input.Changed) -> None:
        self._fill(event.value)

    @on(Input.Submitted, "#models-search")
    def _search_left(self) -> None:
        self.bases.focus()

    @on(OptionList.OptionHighlighted)
    def _walked(self, event: OptionList.OptionHighlighted) -> None:
        if event.option_list is self.focused or self.focused is None:
            self._describe(event.option_list is self.adapters, event.option)

    def on_descendant_focus(self) -> None:
        for options, adapters in ((self.bases, False), (self.adapters, True)):
            if options is self.focused and options.highlighted is not None:
                self._describe(adapters, options.get_option_at_index(options.highlighted))

    @work(thread=True, group="details", exclusive=True)
    def _describe(self, adapter: bool, option: Option) -> None:
        """Read the header of what one stands on; big ones take a moment."""
        name, most = option.id or "", self._session.settings.max_context_tokens
        if adapter:
            found = next((one for one in self._session.adapters if one.name == name), None)
            models = self._session.models
            text = describe_adapter(found, self._base, self._laid, most, models) if found else Content("")
        else:
            model = self._find(name)
            text = describe_model(model, self._pool, self._laid, most) if model else Content("")
        self.app.call_from_thread(self._show_details, text)

    def _show_details(self, text: Content) -> None:
        if is_open(self):  # left while the header was read
            self.query_one("#models-text", Static).update(text)

    @on(OptionList.OptionSelected)
    def _chosen(self, event: OptionList.OptionSelected) -> None:
        kind: Literal["model", "adapter"] = "adapter" if event.option_list is self.adapters else "model"
        self.dismiss(Taken(kind, event.option.id or ""))

    def action_load(self) -> None:
        model = self._standing_on()
        if model is not None:
            self._pool.load(model)

    def action_unload(self) -> None:
        model = self._standing_on()
        if model is not None:
            self._pool.unload(model)

    @work(group="precision", exclusive=True)
    async def action_precision(self) -> None:
        """Choose what the model one stands on is computed in, and how it is packed; the bench remembers it."""
        model = self._standing_on()
        if model is None:
            return
        if model.format != "hf":
            self.notify("Only a Hugging Face folder can be opened in another precision.", timeout=4)
            return
        current = f"{model.dtype}/{model.quantization}"
        chosen = await self.app.push_screen_wait(
            Picker(f"Precision of {model.name}", list_precisions(), "", (), current)
        )
        if chosen is None or chosen.id == current:
            return
        known = self._session.bench.models.get(model.name) or ModelChoice(model.name)
        dtype, _, packing = chosen.id.partition("/")
        wanted = {"dtype": dtype, "quantization": packing}
        choice = msgspec.convert({**msgspec.structs.asdict(known), **wanted}, ModelChoice)
        self._pool.unload(model)  # in the old precision nobody asks for it any more
        self._session.remember_model(model.name, choice)
        if self.bases.highlighted is not None:
            self._describe(False, self.bases.get_option_at_index(self.bases.highlighted))

    def _standing_on(self) -> Model | None:
        index = self.bases.highlighted
        return self._find(self.bases.get_option_at_index(index).id or "") if index is not None else None

    def _find(self, name: str) -> Model | None:
        try:
            return resolve_model(name, self._session.bench.models, self._session.path.parent, self._session.models)
        except WorkbenchError:
            return None

    def _is_loaded(self, name: str, loaded: Collection[Path]) -> bool:
        model = self._find(name)
        return model is not None and model.path in loaded
