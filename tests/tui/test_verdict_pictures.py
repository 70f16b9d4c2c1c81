"""Pictures of a verdict at a fixed size, from fixed numbers: nothing of it is measured here."""

from __future__ import annotations

from pathlib import Path

import pytest
from conftest import settled, until
from textual.widgets import Input

from workbench.evaluation.summary import Effect, Estimate, PairSummary
from workbench.evaluation.view import Metric
from workbench.training.contest import Wanted
from workbench.training.verdict import (
    Arm,
    BreakEven,
    CurvePoint,
    Recommendation,
    Standing,
    TrainingCost,
    Verdict,
)
from workbench.tui.judging import Judging
from workbench.tui.screens.verdict import VerdictScreen

WIDE, NARROW = (160, 45), (80, 24)
METRIC = Metric("exact_match", binary=True, main=True)


def near(value: float) -> Estimate:
    return Estimate(value, max(0.0, value - 0.06), min(1.0, value + 0.04), 200)


def stand(arm: Arm, value: float, tokens: float, seconds: float, adapter: str = "") -> Standing:
    name = {"zero-shot": "plain", "best prompt": "shots"}.get(arm, arm)
    prompt = "queues/few-shot" if "shot" in name else "queues/plain"
    scores = {"exact_match": near(value)}
    return Standing(arm, name, prompt, "desk", adapter, scores, tokens, 2.0, seconds, seconds * 1.6, tokens / 400, 200)


def pair(a: str, b: str, difference: float) -> PairSummary:
    verdict = "better" if difference > 0.05 else "worse" if difference < -0.05 else "not distinguishable"
    return PairSummary(
        a, b, "exact_match", 200, difference, difference - 0.05, difference + 0.05, 0.01, 0.01, Effect("h", 0.5),
        "mcnemar", verdict,  # type: ignore[arg-type]
    )  # fmt: skip


VERDICT = Verdict(
    bench="demo",
    run="1if3tc",
    dataset="data/queues/test.jsonl",
    metric=METRIC,
    cases=200,
    arms=(
        stand("zero-shot", 0.13, 61, 0.009),
        stand("best prompt", 0.78, 238, 0.021),
        stand("adapter", 0.97, 61, 0.009, "queues-lora"),
        stand("adapter, few-shot", 0.98, 238, 0.021, "queues-lora"),
    ),
    pairs=(pair("shots", "plain", -0.65), pair("shots", "adapter", 0.19), pair("shots", "adapter, few-shot", 0.2)),
    training=TrainingCost("queues-lora", 74.0, 68_000, 400, 0.02467),
    break_even=(BreakEven("money", 0.02467, 0.0001, 247), BreakEven("tokens", 68_000.0, 177.0, 385)),
    recommendation=Recommendation(
        "adapter",
        "Use the adapter queues-lora with the short prompt: it is better than the best prompt, shots.",
        (
            "Adapter is better than best prompt (shots): 0.97 against 0.78.",
            "A request takes 240 tokens with it, and 63.",
        ),
        ("Stability: the adapter knows the task as it was in its rows.",),
    ),
    chosen_on="validation",
    metrics=(METRIC,),
    curve=tuple(
        CurvePoint(kind, count, near(value))  # type: ignore[arg-type]
        for kind, points in (
            ("rows", {10: 0.2, 25: 0.45, 50: 0.7, 100: 0.88, 400: 0.97}),
            ("shots", {0: 0.13, 1: 0.2, 2: 0.41, 4: 0.6, 8: 0.78}),
        )
        for count, value in points.items()
    ),
)


@pytest.fixture(autouse=True)
def stillness(monkeypatch: pytest.MonkeyPatch) -> None:
    """No blinking, no sliding: a picture must not depend on the moment."""
    monkeypatch.setattr(Input, "_toggle_cursor", lambda _self: None)
    monkeypatch.setenv("TEXTUAL_ANIMATIONS", "none")


def reached() -> Judging:
    """A verdict that was reached without asking anybody."""
    judging = Judging(lambda *_: pytest.fail("nobody is asked"), Wanted(Path("demo.bench.yaml")), ())
    judging.verdict, judging.running = VERDICT, False
    return judging


@pytest.mark.parametrize("size", [WIDE, NARROW], ids=["wide", "narrow"])
def test_a_verdict(snap_compare, app, size):
    async def act(pilot) -> None:
        pilot.app.animation_level = "none"
        screen = await settled(pilot)
        screen.verdicts.current = reached()
        await pilot.press("f10")
        await until(pilot, lambda: isinstance(pilot.app.screen, VerdictScreen))
        table = pilot.app.screen.query_one("#verdict-table")
        await until(pilot, lambda: "adapter" in str(table.visual))
        plot = pilot.app.screen.query_one("#verdict-tokens")
        await until(pilot, lambda: plot.size.width > 0)
        await pilot.pause()

    assert snap_compare(app, terminal_size=size, run_before=act)


def test_what_is_weighed(snap_compare, app):
    async def act(pilot) -> None:
        pilot.app.animation_level = "none"
        await settled(pilot)
        await pilot.press("f10")
        await until(pilot, lambda: isinstance(pilot.app.screen, VerdictScreen))
        title = pilot.app.screen.query_one("#verdict-title")
        await until(pilot, lambda: "demo.bench.yaml" in str(title.visual))
        await pilot.pause()

    assert snap_compare(app, terminal_size=WIDE, run_before=act)
