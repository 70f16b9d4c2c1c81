"""The engines view: what it says of an engine, and that it follows what the engines do."""

from __future__ import annotations

from collections.abc import Sequence

import pytest
from conftest import settled, until
from msgspec.structs import replace
from rich.cells import cell_len
from textual.app import App
from textual.containers import VerticalScroll

from workbench.inference.types import EngineStatus
from workbench.models.device_share import Device, DeviceShare
from workbench.models.reference import ModelInfo
from workbench.models.step_plan import StepPlan
from workbench.tui.dialogs.engines import EngineCard, EnginesView
from workbench.tui.engine_text import EngineFacts, describe_activity, describe_engine, draw_minute, split_bar
from workbench.tui.speeds import Speeds
from workbench.tui.widgets.title_bar import Title
from workbench.tui.widgets.title_bar import describe_engine as describe_title

STATUS = EngineStatus(
    tokens_per_second=212.4, running=3, waiting=1, prefill_tokens=100, cached_tokens=300, completion_tokens=1234,
    kv_tokens=1000, used_kv_tokens=250, contexts=2, weights_bytes=5_000_000, kv_cache_bytes=2_000_000,
    prompt_cache_bytes=1000, offloaded_prefixes=4, threads=2, cores=8, bandwidth_share=0.74,
)  # fmt: skip
INFO = ModelInfo("llama", "Q8_0", 1, 1, 1, 1, False, engine="llama.cpp", device="cpu")


def facts(status: EngineStatus | None = STATUS, state: str = "ready", speeds: tuple[float, ...] = ()) -> EngineFacts:
    return EngineFacts("desk", state, 9_000_000, status, INFO, speeds)


def test_a_servers_threads_are_not_known() -> None:
    text = describe_engine(EngineFacts("gpu", "ready", 0, EngineStatus(running=1, threads=0, cores=0))).plain
    assert "core" not in text
    assert "1 running" in text


@pytest.mark.parametrize(
    "told",
    [
        "llama.cpp on cpu  ·  Q8_0  ·  2 of 8 cores  ·  process 8.6 MiB",
        "212 tok/s   74% of the memory bandwidth",
        "3 running, 1 waiting\n",
        "contexts     2, one per set of adapters",
        "100 prompt tokens, 300 from the prefix cache   75%",
        "1,234 completion tokens",
        "250 of 1,000 tokens",
        "weights 4.8 MiB",
        "KV cache 1.9 MiB",
        "4 offloaded prefixes 1.0 KiB",
        "6.7 MiB\n",
    ],
)
def test_an_engines_figures_are_told_with_their_units(told):
    assert told in describe_engine(facts(), 100).plain


def test_what_an_engine_does_not_know_is_left_out():
    text = describe_engine(EngineFacts("desk", "ready", 0, EngineStatus(running=1, tokens_per_second=9))).plain
    assert "9 tok/s\n" in text
    assert not any(word in text for word in ("%", "bandwidth", "memory", "KV cache", "last minute", "contexts"))


def test_the_steps_on_a_device_are_told():
    plan = StepPlan(1024, 64, 2048, device_sampling=True, source="remembered")
    share = DeviceShare(Device("CUDA0"), 5, 100, 10, 1)
    info = replace(INFO, device="CUDA0", placement=(share, DeviceShare(Device("CPU"))), step_plan=plan)
    text = describe_engine(EngineFacts("desk", "ready", 0, replace(STATUS, threads=0), info)).plain
    assert "\nsteps        1024-token pieces, 64 rows, measured at an earlier load\n" in text
    assert "\n             2,048 tokens of ended prompts stay, evicted ones go to RAM\n" in text
    assert text.endswith("\n             the device picks greedy tokens")
    assert "0 of 8 cores" in text


@pytest.mark.parametrize(
    ("engine", "word", "sentence"),
    [
        (facts(), "decoding", "212 tok/s"),
        (facts(EngineStatus(running=1)), "prefill", "prefill first"),
        (facts(EngineStatus(waiting=2)), "waiting", "0 running, 2 waiting"),
        (facts(EngineStatus(bandwidth_share=0.5)), "idle", "no requests"),
        (facts(None, "loading"), "loading", "Loading"),
        (facts(None), "ready", "reports no figures"),
        (facts(STATUS, "failed"), "failed", "The next request restarts it"),
    ],
)
def test_every_state_is_said_in_words(engine, word, sentence):
    assert describe_activity(engine) == word
    assert sentence in describe_engine(engine).plain


def test_an_idle_engine_boasts_of_no_bandwidth():
    assert "bandwidth" not in describe_engine(facts(EngineStatus(bandwidth_share=0.5))).plain


@pytest.mark.parametrize("width", [65, 80, 100])
def test_the_lines_fit_their_card(width):
    lines = describe_engine(facts(speeds=(1.0, 400.0, 212.0)), width).plain.splitlines()
    assert max(map(cell_len, lines)) <= width
    bars = [line for line in lines if line.startswith(("KV cache", "memory", "last minute"))]
    assert len(bars) == 3


