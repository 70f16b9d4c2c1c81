"""What rows share, who goes first, and that answers are those of one row at a time without any of it."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import pytest
from answers import ask, complete, open_engine, rescheduled, run, running
from hf_fixture import LINEAR, write_adapter, write_hf
from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec.structs import replace
from peft import LoraConfig  # noqa: TID253 - what is laid over

from workbench.inference.scheduling.loglikelihood import LoglikelihoodSequence
from workbench.inference.scheduling.preemption import Preemption
from workbench.inference.transformers.engine import TransformersEngine
from workbench.inference.transformers.kv_cache import SequenceKVCache, choose_kv_cache
from workbench.inference.types import (
    Chunk,
    Event,
    GenerateRequest,
    LoglikelihoodRequest,
    LoglikelihoodResult,
    Outcome,
    Progress,
    fold,
)
from workbench.prompting.prompt_parts import shared_length

SYSTEM = "the parcel is in the house, and the kettle is here; "
TEXTS = [SYSTEM + "Where is my parcel?", SYSTEM + "Where is mine?", SYSTEM, "And mine? " * 5, "x"]
TOKENS = 6
FAMILIES = {"Llama": {}, "Mistral": {"sliding_window": 6}, "Mamba": {"state_size": 4}}


@pytest.fixture(scope="module")
def adapters(tiny_hf: Path, tmp_path_factory: pytest.TempPathFactory) -> list[list[tuple[Path, float]]]:
    """No adapter, a LoRA, the same with another scale, and a DoRA, which has a pass of its own."""
    folder = tmp_path_factory.mktemp("adapters")
    lora = write_adapter(tiny_hf, folder / "lora", LoraConfig(r=2, target_modules=LINEAR))
    dora = write_adapter(tiny_hf, folder / "dora", LoraConfig(r=2, target_modules=LINEAR, use_dora=True))
    return [[], [(lora, 1.0)], [(lora, 0.5)], [(dora, 1.0)]]


@pytest.fixture(scope="module")
def engine(tiny_hf: Path) -> Iterator[TransformersEngine]:
    made = open_engine(tiny_hf)
    yield made
    made.close()


@pytest.fixture(autouse=True)
def forget(engine: TransformersEngine) -> None:
    forget_prefixes(engine)


def forget_prefixes(engine: TransformersEngine) -> None:
    engine._resources.host.clear()
    engine._scheduler._prefixes.clear()


@pytest.fixture(scope="module")
def alone(tiny_hf: Path, adapters: list[list[tuple[Path, float]]]) -> dict[tuple[int, int], str]:
    """Each text under each set of adapters, one after the other, with nothing kept between them."""
    plain = open_engine(tiny_hf)
    with rescheduled(plain, host_bytes=0):
        return {
            (text, laid): complete(plain, ask(1, TEXTS[text], adapters[laid], max_tokens=TOKENS))[0].text
            for text in range(len(TEXTS))
            for laid in range(len(adapters))
        }


def prompt(engine: TransformersEngine, request: GenerateRequest) -> tuple[int, ...]:
    return engine.tokenize(request).ids


def tree(prompts: Sequence[tuple[int, ...]]) -> int:
    """Tokens of prompts, those that they begin with in common counted once."""
    return len({ids[:end] for ids in prompts for end in range(1, len(ids) + 1)})


def text_of(events: Sequence[Event], number: int) -> str:
    return fold([event for event in events if isinstance(event, Chunk) and event.request == number]).text


@settings(max_examples=25)
@given(
    asked=st.lists(st.tuples(st.integers(0, 4), st.integers(0, 3), st.integers(0, 1), st.integers(0, 4)), max_size=12),
    budget=st.sampled_from([3, 20, 500]),
    room=st.sampled_from([0, 20_000, 2**20]),
    places=st.integers(1, 5),
)
def test_answers_are_those_of_one_at_a_time_with_nothing_shared(
    tiny_hf: Path,
    engine: TransformersEngine,
    adapters: list[list[tuple[Path, float]]],
    alone: dict[tuple[int, int], str],
    asked: list[tuple[int, int, int, int]],
    budget: int,
    room: int,
    places: int,
) -> None:
    """asked: which text, which adapters, whether someone looks on, steps before the next one comes."""
    events: list[Event] = []
    with rescheduled(engine, places, budget, room):
        for number, (text, laid, priority, steps) in enumerate(asked):
            engine.submit(replace(ask(number, TEXTS[text], adapters[laid], max_tokens=TOKENS), priority=priority))
            for _ in range(steps):
                events += engine.step()
        events += run(engine)
        assert running(engine) == []
    for number, (text, laid, _, _) in enumerate(asked):
        assert text_of(events, number) == alone[text, laid]


def test_what_prompts_begin_with_in_common_is_evaluated_once(engine: TransformersEngine) -> None:
    requests = [ask(number, TEXTS[number % 3], max_tokens=2) for number in range(9)]
    before = engine.status.prefill_tokens
    answers = complete(engine, *requests)
    read = engine.status.prefill_tokens - before
    assert read == tree([prompt(engine, request) for request in requests])
    assert sum(one.prompt_tokens - one.cached_tokens for one in answers) == read


def test_an_edit_at_the_end_evaluates_what_follows_it_and_going_back_nothing(engine: TransformersEngine) -> None:
    first, edited = ask(1, TEXTS[0]), ask(2, TEXTS[1])
    same = shared_length(prompt(engine, first), prompt(engine, edited))
    assert complete(engine, first)[0].cached_tokens == 0
    assert complete(engine, edited)[0].cached_tokens == same
    before = engine.status.prefill_tokens
    again = complete(engine, replace(first, id=3))[0]
    assert again.cached_tokens == again.prompt_tokens
    assert engine.status.prefill_tokens == before


def test_nothing_is_shared_between_sets_of_adapters(
    engine: TransformersEngine, adapters: list[list[tuple[Path, float]]]
) -> None:
    for number, laid in enumerate(adapters):
        assert complete(engine, ask(number, TEXTS[0], laid))[0].cached_tokens == 0
    for number, laid in enumerate(adapters):
        assert complete(engine, ask(number, TEXTS[0], laid))[0].cached_tokens > 0


def test_a_prefix_that_an_adapter_puts_in_front_is_no_token_of_the_prompt(
    engine: TransformersEngine, tiny_hf: Path, tmp_path: Path
) -> None:
    from peft import PrefixTuningConfig

    laid = [(write_adapter(tiny_hf, tmp_path / "prefix", PrefixTuningConfig(num_virtual_tokens=5)), 1.0)]
    first, again = complete(engine, ask(1, TEXTS[0], laid)), complete(engine, ask(2, TEXTS[0], laid))
    assert (again[0].text, again[0].cached_tokens) == (first[0].text, first[0].prompt_tokens)


def test_a_reproducible_request_shares_nothing_and_is_computed_alone(engine: TransformersEngine) -> None:
    complete(engine, ask(1, TEXTS[0]))
    request = replace(ask(2, TEXTS[0]), deterministic=True)
    expected = complete(engine, request)[0]
    assert (expected.cached_tokens, expected.deterministic) == (0, True)
    found = complete(engine, ask(3, TEXTS[0]), request, ask(4, TEXTS[1]))[1]
    assert (found.text, found.cached_tokens) == (expected.text, 0)


def test_an_interactive_request_waits_for_no_cell_of_a_matrix(engine: TransformersEngine) -> None:
    cells = [replace(ask(number, TEXTS[number], max_tokens=20), priority=1) for number in range(3)]
    expected = [answer.text for answer in complete(engine, *cells)]
    events: list[Event] = []
    with rescheduled(engine, running=2):
        for cell in cells:
            engine.submit(cell)
        for _ in range(5):
            events += engine.step()
        engine.submit(ask(9, TEXTS[3]))
        late: list[Event] = []
        while not [event for event in late if isinstance(event, Chunk) and event.request == 9 and event.stop_reason]:
            late += engine.step()
        assert {event.request for event in late if isinstance(event, Chunk)} == {9}
        assert {event.request for event in late if isinstance(event, Progress) and event.state == "queued"} == {0, 1}
        events += late + run(engine)
    assert [text_of(events, number) for number in range(3)] == expected


@pytest.mark.parametrize("family", FAMILIES)
def test_every_kind_of_memory_lets_rows_come_leave_and_step_aside(tmp_path: Path, family: str) -> None:
    engine = open_engine(write_hf(tmp_path / family, family, **FAMILIES[family]))
    requests = [replace(ask(number, text), priority=1) for number, text in enumerate(TEXTS)]
    expected = [complete(engine, request)[0].text for request in requests]
    forget_prefixes(engine)
    with rescheduled(engine, running=2):
        for request in requests:
            engine.submit(request)
        events = [event for _ in range(4) for event in engine.step()]
        engine.submit(ask(9, TEXTS[0]))
        events += run(engine)
    assert [text_of(events, number) for number in range(len(TEXTS))] == expected
    assert text_of(events, 9) == expected[0]
    if isinstance(engine._cache, SequenceKVCache):
        assert engine.status.cached_tokens == 0


def test_a_long_prompt_never_holds_up_a_sequence_that_decodes(engine: TransformersEngine) -> None:
    with rescheduled(engine, chunk=4):
        engine.submit(ask(1, "x", max_tokens=12, logit_bias={"id:1": -1000.0}))
        engine.step()
        (first,) = running(engine)
        while not first.decoding:
            engine.step()
        engine.submit(ask(2, TEXTS[3], max_tokens=1))
        engine.step()
        written = [first.chunks.output_tokens]
        while len(written) < 4:
            engine.step()
            written.append(first.chunks.output_tokens)
        assert [sequence.decoding for sequence in running(engine)] == [True, False]
        assert written == list(range(written[0], written[0] + 4))


@pytest.mark.parametrize("steps", range(6))
def test_a_cancel_frees_the_slot_at_whatever_step(engine: TransformersEngine, steps: int) -> None:
    expected = complete(engine, ask(5, TEXTS[1]))[0].text
    forget_prefixes(engine)
    with rescheduled(engine, chunk=16):
        engine.submit(ask(1, TEXTS[0]))
        engine.submit(ask(2, TEXTS[1]))
        events = [event for _ in range(steps) for event in engine.step()]
        engine.cancel(1)
        events += engine.step()
        assert 1 not in [sequence.id for sequence in engine._scheduler._queue.all]
        events += run(engine)
        assert text_of(events, 2) == expected
        assert engine.status.running == engine.status.used_kv_tokens == 0


@contextmanager
def in_layer(engine: TransformersEngine, layer: int, call: Callable[[], None]) -> Iterator[Callable[[], bool]]:
    """Call while the model is at work in a layer of its next passes; whether it was called."""
    calls = itertools.count()
    called: list[bool] = []
    check = engine._cache._cache._check  # type: ignore[attr-defined]

    def look() -> None:
        if next(calls) == layer:
            called.append(True)
            call()
        check()

    engine._cache._cache._check = look  # type: ignore[attr-defined]
    try:
        yield lambda: bool(called)
    finally:
        engine._cache._cache._check = check  # type: ignore[attr-defined]


@pytest.mark.parametrize("layer", range(8))
def test_a_pass_is_left_in_the_middle_when_one_of_its_rows_is_called_off(
    engine: TransformersEngine, layer: int
) -> None:
    expected = complete(engine, ask(5, TEXTS[1]))[0].text
    forget_prefixes(engine)
    with in_layer(engine, layer, lambda: engine.abort(1)) as called:
        engine.submit(ask(1, TEXTS[0]))
        engine.submit(ask(2, TEXTS[1]))
        events = list(engine.step())
        while not called():
            events += engine.step()
        engine.cancel(1)
        events += run(engine)
    ends = [event.stop_reason for event in events if isinstance(event, Chunk) and event.request == 1]
    assert ends[-1] == "cancelled"
    assert text_of(events, 2) == expected


@pytest.mark.parametrize("layer", [0, 3, 6])
def test_cells_make_way_in_the_middle_of_a_pass_and_lose_nothing(engine: TransformersEngine, layer: int) -> None:
    expected = complete(engine, ask(5, TEXTS[1]))[0].text
    forget_prefixes(engine)
    with in_layer(engine, layer, lambda: engine.preempt(2)) as called:
        engine.submit(replace(ask(1, TEXTS[1]), priority=1))
        events: list[Outcome] = []
        while not called():
            events += engine.step()
        (row,) = running(engine)
        before = row.position
        events += engine.step()
        assert row.position == before, "nothing is computed until the one that goes first is there"
        engine.resume(2)
        engine.submit(ask(2, TEXTS[0]))
        events += run(engine)
    assert [event.request for event in events if isinstance(event, Chunk) and event.stop_reason] == [2, 1]
    assert text_of(events, 1) == expected


def test_answers_that_are_weighed_share_their_conversation_with_others(engine: TransformersEngine) -> None:
    conversation = ask(1, TEXTS[0])
    complete(engine, conversation)
    before = engine.status.prefill_tokens
    weighing = LoglikelihoodRequest(2, conversation.messages, ("the house", "the kettle is here"))
    engine.loglikelihood(weighing)
    (shared,) = [event for event in run(engine) if isinstance(event, LoglikelihoodResult)]
    assert engine.status.prefill_tokens - before < len(prompt(engine, conversation))
    forget_prefixes(engine)
    engine.loglikelihood(replace(weighing, deterministic=True))
    (alone,) = [event for event in run(engine) if isinstance(event, LoglikelihoodResult)]
    for one, other in zip(shared.likelihoods, alone.likelihoods, strict=True):
        assert one.logprob == pytest.approx(other.logprob, abs=1e-3)


@pytest.mark.parametrize("steps", range(3))
def test_continuations_are_scored_as_before_after_they_were_swapped_out(engine: TransformersEngine, steps: int) -> None:
    asked = LoglikelihoodRequest(1, ask(1, "x").messages, ("the house and the kettle " * 3, "the house"), priority=1)
    engine.loglikelihood(asked)
    (expected,) = [event for event in run(engine) if isinstance(event, LoglikelihoodResult)]
    forget_prefixes(engine)
    with rescheduled(engine, running=1, chunk=4):
        engine.loglikelihood(asked)
        events = list(engine.step())
        (row,) = running(engine)
        assert isinstance(row, LoglikelihoodSequence)
        while not (row.placements and row.placements[0].position):
            events += engine.step()
        for _ in range(steps):
            events += engine.step()
        assert row.slot >= 0
        engine.submit(ask(2, TEXTS[3]))
        engine.step()
        assert row.swapped is not None
        events += run(engine)
    (found,) = [event for event in events if isinstance(event, LoglikelihoodResult)]
    for one, other in zip(found.likelihoods, expected.likelihoods, strict=True):
        assert one.logprob == pytest.approx(other.logprob, abs=1e-3)


def test_it_says_what_it_is_doing(engine: TransformersEngine) -> None:
    for number, text in enumerate(TEXTS[:2]):
        engine.submit(ask(number, text))
    before = engine.status
    assert (before.running, before.waiting) == (0, 2)
    engine.step()
    engine.step()
    during = engine.status
    assert during.running == 2
    assert during.used_kv_tokens > 0
    assert during.kv_tokens > 0 and during.kv_cache_bytes == during.kv_tokens * engine.info.kv_bytes_per_token
    assert during.weights_bytes > 0
    run(engine)
    after = engine.status
    assert after.prompt_cache_bytes > 0 and after.offloaded_prefixes > 0
    assert after.completion_tokens > before.completion_tokens
    assert after.prefill_tokens > before.prefill_tokens
    assert after.cached_tokens > before.cached_tokens


def test_the_cache_grows_to_its_limits_and_not_beyond(
    engine: TransformersEngine, make_long: Callable[[int], GenerateRequest]
) -> None:
    memory = choose_kv_cache(engine._adapters._model, 3, engine.info.context_tokens, Preemption())
    assert memory.size == (0, 0)
    complete(engine, *(make_long(number) for number in range(20)))
    rows, cells = engine.status.kv_tokens // engine.info.context_tokens, engine.info.context_tokens
    assert engine._cache.size == (rows, cells)
    assert rows <= 16


@pytest.fixture
def make_long(engine: TransformersEngine) -> Callable[[int], GenerateRequest]:
    return lambda number: ask(number, f"{number} " * 30, max_tokens=200, logit_bias={"id:1": -1000.0})
