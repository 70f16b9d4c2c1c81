"""ModelsScreen: the models and adapters on this machine, what is in them, what fits, and what is loaded.

Headers are read in the background, one at a time, as the selection moves.
"""

from __future__ import annotations

import importlib.util
from collections.abc import Collection, Sequence
from typing import ClassVar, Literal

import msgspec
import psutil
from textual import on, work
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Horizontal, Vertical, VerticalScroll
from textual.content import Content
from textual.worker import get_current_worker

from workbench.errors import WorkbenchError
from workbench.inference.device_inventory import FoundDevices
from workbench.inference.pool import Pool
from workbench.inference.remote.found_server import FoundServer
from workbench.models.reference import Adapter, Model, with_defaults
from workbench.offload import Offload
from workbench.runs.bench import ModelChoice
from workbench.runs.session import Session
from workbench.sanitize import sanitize
from workbench.tui.catalog import make_devices_form
from workbench.tui.keys import KeyedScreen
from workbench.tui.memory_text import LOOKING, describe_devices
from workbench.tui.model_text import describe_adapter, describe_model, describe_server_card
from workbench.tui.ui import ModelPick
from workbench.tui.widgets.dialog import is_open
from workbench.tui.widgets.editing import Input
from workbench.tui.widgets.filtered_list import FilteredList
from workbench.tui.widgets.key_footer import KeyFooter
from workbench.tui.widgets.picker import Picker, PickerRow
from workbench.tui.widgets.plain import Option, OptionList, Static
from workbench.units import format_bytes

REFRESH_SECONDS = 1.0

_PRECISIONS = (
    PickerRow("/", "auto", "the checkpoint's own, if the device supports it"),
    PickerRow("float32/", "float32", "exact, and the largest"),
    PickerRow("bfloat16/", "bfloat16", "half the memory; fast where the hardware supports it"),
    PickerRow("float16/", "float16", "half the memory; values beyond 65,504 overflow"),
    PickerRow("/8bit", "8 bit", "a quarter of float32, by bitsandbytes"),
    PickerRow("/4bit", "4 bit", "an eighth of float32, by bitsandbytes; answers change a little"),
)
"""What a model can be opened in; the id is dtype/quantization."""


def list_precisions() -> list[PickerRow]:
    """What a model can be opened in; what needs a library that is not there says so."""
    there = importlib.util.find_spec("bitsandbytes") is not None
    missing = "bitsandbytes is not installed: pip install bitsandbytes"
    return [one._replace(note=missing) if one.id.endswith("bit") and not there else one for one in _PRECISIONS]


