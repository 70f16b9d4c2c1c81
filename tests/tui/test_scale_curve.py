"""How likely the expected answer is at each scale of an adapter: asked behind the live answers, one at a time."""

from __future__ import annotations

import asyncio
import math
from dataclasses import replace
from pathlib import Path

import pytest
from conftest import settled, until
from hypothesis import given
from hypothesis import strategies as st

from workbench.datasets import Case
from workbench.errors import EngineError
from workbench.inference.types import Likelihood, Sampling
from workbench.models.reference import Adapter, Applied, Model, ModelInfo
from workbench.prompting.prompt import Message, Prompt
from workbench.runs.generation import GenerationSpec
from workbench.tui.figures import show_curve
from workbench.tui.scale_curve import ScaleProbe, choose_scales, count_room

TONE = Applied(Adapter("tone", Path("tone")), 1.0)
CASE = Case(number=1, variables={}, expected="Lantern", line=0)
ASKED = (Message("user", "Where?"),)


def make_spec(**changes: object) -> GenerationSpec:
    spec = GenerationSpec(Prompt("p", ""), CASE, frozenset(), Sampling(), "refuse", Model("m", Path("m")), (TONE,))
    return replace(spec, **changes)


class LikelihoodStub:
    """A pool and its client: the more of the adapter, the likelier the answer. fail: raises instead."""

    def __init__(self, fail: bool = False) -> None:
        self.asked, self.under_way, self.most, self.fail = [], 0, 0, fail

    def client(self, model):
        return self

    async def loglikelihood(self, request):
        self.under_way += 1
        self.most = max(self.most, self.under_way)
        await asyncio.sleep(0)
        self.under_way -= 1
        if self.fail:
            raise EngineError("It cannot.")
        self.asked.append(request)
        scale = sum(one.scale for one in request.adapters)
        return (Likelihood(math.log(0.1 + 0.9 * min(scale, 1)), 1, 7, True),)


async def probe(
    pool: LikelihoodStub, specs: dict[str, GenerationSpec], room: int = 7, probes: ScaleProbe | None = None
):
    told = []
    probes = probes or ScaleProbe(pool, lambda *found: told.append(found), quiet=0)
    probes._on_curve = lambda *found: told.append(found)
    for pane, spec in specs.items():
        probes.start(pane, spec, spec.adapters[0], ASKED, 7)
    await asyncio.gather(*probes._tasks.values(), return_exceptions=True)
    return told, probes


async def test_each_scale_is_asked_once_behind_the_live_answers_and_never_two_at_a_time():
    pool = LikelihoodStub()
    told, probes = await probe(pool, {"A": make_spec(), "B": make_spec(case=replace_case("Abacus"))})
    assert len(pool.asked) == 12
    assert {request.priority for request in pool.asked} == {1}
    assert pool.most == 1
    last = {pane: curve for pane, _, curve, _ in told}
    assert [scale for scale, _ in last["A"]] == [0.0, 0.2, 0.4, 0.6, 0.8, 1.0]
    assert last["A"][0][1] == pytest.approx(0.1)
    assert last["A"][-1][1] == pytest.approx(1.0)
    await probe(pool, {"A": make_spec()}, probes=probes)
    assert len(pool.asked) == 12  # all of them are known


def replace_case(expected: str) -> Case:
    return Case(number=2, variables={}, expected=expected, line=0)


async def test_a_change_cancels_what_is_left():
    pool = LikelihoodStub()
    probes = ScaleProbe(pool, lambda pane, *_: probes.cancel(pane) if len(pool.asked) == 2 else None, quiet=0)
    probes.start("A", make_spec(), TONE, ASKED, 7)
    task = probes._tasks["A"]
    with pytest.raises(asyncio.CancelledError):
        await task
    assert len(pool.asked) == 2


async def test_a_failure_is_said_and_ends_the_curve():
    told, _ = await probe(LikelihoodStub(fail=True), {"A": make_spec()})
    assert told[-1][3] == "It cannot."
    assert all(probability is None for _, probability in told[-1][2])


async def test_without_an_expected_answer_nothing_is_asked():
    pool = LikelihoodStub()
    told, _ = await probe(pool, {"A": make_spec(case=Case(number=1, variables={}, expected=None, line=0))})
    assert not told and not pool.asked


@given(st.sampled_from([0.0, 0.2, 0.5, 1.0, 1.7]), st.integers(0, 9))
def test_no_more_adapter_sets_are_used_than_there_is_room_for(current: float, room: int):
    scales = choose_scales(current, room)
    assert list(scales) == sorted(set(scales))
    assert {0.0, current} <= set(scales)
    assert len(set(scales) - {0.0, current}) <= room


def test_room_is_what_the_engine_and_the_memory_leave():
    info = ModelInfo("llama", "Q8", 1, 1, 1, 1, True, context_tokens=1000, kv_bytes_per_token=1000)
    assert [count_room(panes, None, 0) for panes in (1, 2, 4, 8)] == [7, 3, 1, 0]
    assert count_room(1, info, 12_000_000) == 3
    assert count_room(1, info, 1_000_000) == 0


def test_a_curve_in_a_few_characters():
    curve = [(0.0, 0.015), (0.2, 0.2), (0.5, None), (1.0, 0.9999)]
    assert show_curve(curve, 0.2) == ("0 ▁▂·█ 1.0", "P(expected) 1.5% → 20% → 100%")
    assert show_curve([(0.0, 1e-9), (1.0, None)], 1.0) == ("0 ▁· 1.0", "P(expected) <0.1% → …")
    assert show_curve([], 1.0) == ("", "")


async def test_the_strip_stands_under_the_panes_that_have_an_adapter(app, folder):
    (folder / "routes").mkdir()
    (folder / "routes" / "adapter_config.json").write_text('{"peft_type": "LORA"}')
    with (folder / "demo.bench.yaml").open("a") as file:
        file.write("  - {name: tuned, prompt: queues/plain, model: desk.script.json, adapters: [{adapter: routes}]}\n")
    async with app.run_test(size=(160, 45)) as pilot:
        screen = await settled(pilot)
        pane = screen.panes[4]
        strip = pane.query_one("#pane-scales")
        await until(pilot, lambda: bool(pane._curve) and all(p is not None for _, p in pane._curve))
        assert "routes ×1.0" in str(strip.content)
        assert "P(expected)" in str(strip.content)
        assert [one.query_one("#pane-scales").display for one in screen.panes] == [False] * 4 + [True]
        pane.begin()
        assert not pane._curve
