"""Runs on a server that is probed first: what is kept with the run, and what ends it."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Iterator

import httpx2
import pytest

from tests.runs.evaluating import Desk, bench, carry_out
from workbench.analysis.baseline import compare_runs
from workbench.analysis.narrative import describe_comparison
from workbench.analysis.summary import summarize
from workbench.endpoint import make_endpoint
from workbench.errors import ServerMismatchError
from workbench.inference.pool import Pool
from workbench.inference.remote.clock import CLOCK
from workbench.inference.remote.engine import RemoteEngine
from workbench.models.reference import Model
from workbench.runs.bench import AdapterChoice, Variant
from workbench.runs.run import RunOptions
from workbench.runs.serialisation import read_card
from workbench.runs.view import RunView
from workbench.runs.writer import RunWriter
from workbench.store.runs import get_run, list_runs

ADDRESS = "http://gpu.example"


class LlamaServerDouble:
    """llama-server, as far as a run asks it, over a transport in memory.

    adapter_acts: whether the answer changes with the adapter. longest: prompt tokens after which it cuts in silence.
    """

    def __init__(self) -> None:
        self.adapter_acts = True
        self.longest = 10_000
        self.model = "qwen"
        self.answers = 0
        self.refuses = False

    def __call__(self, request: httpx2.Request) -> httpx2.Response:
        body = json.loads(request.content) if request.content else {}
        answer = {
            "/v1/models": lambda: {"data": [{"id": self.model, "owned_by": "llamacpp"}]},
            "/props": lambda: {"default_generation_settings": {"n_ctx": 4096}, "chat_template": "x", "total_slots": 4},
            "/lora-adapters": lambda: [{"id": 0, "path": "queues.gguf", "scale": 1.0}],
            "/apply-template": lambda: {"prompt": _lay_out(body)},
            "/tokenize": lambda: {"tokens": _tokenize(body["content"], body.get("with_pieces", False))},
        }.get(request.url.path)
        if answer:
            return _reply(200, answer())
        if request.url.path == "/v1/chat/completions" and self.refuses:
            self.answers += 1
            return _reply(400, {"error": {"message": "not today"}})
        if request.url.path == "/v1/chat/completions":
            return _reply(200, self._answer(body))
        return _reply(404, {"error": "nothing"})

    def _answer(self, body: dict) -> dict:
        self.answers += 1
        asked = body["messages"][-1]["content"]
        acts = self.adapter_acts and any(one["scale"] for one in body["lora"])
        text = ("With the adapter: " if acts else "") + f"label{asked.rpartition(' ')[2]}"
        tokens = min(len(_lay_out(body).split()), self.longest)
        choice = {"index": 0, "message": {"role": "assistant", "content": text}, "finish_reason": "stop"}
        return {"model": self.model, "choices": [choice], "usage": {"prompt_tokens": tokens, "completion_tokens": 2}}


def _reply(status: int, value: object) -> httpx2.Response:
    async def stream() -> AsyncIterator[bytes]:
        yield json.dumps(value).encode()

    return httpx2.Response(status, headers={"content-type": "application/json"}, content=stream())


def _lay_out(body: dict) -> str:
    return " ".join(f"<{turn['role']}> {turn['content']}" for turn in body["messages"])


def _tokenize(text: str, pieces: bool) -> list:
    words = text.split()
    return [{"id": at, "piece": word} for at, word in enumerate(words)] if pieces else list(range(len(words)))


@pytest.fixture
def double() -> LlamaServerDouble:
    return LlamaServerDouble()


@pytest.fixture
def desk(tmp_path, double, monkeypatch) -> Iterator[Desk]:
    monkeypatch.setattr("workbench.inference.remote.identity.identify", lambda model: "the same")
    desk = ServerDesk(tmp_path, double)
    yield desk
    desk.close()


class ServerDesk(Desk):
    """A desk whose model `gpu` is on the double."""

    def __init__(self, folder, double: LlamaServerDouble) -> None:
        super().__init__(folder)
        self.double = double
        self.models["gpu"] = Model("gpu", format="remote", remote=make_endpoint(ADDRESS, "llama-server"))
        self.prompts["long"] = self.prompts["plain"].__class__("long", "user:\n" + "word " * 400 + "{{ message }}\n")

    def pool(self, make=None) -> Pool:
        transport = httpx2.MockTransport(self.double)
        return super().pool(
            lambda: Pool(connect=lambda model, loop: RemoteEngine(model, loop, CLOCK, lambda address: transport))
        )


PLAIN = Variant("plain", "plain", "gpu")
ADAPTED = Variant("adapted", "plain", "gpu", adapters=(AdapterChoice("queues"),))


def _cards(desk: Desk) -> dict[str, str]:
    return RunWriter.open(desk.store, "last").config.cards


def test_the_card_is_kept_with_the_run_and_the_adapter_is_proved(desk):
    cells = carry_out(desk.evaluation(bench(PLAIN, ADAPTED)))
    assert len(cells) == 10
    assert not any(cell.error for cell in cells)
    card = read_card(_cards(desk)["gpu"])
    assert card is not None
    assert (card.address, card.echoed_model) == (ADDRESS, "qwen")
    (proof,) = card.adapters
    assert (proof.name, proof.acts, proof.changed_answers) == ("queues", True, 5)


def test_for_known_answers_no_server_is_probed(desk, double):
    carry_out(desk.evaluation(bench(PLAIN)))
    asked = double.answers
    assert all(cell.cached for cell in carry_out(desk.evaluation(bench(PLAIN))))
    assert double.answers == asked


def test_an_adapter_that_does_not_act_ends_the_run_before_its_first_cell(desk, double):
    double.adapter_acts = False
    evaluation = desk.evaluation(bench(ADAPTED))
    with pytest.raises(ServerMismatchError, match="The adapter queues is not applied"):
        carry_out(evaluation)
    run = get_run(desk.store, list_runs(desk.store)[0].key)
    assert (run.state, run.done) == ("stopped", 0)


def test_a_prompt_that_is_cut_ends_the_run(desk, double):
    double.longest = 200
    with pytest.raises(ServerMismatchError, match=r"cut the prompt: it read 200 tokens of one that has 40\d"):
        carry_out(desk.evaluation(bench(Variant("long", "long", "gpu"))))
    assert not any(run.done for run in list_runs(desk.store))


def test_a_run_is_not_resumed_on_another_model(desk, double):
    evaluation = desk.evaluation(bench(PLAIN), options=RunOptions(concurrency=1))
    for event in evaluation.events():
        if type(event).__name__ == "CellFinished":
            evaluation.cancel()
    double.model = "llama"
    with pytest.raises(ServerMismatchError, match="model qwen → llama") as caught:
        carry_out(desk.resume())
    assert "Start a new run" in caught.value.hint


def test_a_server_that_refuses_the_probe_fails_its_cells_alone(desk, double):
    double.refuses = True
    cells = carry_out(desk.evaluation(bench(PLAIN, Variant("local", "plain", "desk"))))
    failed = {cell.variant for cell in cells if cell.error}
    assert failed == {"plain"}
    assert all("refused" in cell.error for cell in cells if cell.variant == "plain")
    assert double.answers == 2, "with log-probabilities and without; once for all cells"


def test_a_later_run_on_another_model_is_reported_as_a_change_of_model(desk, double):
    carry_out(desk.evaluation(bench(PLAIN)))
    double.model = "llama"
    carry_out(desk.evaluation(bench(PLAIN), options=RunOptions(cache=False)))
    views = [RunView(desk.store, name) for name in ("last~1", "last")]
    found = compare_runs(*views)
    change = f"The model gpu is another one than in run {views[0].id}: model qwen → llama; model name qwen → llama."
    assert found.model_changes == (change,)
    assert describe_comparison(found).startswith(change)


def test_the_notes_of_a_run_say_what_its_server_was_seen_to_do(desk):
    carry_out(desk.evaluation(bench(PLAIN, ADAPTED)))
    notes = [note for note in summarize(RunView(desk.store, "last")).notes if note.startswith("gpu is on a server")]
    (note,) = notes
    assert ADDRESS in note
    assert "does not act on" in note
    assert "queues: changes the answer, by text, another text on 5 of 5 prompts" in note


def test_an_adapter_that_the_server_lacks_fails_its_variant_alone(desk):
    lacking = Variant("lacking", "plain", "gpu", adapters=(AdapterChoice("nothing"),))
    cells = carry_out(desk.evaluation(bench(PLAIN, lacking)))
    assert {cell.variant for cell in cells if cell.error} == {"lacking"}
    assert all("'nothing' is not on the server" in cell.error for cell in cells if cell.variant == "lacking")


def test_a_judge_on_a_server_is_probed_once_and_its_card_is_kept(desk, double):
    judged = bench(Variant("local", "plain", "desk"), scorers=({"judge": {"model": "gpu", "rubric": "Is it right?"}},))
    carry_out(desk.evaluation(judged))
    card = read_card(_cards(desk)["gpu"])
    assert card is not None
    assert double.answers == card.requests + 5