class ModelsScreen(KeyedScreen[ModelPick | None]):
    """Two lists on the left, details on the right. Dismissed with what the pane should use, or None."""

    HORIZONTAL_BREAKPOINTS = [(0, "-narrow"), (112, "-wide")]  # noqa: RUF012 - Screen declares it so
    HELP_TEXT: ClassVar[str] = """\
Every model and adapter that was found, with what its header says. The bars compare what a model will take with what is
free, in RAM and on each device; of a loaded model they show what is where. An adapter is checked against the pane's
model. Enter uses the selected one in the pane. Models load when they are first needed: f7 loads one now, f8 unloads it.
d chooses the devices of a model, p the precision of a Hugging Face model; both are kept in the bench. Model servers on
this machine are found in the background; i probes a server's model and shows its capability card: which sampling fields
act, what is ignored, its context, and whether each adapter changes the answer.
"""
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("escape", "dismiss(None)", "back", id="models.back"),
        Binding("p", "precision", "precision", id="models.precision", tooltip="Precision of a Hugging Face model"),
        Binding("d", "devices", "devices", id="models.devices", tooltip="Devices that compute the model"),
        Binding("i", "card", "card", id="models.card", tooltip="Capability card of a server's model"),
        Binding("f7", "load", "load", id="models.load", tooltip="Load the model now", priority=True),
        Binding("f8", "unload", "unload", id="models.unload", tooltip="Unload the model", priority=True),
    ]

    def __init__(self, session: Session, pool: Pool, base: Model | None, applied: Sequence[Adapter]) -> None:
        """base: what the pane runs on now; adapters are checked against it. applied: the pane's adapters."""
        super().__init__(id="models")
        self._session, self._pool, self._base, self._applied = session, pool, base, tuple(applied)
        self._servers: tuple[FoundServer, ...] = ()
        self._known = session.adapters
        self._devices = FoundDevices()
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
        yield KeyFooter()

    def on_mount(self) -> None:
        self._fill("")
        self.bases.focus()
        self.set_interval(REFRESH_SECONDS, self._show_residents)
        if self._base is not None:
            self.bases.select(self._base.name)
        self._find_servers()

    @work(thread=True, group="servers", exclusive=True)
    def _find_servers(self) -> None:
        """Look for servers on this machine; their models join the list when they are known."""
        from workbench.inference.remote.discovery import find_servers

        self.app.call_from_thread(self._show_servers, find_servers())

    def _show_servers(self, found: Sequence[FoundServer]) -> None:
        if not is_open(self) or not found:
            return
        self._servers = tuple(found)
        chosen = self.bases.highlighted_id
        self._fill(self.query_one("#models-search", Input).value)
        if chosen:
            self.bases.select(chosen)

    def _list_served(self) -> list[Model]:
        return [model for server in self._servers for model in server.list_models()]

    def _title(self) -> Content:
        free, total = psutil.virtual_memory().available, psutil.virtual_memory().total
        loaded = [
            f"{sanitize(resident.model.name)} {resident.state}"
            + (" on a server" if resident.model.remote else f" {format_bytes(resident.memory_bytes)}")
            for resident in self._pool.loaded_models()
        ]
        left = Content.assemble((" models and adapters  ", "bold $primary"), "  ".join(loaded) or "nothing loaded")
        right = (f"   {format_bytes(free)} of {format_bytes(total)} free", "$foreground 60%")
        return Content.assemble(left, right, describe_devices(self._devices))

    def _show_residents(self) -> None:
        if not is_open(self):
            return
        self.query_one("#models-title", Static).update(self._title(), layout=False)
        if self._session.adapters is not self._known:  # one was trained meanwhile
            self._fill_adapters(self.query_one("#models-search", Input).value)

    def _fill(self, query: str) -> None:
        loaded = {resident.model.identity for resident in self._pool.loaded_models() if resident.state == "ready"}
        defaults = self._session.settings.offload
        found = [(model.name, with_defaults(model, defaults).identity in loaded) for model in self._session.models]
        names = {name for name, _ in found}
        own = [name for name in self._session.bench.models if name not in names]
        served = [(model.name, model.identity in loaded) for model in self._list_served() if model.name not in names]
        self.bases.fill([*((name, self._is_loaded(name, loaded)) for name in own), *found, *served], query)
        self._fill_adapters(query)

    def _list_adapters(self) -> list[str]:
        """Those that the pane's model can have: of this machine, or of the model's own server."""
        if self._base is None or self._base.remote is None:
            return [adapter.name for adapter in self._session.adapters]
        card = self._pool.card(self._base)
        urls = self._base.remote.urls
        own = [name for server in self._servers if server.address in urls for name in server.adapters]
        return [one.name for one in card.model.adapters] if card else own

    def _fill_adapters(self, query: str) -> None:
        self._known = self._session.adapters
        self.adapters.fill([(name, False) for name in self._list_adapters()], query)

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
        """Read the header of the selected file, which takes a moment, and ask for the devices, which may take more."""
        model = self._base if adapter else self._find(option.id or "")
        offload = model.offload if model is not None else Offload()
        found = self._pool.devices.peek(offload)
        if found is None:
            self._describe_on(adapter, option, LOOKING)
            found = self._pool.devices.find(offload)
        self._devices = found
        if not get_current_worker().is_cancelled:  # the selection has moved on
            self._describe_on(adapter, option, found)

    def _describe_on(self, adapter: bool, option: Option, devices: FoundDevices) -> None:
        name, most = option.id or "", self._session.settings.max_context_tokens
        if adapter:
            remote = self._base is not None and self._base.remote is not None
            known = [Adapter(name, format="remote")] if remote else self._session.adapters
            found = next((one for one in known if one.name == name), None)
            models = self._session.models
            text = describe_adapter(found, self._base, self._applied, most, models, devices) if found else Content("")
        else:
            model = self._find(name)
            text = describe_model(model, self._pool, self._applied, most, devices) if model else Content("")
        self.app.call_from_thread(self._show_details, text)

    def _show_details(self, text: Content) -> None:
        if is_open(self):  # left while the header was read
            self.query_one("#models-text", Static).update(text)

    @on(OptionList.OptionSelected)
    def _chosen(self, event: OptionList.OptionSelected) -> None:
        kind: Literal["model", "adapter"] = "adapter" if event.option_list is self.adapters else "model"
        self.dismiss(ModelPick(kind, event.option.id or ""))

    @work(thread=True, group="details", exclusive=True)
    def action_card(self) -> None:
        """Probe the selected server's model, and show what it does."""
        from workbench.inference.server_probe import probe_server

        model = self._selected()
        if model is None or model.remote is None:
            self.app.call_from_thread(self.notify, "Only a server's model has a capability card.", timeout=4)
            return

        def show(step: str) -> None:
            self.app.call_from_thread(self._show_details, Content.assemble((sanitize(step), "$foreground 60%")))

        try:
            text = describe_server_card(model, probe_server(self._pool, model, (), show))
        except WorkbenchError as error:
            text = Content.assemble((f"{sanitize(error.message)}\n\n", "$text-error"), sanitize(error.hint))
        self.app.call_from_thread(self._show_details, text)

    def action_load(self) -> None:
        model = self._selected()
        if model is not None:
            self._pool.load(model)

    def action_unload(self) -> None:
        model = self._selected()
        if model is not None:
            self._pool.unload(model)

    @work(group="precision", exclusive=True)
    async def action_precision(self) -> None:
        """Choose dtype and quantization of the selected model, kept in the bench."""
        model = self._selected()
        if model is None:
            return
        if model.format != "hf":
            self.notify("Only Hugging Face models can change precision.", timeout=4)
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
        self._pool.unload(model)  # nothing uses it in the old precision
        self._session.remember_model(model.name, choice)
        if self.bases.highlighted is not None:
            self._describe(False, self.bases.get_option_at_index(self.bases.highlighted))

    @work(group="devices", exclusive=True)
    async def action_devices(self) -> None:
        """Choose which devices compute the selected model, kept in the bench."""
        model = self._selected()
        if model is None:
            return
        try:
            form = make_devices_form(self._session, self._pool, model.name, self._applied)
        except WorkbenchError as error:
            self.notify(error.message, timeout=4, markup=False)
            return
        choice = await self.app.push_screen_wait(form)
        if choice is None or not is_open(self):
            return
        self._pool.unload(model)  # nothing uses it where it was
        self._session.remember_model(model.name, choice)
        if self.bases.highlighted is not None:
            self._describe(False, self.bases.get_option_at_index(self.bases.highlighted))

    def _selected(self) -> Model | None:
        index = self.bases.highlighted
        return self._find(self.bases.get_option_at_index(index).id or "") if index is not None else None

    def _find(self, name: str) -> Model | None:
        try:
            return self._session.find_model(name)
        except WorkbenchError:
            return None

    def _is_loaded(self, name: str, loaded: Collection[Model]) -> bool:
        model = self._find(name)
        return model is not None and model.identity in loaded
