"""Search for instructions by templates and by a reflector, on a task whose rule is in the data alone."""

from __future__ import annotations

import json
from typing import Any

import pytest

from tests.http_fixture import serve
from tests.search.opened_search import open_search
from tests.search.planted_rules import write_task
from workbench.errors import ModelError, SearchError
from workbench.inference.pool import Pool
from workbench.search.budget import SearchBudget
from workbench.search.journal import BestChanged, CandidateEvaluated, CandidateProposed, Reflected, SearchStarted
from workbench.search.prompt_search import PromptSearch
from workbench.search.search_report import SearchReport, render_search_markdown
from workbench.settings import Settings
from workbench.store.store import Store

HIDDEN = "rule: {word} means {label}"
"""a form that no template writes"""


@pytest.fixture(autouse=True)
def home(tmp_path, monkeypatch):
    monkeypatch.setenv("WORKBENCH_HOME", str(tmp_path / "home"))


def test_templates_find_a_planted_rule_without_any_other_model(tmp_path):
    with open_search(write_task(tmp_path / "task"), "instructions") as (search, events):
        result = search.run()
    assert result is not None and result.improved
    assert result.winner.origin == "template"
    assert "Abacus: invoice" in result.winner.body
    assert (result.test.seed.value, result.test.winner.value) == (0.0, 1.0)
    assert not events.of(Reflected)


def test_a_scripted_reflector_finds_a_rule_that_no_template_states(tmp_path, capsys):
    bench = write_task(tmp_path / "task", labels=3, dev=15, test=30, rule=HIDDEN)
    with open_search(bench, "instructions", reflector="reflector") as (search, events):
        result = search.run()
    assert result is not None and result.improved
    assert result.winner.origin == "reflection"
    assert all(f"rule: {word} means" in result.winner.body for word in ("invoice", "crash", "password"))
    assert result.test.winner.value == 1.0
    assert result.winner.reason == "Nothing is known of Compass yet."
    assert result.stopped == "the best possible score was reached on dev"
    assert len(events.of(Reflected)) == result.spending.reflector_calls == 3
    lineage = [search.state.candidates[change.candidate] for change in events.of(BestChanged)]
    assert [one.parent for one in lineage[1:]] == [one.id for one in lineage[:-1]]
    assert capsys.readouterr() == ("", "")  # gepa prints a lot unless it is told not to


def test_a_parent_that_answered_a_part_of_dev_is_reported_with_that_part(tmp_path):
    bench = write_task(tmp_path / "task", labels=4, dev=40, test=20, rule=HIDDEN)
    with open_search(bench, "instructions", reflector="reflector", variant="") as (search, events):
        result = search.run()
    assert events.of(SearchStarted)[0].request.variant == "ask"  # the only one
    text = render_search_markdown(SearchReport("ask", result, search.state), plain=True)
    assert "1.000 on dev: Nothing is known of Harbour yet." in text
    assert "on 12 of 40 dev cases: Nothing is known of Anvil yet." in text


def test_each_reflection_is_about_what_went_wrong(tmp_path):
    bench = write_task(tmp_path / "task", labels=3, dev=15, rule=HIDDEN, reflector=[{"reply": "```\n{old}\n```"}])
    asked = []
    with open_search(bench, "instructions", reflector="reflector") as (search, _):
        client = search.prepared.task.pool.client
        search.prepared.task.pool.client = lambda model: _listen(client(model), asked)  # type: ignore[method-assign]
        search.run()
    text = asked[0].messages[0].content
    assert "The instruction now:\n```\nChoose the queue.\n```" in text
    assert "Scorer: Expected 'Abacus', got 'unsure'." in text
    assert "The answers keep their form: Answer with the label only." in text
    dev = (tmp_path / "task" / "data" / "validation.jsonl").read_text()
    assert not any(line in dev for line in text.splitlines() if line.startswith("message: "))


def test_a_search_goes_on_without_asking_anything_twice(tmp_path):
    bench = write_task(tmp_path / "task", labels=3, dev=15, test=30, rule=HIDDEN)

    def interrupt(event):
        if isinstance(event, Reflected) and len(events.of(Reflected)) == 2:
            search.cancel()

    with open_search(bench, "instructions", interrupt, reflector="reflector") as (search, events):
        assert search.run() is None
    first = search.state.spending
    pool, store = Pool(), Store(bench.parent / "workbench.sqlite")
    again = PromptSearch.reopen(search.search_dir, Settings(), pool, store)
    result = again.run()
    with open_search(
        write_task(tmp_path / "whole" / "task", labels=3, dev=15, test=30, rule=HIDDEN),
        "instructions",
        reflector="reflector",
    ) as (whole, _):
        undisturbed = whole.run()
    pool.close()
    store.close()
    assert first.reflector_calls == 2
    assert result.winner.body == undisturbed.winner.body
    assert result.spending.reflector_calls == undisturbed.spending.reflector_calls == 3
    assert result.spending.calls == undisturbed.spending.calls


def test_a_reflector_that_is_writing_is_given_up_at_once_when_the_search_is_cancelled(tmp_path):
    bench = write_task(tmp_path / "task", labels=3, dev=15, rule=HIDDEN, reflector=[{"hold": "running"}])
    with open_search(bench, "instructions", reflector="reflector") as (search, events):
        client = search.prepared.task.pool.client

        def find(model):
            if model.name == "reflector":
                search.cancel()
            return client(model)

        search.prepared.task.pool.client = find  # type: ignore[method-assign]
        assert search.run() is None
    assert not events.of(Reflected)  # it is asked again when the search goes on


