from __future__ import annotations

import json
from datetime import datetime
from pathlib import Path

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from workbench.datasets import Case
from workbench.errors import StoreError
from workbench.inference.types import Sampling
from workbench.models.reference import Adapter, Applied, Model
from workbench.prompting.prompt import Example, Message, Prompt
from workbench.runs.bench import AdapterChoice, Variant
from workbench.runs.provenance import (
    AdapterTrace,
    ModelTrace,
    Provenance,
    digest_question,
    name_engine,
    repeat_sampling,
    trace,
)
from workbench.runs.sources import Sources
from workbench.store.store import Store

MODEL = ModelTrace(Model("desk", Path("/models/desk.gguf")), "abc")
LORA = AdapterTrace(Applied(Adapter("calm", Path("/adapters/calm")), 0.5), "def")
OTHER = AdapterTrace(Applied(Adapter("terse", Path("/adapters/terse"))), "fed")
HELLO = (Message("user", "Hello"),)
TEXT = st.text(st.characters(exclude_categories=["Cs"]))


def ask(model=MODEL, adapters=(LORA, OTHER), messages=HELLO, mode="chat", sampling=Sampling(), engine="x 1", repeat=0):
    return digest_question(model, adapters, messages, mode, sampling, engine, repeat)


@given(name=TEXT, body=TEXT, answer=TEXT, stop=st.lists(TEXT).map(tuple), bias=st.dictionaries(TEXT, st.floats(-9, 9)))
def test_provenance_comes_back_from_its_text(name, body, answer, stop, bias):
    variant = Variant(
        name,
        name,
        "desk",
        Sampling(stop=stop, logit_bias=bias, seed=None, json_schema={"type": "object"}),
        (name,),
        (AdapterChoice("calm", 0.5),),
    )
    prompt = Prompt(name, body, defaults={name: body}, examples=(Example("e1", {"message": body}, answer),))
    known = Provenance(variant, prompt, MODEL, (LORA,), "drop", "llama 1")
    assert Provenance.decode(known.encode()) == known


def test_text_that_is_no_provenance_is_told():
    with pytest.raises(StoreError, match="cannot be read"):
        Provenance.decode('{"variant": 3}')


def test_a_draft_asks_what_the_variant_asked():
    known = Provenance(Variant("A", "p", "desk", Sampling(temperature=1.0, seed=5)), Prompt("p", "x"), MODEL, (LORA,))
    spec = known.spec(Case(3, {"message": "hi"}), repeat=2)
    assert (spec.model, spec.adapters, spec.sampling.seed) == (MODEL.model, (LORA.applied,), 7)


@pytest.mark.parametrize(
    "change",
    [
        {"model": msgspec.structs.replace(MODEL, fingerprint="abd")},
        {"model": ModelTrace(msgspec.structs.replace(MODEL.model, chat_template="{{ x }}"), "abc")},
        {"model": ModelTrace(msgspec.structs.replace(MODEL.model, dtype="float32"), "abc")},
        {"adapters": (LORA,)},
        {"adapters": (LORA, AdapterTrace(msgspec.structs.replace(OTHER.applied, scale=0.9), "fed"))},
        {"messages": (Message("user", "Hello "),)},
        {"messages": (Message("system", "Hello"),)},
        {"mode": "completion"},
        {"sampling": Sampling(max_tokens=3)},
        {"sampling": Sampling(grammar='root ::= "x"')},
        {"sampling": Sampling(json_schema={"type": "object"})},
        {"sampling": Sampling(temperature=0.7, seed=1)},
        {"engine": "x 2"},
        {"repeat": 1},
    ],
)
def test_whatever_determines_an_answer_changes_the_fingerprint(change):
    assert ask(**change) != ask()


@pytest.mark.parametrize(
    "change",
    [
        {"model": ModelTrace(msgspec.structs.replace(MODEL.model, name="x", path=Path("/moved.gguf")), "abc")},
        {"adapters": (OTHER, LORA)},
        {"adapters": (LORA, OTHER, AdapterTrace(msgspec.structs.replace(OTHER.applied, scale=0.0), "off"))},
        {"sampling": Sampling(seed=9)},
        {"sampling": Sampling(seed=None)},
    ],
)
def test_whatever_does_not_determine_an_answer_leaves_the_fingerprint(change):
    assert ask(**change) == ask()


def test_chance_has_no_fingerprint():
    assert ask(sampling=Sampling(temperature=0.7, seed=None)) is None


def test_repeats_draw_by_seeds_of_their_own_where_a_seed_decides_anything():
    assert repeat_sampling(Sampling(temperature=1.0, seed=3), 4).seed == 7
    assert repeat_sampling(Sampling(temperature=0.0, seed=3), 4).seed == 3
    assert repeat_sampling(Sampling(temperature=1.0, seed=None), 4).seed is None


def test_engines_are_named_with_their_versions():
    assert name_engine("gguf").startswith("llama-cpp-python 0.")
    assert "torch" in name_engine("hf")
    assert name_engine("scripted") == "scripted"


def test_a_template_that_writes_the_day_is_asked_with_the_day_of_the_run(tmp_path):
    dated = Model("desk", tmp_path / "desk.script.json", "scripted", chat_template="{{ strftime_now('%d') }}")
    dated.path.write_text("{}")
    today = datetime.now().date().isoformat()
    fixed = '{"date": "2026-01-02"}'
    for model, expected in (
        (dated, json.dumps({"date": today}, separators=(",", ":"))),
        (msgspec.structs.replace(dated, chat_template="plain"), ""),
        (msgspec.structs.replace(dated, chat_template_kwargs=fixed), fixed),
    ):
        sources = Sources(lambda _: Prompt("plain", "user:\nhi"), lambda _, found=model: found)
        store = Store(tmp_path / "store.sqlite")
        made = trace(Variant("a", "plain", "desk"), sources, "refuse", store)
        store.close()
        assert made.base.chat_template_kwargs == expected
