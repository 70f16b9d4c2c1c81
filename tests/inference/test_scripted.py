from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from workbench.errors import EngineError, ModelError
from workbench.inference.script import Rule, Script, load_script, split_tokens
from workbench.inference.scripted import ScriptedEngine
from workbench.inference.types import Chunk, Event, Failure, GenerateRequest, Progress, Sampling, fold
from workbench.models.reference import Model
from workbench.prompting.prompt import Message


class FakeClock:
    """Time that passes only when it is waited for."""

    def __init__(self) -> None:
        self.seconds = 0.0

    def now(self) -> float:
        return self.seconds

    def wait(self, seconds: float) -> None:
        self.seconds += seconds


def make(*rules: Rule, **fields: object) -> ScriptedEngine:
    fields.setdefault("clock", FakeClock())
    clock = fields.pop("clock")
    crash = fields.pop("crash", None)
    model = Model("script", Path("script.json"), "scripted")
    return ScriptedEngine(Script(rules=rules, **fields), model, clock, crash)  # type: ignore[arg-type]


def say(text: str, number: int = 1, **sampling: object) -> GenerateRequest:
    return GenerateRequest(number, (Message("system", "a system text"), Message("user", text)), Sampling(**sampling))


def run(engine: ScriptedEngine, request: GenerateRequest, steps: int = 1000) -> list[Event]:
    engine.submit(request)
    events: list[Event] = []
    while engine.busy and steps:
        events += engine.step()
        steps -= 1
    return events


def text(events: list[Event]) -> str:
    return fold([event for event in events if isinstance(event, Chunk)]).text


@given(st.text())
def test_tokens_join_to_the_text_again(text: str) -> None:
    assert "".join(split_tokens(text)) == text


def test_the_first_rule_that_matches_answers() -> None:
    engine = make(Rule(contains="parcel", reply="Lantern"), Rule(regex=r"\bbill", reply="Abacus"), Rule(reply="Other"))
    assert text(run(engine, say("my parcel"))) == "Lantern"
    assert text(run(engine, say("the bill", 2))) == "Abacus"
    assert text(run(engine, say("what", 3))) == "Other"


def test_a_rule_looks_at_the_last_message_unless_it_says_the_prompt() -> None:
    engine = make(Rule(contains="system text", where="prompt", reply="prompt"), Rule(reply="last"))
    assert text(run(engine, say("hi"))) == "prompt"
    engine = make(Rule(contains="system text", reply="prompt"), Rule(reply="last"))
    assert text(run(engine, say("hi"))) == "last"


def test_a_reply_takes_words_from_the_request() -> None:
    engine = make(Rule(regex=r"order (?P<number>\d+)", reply="Your order {number} is on its way. {x}"))
    assert text(run(engine, say("order 17"))) == "Your order 17 is on its way. {x}"


def test_the_seed_chooses_among_replies_only_when_it_is_warm() -> None:
    engine = make(Rule(reply=("one", "two")))
    assert text(run(engine, say("x", seed=1))) == "one"
    assert text(run(engine, say("x", 2, seed=1, temperature=1.0))) == "two"


def test_figures_are_the_scripts_and_the_same_each_time() -> None:
    engine = make(Rule(reply="a b c"), first_token_seconds=0.25, tokens_per_second=10.0)
    last = run(engine, say("x"))[-1]
    assert last == Chunk(
        1,
        prompt_tokens=9,
        output_tokens=3,
        seconds_to_first_token=0.25,
        tokens_per_second=10.0,
        elapsed_seconds=pytest.approx(0.45),
        stop_reason="eos",
    )


def test_an_instant_script_waits_for_nothing_and_a_real_one_as_long_as_it_claims() -> None:
    instant, real = FakeClock(), FakeClock()
    run(make(Rule(reply="a b c"), clock=instant), say("x"))
    run(make(Rule(reply="a b c"), clock=real, pace="real", first_token_seconds=1.0, tokens_per_second=2.0), say("x"))
    assert instant.seconds == 0
    assert real.seconds == pytest.approx(1.0 + 3 * 0.5)


def test_each_answer_keeps_its_own_pace() -> None:
    slow = Rule(contains="slow", reply="a b c d", tokens_per_second=1.0)
    engine = make(slow, Rule(reply="a b c d", tokens_per_second=100.0), pace="real")
    engine.submit(say("slow", 1))
    events = run(engine, say("fast", 2))
    ends = [event.request for event in events if isinstance(event, Chunk) and event.stop_reason]
    assert ends == [2, 1]


def test_thinking_comes_before_the_answer() -> None:
    engine = make(Rule(thinking="let me see", reply="Yes"))
    completion = fold([event for event in run(engine, say("x")) if isinstance(event, Chunk)])
    assert (completion.thinking, completion.text, completion.output_tokens) == ("let me see", "Yes", 4)


