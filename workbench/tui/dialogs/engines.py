"""EnginesView: what each engine is doing: speed, caches, sequences, memory; drawn anew twice a second."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import ClassVar, NamedTuple

from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Vertical, VerticalScroll
from textual.content import Content
from textual.screen import ModalScreen
from textual.widgets import Label, Static

from workbench.engines.engine import EngineStatus
from workbench.inert import make_inert
from workbench.tui.figures import show_bytes, show_count

_SECONDS = 0.5
_BAR = 24

Part = str | tuple[str, str]


class EngineFacts(NamedTuple):
    """One engine. memory_bytes: of its process. status: None while it tells nothing."""

    name: str
    state: str
    memory_bytes: int
    status: EngineStatus | None


class EnginesView(ModalScreen[None]):
    """Read-only."""

    BINDINGS: ClassVar[list[BindingType]] = [Binding("escape,q,f6", "dismiss(None)", "leave", id="engines.leave")]

    def __init__(self, look: Callable[[], Sequence[EngineFacts]]) -> None:
        super().__init__()
        self._ask = look

    def compose(self) -> ComposeResult:
        with Vertical(classes="dialog -tall") as dialog:
            dialog.border_title = "Engines"
            with VerticalScroll():
                yield Static(id="engines-text")
            yield Label("esc leave", classes="muted")

    def on_mount(self) -> None:
        self._draw()
        self.set_interval(_SECONDS, self._draw)

    def _draw(self) -> None:
        self.query_one("#engines-text", Static).update(describe_engines(self._ask()))


def describe_engines(engines: Sequence[EngineFacts]) -> Content:
    """Every engine in a paragraph of its own."""
    if not engines:
        return Content("No engine runs. The first answer starts one.")
    parts: list[Part] = []
    for engine in engines:
        parts += [
            (make_inert(engine.name), "bold $primary"),
            (f"  {engine.state}, {show_bytes(engine.memory_bytes)}\n", "$foreground 60%"),
            *(_status(engine.status) if engine.status else ["  It tells nothing of itself.\n"]),
            "\n",
        ]
    return Content.assemble(*parts)


def _status(status: EngineStatus) -> list[Part]:
    """Its figures, a line each."""
    speed = f"{status.tokens_per_second:.0f} tokens/s"
    if status.bandwidth_share is not None:
        speed += f", {status.bandwidth_share:.0%} of what the memory can give"
    asked = status.read_tokens + status.cached_tokens
    lines: list[Part] = [
        f"  writing      {speed}\n",
        f"  requests     {status.running} running, {status.waiting} waiting, on {_count(status.threads, 'thread')}\n",
        f"  answers      {show_count(status.written_tokens)} tokens written\n",
        f"  prompts      {show_count(asked)} tokens asked, {status.cached_share:.0%} of them not evaluated again\n",
    ]
    if status.cells:
        filled = round(_BAR * status.used_cells / status.cells)
        lines += [
            "  live cache   ",
            ("█" * filled, "$primary"),
            ("░" * (_BAR - filled), "$border"),
            f" {status.used_cells:,} of {status.cells:,} tokens in {_count(status.contexts, 'cache')}\n",
        ]
    memory = f"weights {show_bytes(status.weights_bytes)}, live cache {show_bytes(status.cache_bytes)}"
    parked = f", {status.parked} parked prefixes {show_bytes(status.parked_bytes)}" if status.parked else ""
    return [*lines, f"  memory       {memory}{parked}\n"]


def _count(number: int, what: str) -> str:
    return f"{number} {what}{'' if number == 1 else 's'}"