def test_what_is_on_each_device_and_what_did_not_fit_is_shown():
    shares = (
        DeviceShare(Device("CUDA0", free_bytes=8 * 2**30), 20, 3 * 2**30, 2**30, 2**20),
        DeviceShare(Device("CPU"), 5, 2**30, 0, 2**20),
    )
    info = replace(INFO, placement=shares, load_notes=("25 of 25 layers offloaded: no memory. Tried 20 instead.",))
    text = describe_engine(facts()._replace(info=info)).plain
    assert "CUDA0        20 layers, weights 3.0 GiB, KV 1.0 GiB, buffers 1.0 MiB" in text
    assert "CPU          5 layers, weights 1.0 GiB" in text
    assert text.endswith("Tried 20 instead.")
    assert "CUDA0" not in describe_engine(facts()).plain


def test_a_model_that_waits_says_for_what():
    waiting = facts(None, "loading")._replace(note="b waits until a is idle: both do not fit.")
    assert "b waits until a is idle" in describe_engine(waiting).plain


def test_a_bar_shows_what_is_little_and_never_grows():
    assert split_bar((1_000_000, 1, 0), 10) == [9, 1, 0]
    assert split_bar((1, 1, 1), 10) == [4, 3, 3]
    assert split_bar((0, 0), 10) == [0, 0]


def test_the_last_minute_ends_now_and_is_empty_where_nobody_looked():
    assert draw_minute((0, 0, 0, 0, 10, 10, 5, 5), 8, kept=16) == "    ▁▁█▅"
    assert draw_minute((), 4) == "    "


def test_speeds_are_kept_for_a_minute_and_forgotten_with_their_engine():
    speeds = Speeds()
    for number in range(130):
        speeds.note({"one": float(number), "two": 1.0})
    assert speeds.of("one")[0] == 10
    assert len(speeds.of("one")) == 120
    speeds.note({"one": 0.0})
    assert speeds.of("two") == ()


def test_the_title_tells_what_fits():
    title = Title(model="desk", speed=412, bandwidth=0.71, cached=0.63)
    assert describe_title(title)[0] == "desk  412 tok/s  71% bw  63% cached"
    assert describe_title(title)[-1] == "desk"
    assert describe_title(Title(model="desk", speed=9)) == ("desk  9 tok/s", "desk")
    assert describe_title(Title(model="desk", cached=0.5)) == ("desk",)


async def test_the_engines_say_what_they_do(app):
    async with app.run_test(size=(160, 45)) as pilot:
        await settled(pilot)
        await pilot.press("escape", "E")
        await until(pilot, lambda: isinstance(pilot.app.screen, EnginesView))
        await until(pilot, lambda: bool(pilot.app.screen.query(EngineCard)))
        card = pilot.app.screen.query_one(EngineCard)
        await until(pilot, lambda: "Ready" in str(card.visual))
        assert card.border_title == "desk.script"


async def test_the_bench_keeps_the_last_minute_of_an_engine_that_tells(app, monkeypatch):
    async with app.run_test(size=(160, 45)) as pilot:
        screen = await settled(pilot)
        monkeypatch.setattr(screen.controller.pool, "status", lambda _model: STATUS)
        model = screen.controller.pool.loaded_models()[0].model
        await until(pilot, lambda: screen.controller.speeds.of(model)[-1:] == (212.4,))
        await pilot.press("escape", "E")
        await until(pilot, lambda: isinstance(pilot.app.screen, EnginesView))
        await until(pilot, lambda: "212 tok/s peak" in str(pilot.app.screen.query(EngineCard).first().visual))


async def test_a_small_terminal_scrolls_and_shows_a_whole_card(app):
    view = EnginesView(lambda: (facts(speeds=(1.0, 2.0)), facts()))
    async with app.run_test(size=(80, 24)) as pilot:
        await settled(pilot)
        await pilot.app.push_screen(view)
        await until(pilot, lambda: view.query(VerticalScroll).first().max_scroll_y > 0)
        card, scroll = view.query(EngineCard).first(), view.query(VerticalScroll).first()
        assert card.region in scroll.region
        await pilot.press("end")
        await until(pilot, lambda: scroll.scroll_y == scroll.max_scroll_y)


async def test_cards_follow_the_engines_and_their_names_are_only_text():
    engines: list[EngineFacts] = []
    view = EnginesView(lambda: tuple(engines))
    app: App[None] = App()
    async with app.run_test(size=(80, 24)) as pilot:
        await app.push_screen(view)
        assert view.query_one("#engines-none").display
        engines.extend([facts()._replace(name="[b]evil[/b]\x1b[31m"), facts()])
        await until(pilot, lambda: len(titles(view)) == 2)
        assert "[b]evil[/b]␛[31m" in titles(view)
        assert not view.query_one("#engines-none").display
        del engines[0]
        await until(pilot, lambda: titles(view) == ["desk"])


def titles(view: EnginesView) -> Sequence[str]:
    return [card._border_title.plain for card in view.query(EngineCard) if card._border_title]