def test_the_budget_is_kept_with_a_reflector_among_the_calls(tmp_path):
    bench = write_task(tmp_path / "task", labels=3, dev=15, test=20, rule=HIDDEN)
    calls = 2 * 20 + 2 * 15 + 20
    with open_search(bench, "instructions", calls=calls, reflector="reflector") as (search, _):
        result = search.run()
    assert result is not None
    assert result.spending.calls <= calls
    assert "budget" in result.stopped


def test_a_rejected_proposal_is_dropped_with_the_scores_that_it_was_rejected_for(tmp_path):
    rules = [{"reply": "It needs a smile.\n```\nChoose the queue. Smile.\n```"}]
    bench = write_task(tmp_path / "task", labels=3, dev=15, rule=HIDDEN, reflector=rules)
    with open_search(bench, "instructions", reflector="reflector") as (search, events):
        result = search.run()
    smiling = [one.candidate for one in events.of(CandidateProposed) if "Smile" in one.candidate.body]
    assert len(smiling) == 1
    assert search.state.dropped[smiling[0].id] == "0 against its parent's 0 on the cases it was made from"
    evaluated = [one for one in events.of(CandidateEvaluated) if one.candidate == smiling[0].id]
    assert {one.part for one in evaluated} == {"train"}
    assert not result.improved
    assert result.winner.id == result.seed.id


def test_an_unknown_reflector_is_an_error_before_anything_is_asked(tmp_path):
    bench = write_task(tmp_path / "task", labels=3, dev=15, rule=HIDDEN)
    unknown = pytest.raises(ModelError, match="No such model: 'nobody'")
    with unknown, open_search(bench, "instructions", reflector="nobody"):
        pass


def test_a_money_budget_needs_the_price_of_a_reflector_on_somebodys_server(tmp_path):
    bench = write_task(tmp_path / "task", labels=3, dev=15, rule=HIDDEN)
    choice = '{remote: "https://api.example.test", model: big, dialect: openai}'
    bench.write_text(bench.read_text().replace("{path: reflector.script.json}", choice))
    request = {"budget": SearchBudget(calls=500, money=1.0), "reflector": "reflector"}
    unknown = pytest.raises(SearchError, match="--max-cost needs prices, and none is known for reflector")
    with unknown, open_search(bench, "instructions", **request):
        pass
    bench.write_text(bench.read_text() + "prices: {reflector: {input: 2.0, output: 10.0}}\n")
    with open_search(bench, "instructions", **request) as (search, _):
        assert search.plan()


def test_a_reflector_on_a_server_is_asked_there_with_its_key_and_its_price(tmp_path, monkeypatch):
    monkeypatch.setenv("REFLECTOR_KEY", "sk-secret-7")
    bench = write_task(tmp_path / "task", labels=2, dev=12, test=20, rule=HIDDEN)
    rules = "rule: invoice means Abacus\nrule: crash means Anvil"
    text = f"Nothing says what a message is about.\n```\nChoose the queue.\n{rules}\n```"
    with serve(lambda path, body: _answer_chat(path, body, text)) as (address, asked):
        choice = f'{{remote: "{address}", model: big, dialect: openai, key_env: REFLECTOR_KEY}}'
        written = bench.read_text().replace("{path: reflector.script.json}", choice)
        bench.write_text(f"{written}prices: {{reflector: {{input: 2.0, output: 10.0}}}}\n")
        with open_search(bench, "instructions", reflector="reflector") as (search, events):
            result = search.run()
    assert result.winner.origin == "reflection" and result.test.winner.value == 1.0
    chats = [(headers, body) for path, headers, body in asked if path == "/v1/chat/completions"]
    assert any("Choose the queue." in body["messages"][-1]["content"] for _, body in chats)
    assert {headers["Authorization"] for headers, _ in chats} == {"Bearer sk-secret-7"}
    assert "sk-secret-7" not in search.search_dir.journal.read_text()
    (reflected,) = events.of(Reflected)
    assert (reflected.prompt_tokens, reflected.completion_tokens) == (500, 40)
    assert reflected.money == pytest.approx((500 * 2.0 + 40 * 10.0) / 1_000_000)
    assert result.spending.money == pytest.approx(reflected.money)


def _answer_chat(path: str, body: dict[str, Any] | None, text: str):
    if path == "/v1/models":
        return 200, {"object": "list", "data": [{"id": "big", "object": "model", "owned_by": "somebody"}]}
    if path != "/v1/chat/completions" or body is None:
        return 404, "none"
    choice = {"index": 0, "delta": {"role": "assistant", "content": text}, "finish_reason": "stop"}
    usage = {"prompt_tokens": 500, "completion_tokens": 40, "total_tokens": 540}
    chunk = json.dumps({"model": body["model"], "choices": [choice], "usage": usage})
    return 200, f"data: {chunk}\n\ndata: [DONE]\n\n".encode()


def _listen(client, asked):
    """The client, whose requests are noted where the model is the reflector."""
    if client.model.name == "reflector":
        complete = client.complete

        async def note(request):
            asked.append(request)
            return await complete(request)

        client.complete = note
    return client
