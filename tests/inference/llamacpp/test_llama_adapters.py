"""Adapters over a GGUF model: every set of them answers as if it were alone."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest
from gguf_fixture import write_gguf_adapter

from workbench.errors import ModelError
from workbench.inference.llamacpp import context_pool
from workbench.inference.llamacpp.engine import LlamaEngine
from workbench.inference.types import Chunk, Event, Failure, GenerateRequest, Progress, Sampling, fold
from workbench.models.reference import Adapter, Applied, Model
from workbench.prompting.prompt import Message

TEXT = "where is the parcel in the house and the other thing"


@pytest.fixture
def base(tiny_gguf: Callable[..., Path]) -> Path:
    return tiny_gguf()


@pytest.fixture
def engine(base: Path) -> Iterator[LlamaEngine]:
    opened = LlamaEngine.open(Model("tiny", base), 1, 8192, lambda _: True)
    yield opened
    opened.close()


@pytest.fixture(scope="module")
def make_adapter(tmp_path_factory: pytest.TempPathFactory) -> Callable[..., Adapter]:
    folder = tmp_path_factory.mktemp("adapters")

    def make(name: str, base: Path, seed: int) -> Adapter:
        return Adapter(name, write_gguf_adapter(folder / f"{name}.gguf", base, seed), "gguf")

    return make


@pytest.fixture
def sets(make_adapter: Callable[..., Adapter], base: Path) -> dict[str, tuple[Applied, ...]]:
    a, b = make_adapter("a", base, 1), make_adapter("b", base, 2)
    return {
        "base": (),
        "half": (Applied(a, 0.5),),
        "whole": (Applied(a),),
        "other": (Applied(b),),
        "blend": (Applied(a, 0.6), Applied(b, 0.6)),
    }


def ask(number: int, adapters: tuple[Applied, ...], text: str = TEXT, tokens: int = 24) -> GenerateRequest:
    sampling = Sampling(max_tokens=tokens, logit_bias={"id:1": -1000.0})
    return GenerateRequest(number, (Message("user", text),), sampling, adapters=adapters)


def drain(engine: LlamaEngine) -> list[Event]:
    events: list[Event] = []
    while engine.busy:
        events += engine.step()
    return events


def text_of(events: list[Event], number: int) -> str:
    return fold([event for event in events if isinstance(event, Chunk) and event.request == number]).text


def answer(engine: LlamaEngine, adapters: tuple[Applied, ...]) -> str:
    engine.submit(ask(99, adapters))
    return text_of(drain(engine), 99)


def test_sets_that_answer_side_by_side_answer_as_they_do_alone(engine, base, sets):
    alone = {}
    for name, adapters in sets.items():
        single = LlamaEngine.open(Model("tiny", base), 1, 8192, lambda _: True)
        alone[name] = answer(single, adapters)
        single.close()
    assert len(set(alone.values())) == len(sets)
    for _ in range(2):
        for number, adapters in enumerate(sets.values()):
            engine.submit(ask(number, adapters))
        events = drain(engine)
        assert [text_of(events, number) for number in range(len(sets))] == list(alone.values())


def test_panes_with_different_adapters_stream_together(engine, sets):
    for number, adapters in enumerate(sets.values()):
        engine.submit(ask(number, adapters))
    events = drain(engine)
    first = {}
    for place, event in enumerate(events):
        if isinstance(event, Chunk) and event.text:
            first.setdefault(event.request, place)
    first_end = next(place for place, event in enumerate(events) if isinstance(event, Chunk) and event.stop_reason)
    assert len(first) == len(sets)
    assert max(first.values()) < first_end


def test_one_context_serves_every_spelling_of_a_set(engine, sets):
    a, b = sets["whole"][0].adapter, sets["other"][0].adapter
    blend = answer(engine, (Applied(a, 0.5), Applied(b, 0.25)))
    opened = len(engine._contexts.sets)
    assert answer(engine, (Applied(b, 0.25), Applied(a, 0.25), Applied(a, 0.25))) == blend
    assert answer(engine, (Applied(a, 0.5), Applied(a, -0.5))) == answer(engine, ())
    assert len(engine._contexts.sets) == opened


def test_more_sets_than_places_are_answered_one_after_another(base, sets, monkeypatch):
    monkeypatch.setattr(context_pool, "MOST_SETS", 2)
    engine = LlamaEngine.open(Model("tiny", base), 1, 8192, lambda _: True)
    a = sets["whole"][0].adapter
    scales = [0.1 * step for step in range(1, 7)]
    for number, scale in enumerate(scales):
        engine.submit(ask(number, (Applied(a, scale),), tokens=5))
        assert len(engine._contexts.sets) <= 3
    events = drain(engine)
    ended = {event.request for event in events if isinstance(event, Chunk) and event.stop_reason == "length"}
    assert ended == set(range(len(scales)))
    assert len(engine._contexts.sets) == 3
    engine.close()


def test_a_request_that_waits_for_a_place_can_be_cancelled_at_once(base, sets, monkeypatch):
    monkeypatch.setattr(context_pool, "MOST_SETS", 1)
    engine = LlamaEngine.open(Model("tiny", base), 1, 8192, lambda _: True)
    engine.submit(ask(1, sets["whole"]))
    engine.submit(ask(2, sets["other"]))
    engine.step()
    engine.cancel(2)
    ended = [event for event in engine.step() if isinstance(event, Chunk) and event.stop_reason]
    assert [(event.request, event.stop_reason) for event in ended] == [(2, "cancelled")]
    assert not any(isinstance(event, Progress) and event.request == 2 for event in drain(engine))
    engine.close()


def test_a_context_that_cannot_be_opened_fails_only_its_own_request(engine, sets, monkeypatch):
    def refuse(_: object) -> None:
        raise ModelError("no memory")

    monkeypatch.setattr(engine._contexts, "_open_context", refuse)
    engine.submit(ask(1, ()))
    with pytest.raises(ModelError, match="no memory"):
        engine.submit(ask(2, sets["whole"]))
    assert text_of(drain(engine), 1)


def test_a_new_set_takes_over_a_context_instead_of_opening_one(base, sets, monkeypatch):
    monkeypatch.setattr(context_pool, "MOST_SETS", 2)
    engine = LlamaEngine.open(Model("tiny", base), 1, 8192, lambda _: True)
    opened, own = [], engine._contexts._open_context

    def count(laid: object) -> object:
        opened.append(laid)
        return own(laid)

    monkeypatch.setattr(engine._contexts, "_open_context", count)
    monkeypatch.setattr(engine._contexts, "_fits_spare", lambda: True)
    expected = {name: answer(engine, adapters) for name, adapters in sets.items()}
    assert len(set(expected.values())) == len(sets)
    assert opened[1:] == [()]  # after the first set a spare one, which the second took over
    for name in reversed(expected):  # also with what another set has left behind
        assert answer(engine, sets[name]) == expected[name]
    engine.close()


def test_memory_that_idle_sets_hold_is_given_to_a_new_one(engine, sets, monkeypatch):
    monkeypatch.setattr(engine._contexts, "_fits_spare", lambda: False)
    answer(engine, sets["whole"])
    opened, own = [], engine._contexts._open_context

    def open_second_time(laid: object) -> object:
        opened.append(laid)
        if len(opened) == 1:
            raise ModelError("no memory")
        return own(laid)

    monkeypatch.setattr(engine._contexts, "_open_context", open_second_time)
    assert answer(engine, sets["other"])
    assert len(engine._contexts.sets) == 2


def test_an_adapter_that_was_trained_again_is_loaded_again(engine, base, tmp_path):
    adapter = Adapter("mine", write_gguf_adapter(tmp_path / "mine.gguf", base, seed=1), "gguf")
    before = answer(engine, (Applied(adapter),))
    write_gguf_adapter(tmp_path / "new.gguf", base, seed=3, rank=2).replace(tmp_path / "mine.gguf")
    assert answer(engine, (Applied(adapter),)) != before


def _spoil(tensors: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
    tensors["blk.1.ffn_up.weight.lora_a"][0, 3] = np.nan
    return tensors


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        (lambda t: {n: a for n, a in t.items() if n != "blk.0.attn_q.weight.lora_b"}, "blk.0.attn_q.weight lacks its"),
        (lambda t: {n.replace("blk.1", "blk.4"): a for n, a in t.items()}, "5 layers or more, and the base has 2"),
        (lambda t: {n.replace("attn_v", "attn_w"): a for n, a in t.items()}, "attn_w.weight in layers 0 to 1 is not"),
        (lambda t: {n: a if "down" in n or "_b" in n else np.zeros((4, 40), "f4") for n, a in t.items()}, "size of 40"),
        (lambda t: {**t, "output.bias": np.ones(32, "f4")}, "not part of a LoRA"),
        (_spoil, "not numbers"),
        (lambda t: {n: a.astype("f8") for n, a in t.items()}, "as F64, with which llama.cpp cannot compute"),
    ],
    ids=["half", "layers", "strange", "width", "more", "nan", "double"],
)
def test_an_adapter_that_does_not_fit_is_refused_and_the_engine_goes_on(engine, base, tmp_path, changes, expected):
    path = write_gguf_adapter(tmp_path / "bad.gguf", base, changes=changes)
    with pytest.raises(ModelError, match=expected):
        engine.submit(ask(1, (Applied(Adapter("bad", path, "gguf")),)))
    assert not engine.busy
    assert answer(engine, ())


def test_files_that_are_no_adapters_for_this_model_are_told_apart(engine, base, tiny_gguf, tmp_path):
    window = write_gguf_adapter(tmp_path / "window.gguf", tiny_gguf("window", architecture="gemma2"))
    cut = tmp_path / "cut.gguf"
    cut.write_bytes(window.read_bytes()[:-100])
    wrong = {window: "architecture gemma2", cut: "truncated", base: "no LoRA adapter", tmp_path / "gone.gguf": "gone"}
    for path, expected in wrong.items():
        with pytest.raises(ModelError, match=expected):
            engine.submit(ask(1, (Applied(Adapter("bad", path, "gguf")),)))
    assert not any(isinstance(event, Failure) for event in drain(engine))


def test_a_norm_in_an_adapters_file_is_left_out_as_llama_cpp_leaves_it_out(engine, base, tmp_path):
    plain = write_gguf_adapter(tmp_path / "plain.gguf", base)
    more = write_gguf_adapter(
        tmp_path / "more.gguf", base, changes=lambda t: {**t, "output_norm.weight": np.full(32, 9, "f4")}
    )
    laid = [(Applied(Adapter(path.stem, path, "gguf")),) for path in (plain, more)]
    assert answer(engine, laid[0]) == answer(engine, laid[1])
