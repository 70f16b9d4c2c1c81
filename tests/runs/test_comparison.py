from __future__ import annotations

import json
import threading
from pathlib import Path

import pytest

from workbench.datasets import Case
from workbench.errors import ModelError, PromptError, ScorerError
from workbench.inference.pool import Pool
from workbench.inference.types import Chunk, Sampling
from workbench.models.reference import Adapter, Applied, Model
from workbench.prompting.prompt import Example, Prompt
from workbench.runs.bench import AdapterChoice, Bench, Variant
from workbench.runs.cell import CellFinished, CellStarted, CellText
from workbench.runs.comparison import compare
from workbench.runs.generation import GenerationSpec
from workbench.runs.sources import Sources

CASES = tuple(Case(n, {"message": f"message {n}"}, "Lantern", n) for n in range(1, 4))
PROMPTS = {
    "plain": Prompt("plain", "user:\n{{ message }}\n"),
    "other": Prompt("other", "user:\nPlease: {{ message }}\n"),
    "broken": Prompt("broken", "user:\n{{ message\n"),
    "wanting": Prompt("wanting", "user:\n{{ nothing }} {{ here }}\n"),
    "shown": Prompt(
        "shown",
        "user:\n{{ message }}\n",
        placement="turns",
        examples=tuple(Example(f"e{n}", {"message": "word " * 30}, "Lantern") for n in range(1, 5)),
    ),
}


@pytest.fixture
def pool():
    pool = Pool()
    yield pool
    pool.close()


def model(folder: Path, name: str = "desk", **script) -> Model:
    path = folder / f"{name}.script.json"
    path.write_text(json.dumps({"rules": [{"reply": "Lantern goes here"}], **script}))
    return Model(name, path, "scripted")


def sources(*models: Model) -> Sources:
    def open_prompt(name):
        if name not in PROMPTS:
            raise PromptError(f"no prompt {name}")
        return PROMPTS[name]

    def find_model(name):
        found = [one for one in models if one.name == name]
        if not found:
            raise ModelError(f"no model {name}", "look elsewhere")
        return found[0]

    return Sources(open_prompt, find_model)


def bench(*variants: Variant, scorers=("contains", "exact_match")) -> Bench:
    return Bench(tuple(variants), scorers=scorers)


def finished(events):
    return [event.cell for event in events if isinstance(event, CellFinished)]


def test_every_variant_answers_every_case(pool, tmp_path):
    plan = bench(Variant("A", "plain", "desk"), Variant("B", "other", "desk"))
    events = list(compare(plan, CASES, pool, sources(model(tmp_path))))
    cells = finished(events)
    assert sorted((cell.variant, cell.case) for cell in cells) == [(v, n) for v in "AB" for n in (1, 2, 3)]
    for cell in cells:
        own = [e for e in events if isinstance(e, CellText) and (e.variant, e.case) == (cell.variant, cell.case)]
        assert "".join(event.text for event in own) == cell.completion.text == "Lantern goes here"
        assert [(s.scorer, s.value) for s in cell.scores] == [("contains", 1.0), ("exact_match", 0.0)]
        assert cell.completion.stop_reason == "eos"
        assert cell.completion.prompt_tokens > 0
        assert not cell.error


def test_a_cell_starts_before_its_text_and_ends_after_it(pool, tmp_path):
    events = list(compare(bench(Variant("A", "plain", "desk")), CASES[:1], pool, sources(model(tmp_path))))
    kinds = [type(event) for event in events]
    assert kinds[0] is CellStarted
    assert kinds[-1] is CellFinished
    assert set(kinds[1:-1]) == {CellText}


def test_a_cell_that_cannot_run_says_so_and_stops_no_other(pool, tmp_path):
    plan = bench(
        Variant("syntax", "broken", "desk"),
        Variant("missing", "wanting", "desk"),
        Variant("no prompt", "none", "desk"),
        Variant("no model", "plain", "none"),
        Variant("fails", "plain", "failing"),
        Variant("does not load", "plain", "dead"),
        Variant("well", "plain", "desk"),
    )
    models = [
        model(tmp_path),
        model(tmp_path, "failing", rules=[{"reply": "one two three", "fail_after": 1, "failure": "It fell."}]),
        model(tmp_path, "dead", load="fails"),
    ]
    cells = {cell.variant: cell for cell in finished(compare(plan, CASES[:1], pool, sources(*models)))}
    assert cells["well"].error == ""
    assert cells["no model"].error == "no model none"
    assert cells["no model"].hint == "look elsewhere"
    assert "nothing" in cells["missing"].error
    assert "here" in cells["missing"].error
    assert cells["fails"].error == "It fell."
    assert cells["fails"].completion.text == "one"
    assert all(cell.error for name, cell in cells.items() if name != "well")
    assert {cell.completion.stop_reason for name, cell in cells.items() if name != "well"} == {"error"}


def test_scorers_that_cannot_be_made_end_it_before_anything_runs(pool, tmp_path):
    plan = bench(Variant("A", "plain", "desk"), scorers=("exact_mach",))
    with pytest.raises(ScorerError):
        next(compare(plan, CASES, pool, sources(model(tmp_path))))
    assert pool.loaded_models() == ()