def test_thinking_can_be_switched_off() -> None:
    engine = make(Rule(thinking="let me see", reply="Yes"))
    asked = replace(say("x"), sampling=Sampling(thinking="off"))
    completion = fold([event for event in run(engine, asked) if isinstance(event, Chunk)])
    assert (completion.thinking, completion.text) == ("", "Yes")


@pytest.mark.parametrize(
    "sampling",
    [
        Sampling(bad_words=("Yes",)),
        Sampling(min_tokens=5),
        Sampling(ignore_eos=True),
        Sampling(logit_bias={"Yes": -100.0}),
        Sampling(thinking_budget=3),
        Sampling(reasoning_effort="low"),
        Sampling(regex="[0-9]+"),
    ],
)
def test_what_a_script_cannot_honour_is_refused_by_name(sampling: Sampling) -> None:
    (name,) = [name for name in Sampling.__struct_fields__ if getattr(sampling, name) != getattr(Sampling(), name)]
    with pytest.raises(EngineError, match=f"{name} is set, which this engine cannot honour"):
        make(Rule(reply="Yes")).submit(replace(say("x"), sampling=sampling))


def test_a_delay_is_counted_in_steps() -> None:
    engine = make(Rule(reply="Yes", delay_steps=2))
    engine.submit(say("x"))
    assert [engine.step() for _ in range(2)] == [[Progress(1, "running")], []]
    assert isinstance(engine.step()[0], Chunk)


@pytest.mark.parametrize(("hold", "said"), [("queued", []), ("running", [Progress(1, "running")])])
def test_a_held_request_stays_where_it_is_until_it_is_cancelled(hold: str, said: list[Event]) -> None:
    engine = make(Rule(reply="never", hold=hold))  # type: ignore[arg-type]
    assert run(engine, say("x"), steps=50) == said
    engine.cancel(1)
    assert engine.step()[-1].stop_reason == "cancelled"  # type: ignore[union-attr]


def test_an_endless_reply_ends_with_the_context_at_the_latest() -> None:
    clock = FakeClock()
    engine = make(Rule(reply="on and ", endless=True), clock=clock, context_tokens=50)
    last = run(engine, say("x", max_tokens=10**6))[-1]
    assert isinstance(last, Chunk)
    assert (last.stop_reason, last.prompt_tokens + last.output_tokens) == ("context", 50)
    assert clock.seconds > 0


def test_a_failure_comes_on_cue() -> None:
    events = run(make(Rule(reply="a b c", fail_after=2, failure="The lamp fell.")), say("x"))
    assert text(events[:-1]) == "a b"
    assert isinstance(events[-1], Failure)
    assert events[-1].message == "The lamp fell."


def test_a_crash_comes_on_cue_and_only_where_there_is_a_process() -> None:
    crashed: list[bool] = []
    run(make(Rule(reply="a b c", crash_after=1), crash=lambda: crashed.append(True)), say("x"))
    assert crashed
    assert isinstance(run(make(Rule(reply="a b c", crash_after=1)), say("x"))[-1], Failure)


def test_completion_mode_joins_the_contents_and_nothing_else() -> None:
    messages = (Message("user", "one "), Message("user", "two"))
    assert make().tokenize(GenerateRequest(1, messages, mode="completion")).text == "one two"


def test_a_typo_in_a_script_is_an_error_that_names_it(tmp_path: Path) -> None:
    path = tmp_path / "script.json"
    path.write_text('{"rules": [{"replay": "x"}]}')
    with pytest.raises(ModelError, match="replay"):
        load_script(Model("script", path, "scripted"))


def test_a_script_that_is_not_there_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(ModelError, match=r"gone\.json"):
        load_script(Model("script", tmp_path / "gone.json", "scripted"))


def test_a_script_can_refuse_to_load_or_never_end_loading(tmp_path: Path) -> None:
    path = tmp_path / "script.json"
    model = Model("script", path, "scripted")
    path.write_text('{"load": "fails"}')
    with pytest.raises(ModelError, match="loading fails"):
        ScriptedEngine.open(model, lambda _: True)
    path.write_text('{"load": "holds", "load_fraction": 0.3}')
    fractions: list[float | None] = []
    with pytest.raises(ModelError, match="given up"):
        ScriptedEngine.open(model, lambda fraction: bool(fractions.append(fraction)) or len(fractions) < 3)
    assert fractions == [0.3] * 3


def test_the_context_is_the_scripts() -> None:
    with pytest.raises(EngineError, match="holds 5"):
        make(context_tokens=5).submit(say("one two three four five"))
