from __future__ import annotations

import pytest

from tests.runs.evaluating import CASES, Desk, bench, carry_out
from workbench.cli.progress import describe_limit, describe_plan
from workbench.endpoint import make_endpoint
from workbench.errors import BenchError
from workbench.inference.types import GenerateRequest
from workbench.models.reference import Model
from workbench.prompting.prompt import Message
from workbench.runs.bench import Variant
from workbench.runs.cost import Price
from workbench.runs.price_table import find_list_price, find_table_price, is_loopback, is_paid
from workbench.runs.progress import RunFinished
from workbench.runs.run import RunOptions
from workbench.runs.spending import SpendingLimit, estimate_most, estimate_tokens
from workbench.store.runs import get_run, list_runs

PRICES = {"desk": Price(input=1000.0, output=1000.0)}
ONE_BY_ONE = {"concurrency": 1}


@pytest.fixture
def desk(tmp_path):
    desk = Desk(tmp_path)
    yield desk
    desk.close()


def _short(name: str = "A") -> Variant:
    from workbench.inference.types import Sampling

    return Variant(name, "plain", "desk", sampling=Sampling(max_tokens=4))


def test_tokens_are_estimated_by_length_and_an_answer_by_its_limit():
    request = GenerateRequest(0, (Message("user", "x" * 40), Message("assistant", "")))
    assert estimate_tokens(request.messages) == 18
    assert estimate_most(Price(input=2.0, output=10.0), 1000, 100) == pytest.approx(0.003)


def test_a_cell_has_room_while_what_runs_and_itself_fit():
    limit = SpendingLimit(1.0)
    assert limit.has_room("m", 0, 0.5)
    assert limit.has_room("m", 1, 0.5)
    assert not limit.has_room("m", 2, 0.5)
    limit.add("m", 0.1)
    assert not limit.has_room("m", 1, 0.5)
    for _ in range(2):
        limit.add("m", 0.1)
    assert limit.has_room("m", 5, 0.5), "by the mean of what three cells cost"
    assert SpendingLimit(None).has_room("m", 10_000, 1e9)


@pytest.mark.parametrize("amount", [0.0, -1.0, float("nan")])
def test_a_limit_is_more_than_nothing(amount):
    with pytest.raises(BenchError, match="expected more than 0"):
        SpendingLimit(amount)


def test_a_run_stops_before_its_limit_and_says_what_is_unfinished(desk):
    free = bench(_short(), _short("B"), prices=PRICES)
    whole = desk.evaluation(free, options=RunOptions(cache=False, **ONE_BY_ONE))
    cells = carry_out(whole)
    each = max(cell.cost for cell in cells)
    limit = 6.5 * each
    stopped = desk.evaluation(free, options=RunOptions(cache=False, max_cost=limit, **ONE_BY_ONE))
    events = list(stopped.events())
    end = events[-1]
    assert isinstance(end, RunFinished)
    assert (end.finished, end.limit_reached) == (False, True)
    assert 0 < end.spent <= limit
    left = stopped.unfinished()
    assert left["A"] == 0
    assert 0 < left["B"] < 5
    assert f"Unfinished cells: B {left['B']}." in describe_limit(end, left)
    run = get_run(desk.store, list_runs(desk.store)[0].key)
    assert (run.state, run.done) == ("stopped", 10 - left["B"])
    assert len(carry_out(desk.resume(run.id))) == left["B"]


def test_cells_side_by_side_do_not_overshoot(desk):
    limit = 0.06
    evaluation = desk.evaluation(
        bench(_short(), prices=PRICES), options=RunOptions(cache=False, max_cost=limit, concurrency=32)
    )
    end = list(evaluation.events())[-1]
    assert end.spent <= limit


def test_answers_that_are_known_cost_nothing(desk):
    priced = bench(_short(), prices=PRICES)
    carry_out(desk.evaluation(priced))
    end = list(desk.evaluation(priced, options=RunOptions(max_cost=1e-9)).events())[-1]
    assert (end.finished, end.spent) == (True, 0.0)


def test_the_plan_tells_tokens_and_money(desk):
    plan = desk.evaluation(bench(_short(), prices=PRICES)).plan()
    (model,) = plan.models
    assert model.completion_tokens == 4 * len(CASES)
    assert model.most_cost == pytest.approx((model.prompt_tokens + model.completion_tokens) / 1000)
    lines = "\n".join(describe_plan(plan))
    assert f"tokens: about {model.prompt_tokens:,} prompt tokens, at most 20 completion tokens" in lines
    assert "cost: at most 0.0" in lines


def test_without_a_price_the_plan_tells_tokens_alone(desk):
    lines = "\n".join(describe_plan(desk.evaluation(bench(_short())).plan()))
    assert "tokens:" in lines
    assert "cost" not in lines


def _remote(address: str, model: str = "") -> Model:
    return Model("m", format="remote", remote=make_endpoint(address, model=model))


def test_only_servers_elsewhere_are_paid(tmp_path):
    assert is_paid(_remote("https://api.example.com", "m"))
    assert not is_paid(_remote("http://127.0.0.1:8080"))
    assert not is_paid(Model("m", tmp_path / "m.gguf"))
    assert [is_loopback(one) for one in ("http://localhost:1", "http://[::1]:1", "http://10.0.0.1")] == [
        True,
        True,
        False,
    ]


def test_list_prices_go_by_the_provider_as_well_as_the_name():
    pytest.importorskip("genai_prices", reason="the optional extra `prices` is not installed")
    found = find_table_price("https://api.openai.com", "gpt-4o-mini")
    assert found is not None
    assert 0 < found.input < found.output
    assert find_list_price(_remote("https://api.openai.com", "gpt-4o-mini")) == found
    assert find_list_price(_remote("http://127.0.0.1:8080", "gpt-4o-mini")) is None
    assert find_table_price("https://api.example.com", "gpt-4o-mini") is None
    assert find_table_price("https://api.openai.com", "no-such-model") is None


def test_an_unknown_price_stays_unknown_and_allows_no_limit(desk, monkeypatch):
    monkeypatch.setattr("workbench.inference.remote.identity.identify", lambda model: "hosted")
    desk.models["hosted"] = _remote("https://api.example.com", "m")
    unpriced = bench(Variant("A", "plain", "hosted"))
    lines = describe_plan(desk.evaluation(unpriced).plan())
    assert "cost: the price of m is unknown" in lines
    with pytest.raises(BenchError, match="--max-cost needs prices, and none is known for m"):
        desk.evaluation(unpriced, options=RunOptions(max_cost=1.0)).plan()


def test_judges_count_towards_what_a_run_costs(desk):
    desk.model("judge", rules=[{"reply": "5"}])
    judged = bench(_short(), scorers=("exact_match", {"judge": {"model": "judge", "rubric": "Is it right?"}}))
    free = list(desk.evaluation(judged, options=RunOptions(cache=False)).events())[-1]
    priced = bench(_short(), scorers=judged.scorers, prices={"judge": Price(input=1000.0, output=1000.0)})
    paid = list(desk.evaluation(priced, options=RunOptions(cache=False)).events())[-1]
    assert free.spent == 0
    assert paid.spent > 0