def test_a_prompt_that_does_not_fit_is_refused_or_loses_its_last_examples(pool, tmp_path):
    plan = bench(Variant("A", "shown", "desk", Sampling(max_tokens=10)))
    small = model(tmp_path, context_tokens=100)
    (refused,) = finished(compare(plan, CASES[:1], pool, sources(small), "refuse"))
    (dropped,) = finished(compare(plan, CASES[:1], pool, sources(small), "drop"))
    assert "does not fit" in refused.error
    assert dropped.error == ""
    assert dropped.completion.prompt_tokens <= 90


def test_switched_off_examples_are_not_sent(pool, tmp_path):
    plan = bench(Variant("all", "shown", "desk"), Variant("fewer", "shown", "desk", examples_off=("e2", "e3", "gone")))
    cells = {cell.variant: cell for cell in finished(compare(plan, CASES[:1], pool, sources(model(tmp_path))))}
    more, fewer = (cells[name].completion.prompt_tokens for name in ("all", "fewer"))
    assert more - fewer > 50


def test_no_more_cells_run_at_once_than_allowed(pool, tmp_path):
    running = most = 0
    plan = bench(Variant("A", "plain", "desk"), Variant("B", "other", "desk"))
    for event in compare(plan, CASES, pool, sources(model(tmp_path)), concurrency=2):
        running += isinstance(event, CellStarted)
        running -= isinstance(event, CellFinished)
        most = max(most, running)
    assert (most, running) == (2, 0)


class CountingPool(Pool):
    """A pool that tells when a request was cancelled."""

    def __init__(self):
        super().__init__()
        self.cancelled = threading.Event()

    def client(self, model):
        client = super().client(model)
        submit = client.engine.submit

        def watch(request, handler):
            def take(event):
                handler(event)
                if isinstance(event, Chunk) and event.stop_reason == "cancelled":
                    self.cancelled.set()

            submit(request, take)

        client.engine.submit = watch
        return client


def test_closing_the_iterator_cancels_what_runs(tmp_path):
    endless = model(tmp_path, rules=[{"reply": "again ", "endless": True}], context_tokens=2_000_000)
    plan = bench(Variant("A", "plain", "desk", Sampling(max_tokens=1_000_000)))
    pool = CountingPool()
    events = compare(plan, CASES[:1], pool, sources(endless))
    while not isinstance(next(events), CellText):
        pass
    assert not pool.cancelled.is_set()
    events.close()
    assert pool.cancelled.wait(120)
    pool.close()


def test_a_case_without_an_answer_is_answered_and_not_judged(pool, tmp_path):
    case = Case(1, {"message": "hello"})
    (cell,) = finished(compare(bench(Variant("A", "plain", "desk")), [case], pool, sources(model(tmp_path))))
    assert not any(score.applies for score in cell.scores)
    assert cell.error == ""


def test_a_prompt_is_read_once_so_that_all_cases_get_the_same_one(pool, tmp_path):
    opened = []
    given = sources(model(tmp_path))

    def open_prompt(name):
        opened.append(name)
        return given.open_prompt(name)

    plan = bench(Variant("A", "plain", "desk"), Variant("B", "plain", "desk"))
    list(compare(plan, CASES, pool, Sources(open_prompt, given.find_model)))
    assert opened == ["plain"]


def test_adapters_of_a_variant_reach_the_engine(pool, tmp_path):
    for name in ("calm", "terse"):
        (tmp_path / f"{name}.gguf").touch()
    given = model(tmp_path, rules=[{"adapter": "", "reply": "bare"}, {"adapter": "calm", "reply": "laid {adapters}"}])
    choices = (AdapterChoice(str(tmp_path / "calm.gguf"), 0.5), AdapterChoice(str(tmp_path / "terse.gguf"), on=False))
    variants = (Variant("base", "plain", "desk"), Variant("laid", "plain", "desk", adapters=choices))
    gone = Variant("gone", "plain", "desk", adapters=(AdapterChoice("gone.gguf"),))
    cells = finished(compare(bench(*variants, gone), CASES[:1], pool, sources(given)))
    texts = {cell.variant: cell.completion.text for cell in cells}
    errors = {cell.variant: cell.error for cell in cells if cell.error}
    assert (texts["base"], texts["laid"]) == ("bare", "laid calm 0.5")
    assert list(errors) == ["gone"]
    assert "gone.gguf" in errors["gone"]


def test_drafts_with_other_adapters_or_scales_ask_something_else(tmp_path):
    given = model(tmp_path)
    calm = Adapter("calm", tmp_path / "calm.gguf", "gguf")
    drafts = {
        GenerationSpec.of(Variant("", "plain", "desk"), PROMPTS["plain"], CASES[0], "refuse", given, adapters).adapters
        for adapters in ((), (Applied(calm),), (Applied(calm, 0.5),), (Applied(calm),))
    }
    assert len(drafts) == 3
