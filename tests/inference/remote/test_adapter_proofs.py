from __future__ import annotations

import pytest

from tests.inference.remote.server_double import ServerDouble
from workbench.errors import ModelError, ServerMismatchError
from workbench.inference.remote.adapters import check_proof, load_adapter, prove_adapter, unload_adapter
from workbench.inference.remote.card_text import describe_proof
from workbench.inference.remote.http import Reply
from workbench.inference.remote.server_model import ServerAdapter, ServerModel
from workbench.models.reference import Adapter, Applied

QUEUES = Applied(Adapter("queues"))


async def test_an_adapter_that_changes_log_probabilities_acts():
    proof = await prove_adapter(ServerDouble(adapters={"queues": 0.31}), QUEUES)
    assert proof.holds
    assert proof.mean_change == pytest.approx(0.31)
    assert describe_proof(proof) == ("queues: changes the answer, mean |Δlogprob| 0.31, another text on 0 of 5 prompts")
    check_proof("here", proof)


async def test_an_adapter_that_answers_like_the_base_is_an_error():
    proof = await prove_adapter(ServerDouble(adapters={"queues": 0.0}), QUEUES)
    assert not proof.acts
    with pytest.raises(ServerMismatchError, match="queues is not applied: on 5 prompts here answers identically"):
        check_proof("here", proof)


async def test_without_logprobs_the_texts_decide():
    silent = {"refuses": ["top_logprobs"]}
    acting = await prove_adapter(ServerDouble(adapters={"queues": 2.0}, **silent), QUEUES)
    assert (acting.holds, acting.mean_change, acting.changed_answers) == (True, None, 5)
    assert not (await prove_adapter(ServerDouble(adapters={"queues": 0.5}, **silent), QUEUES)).acts


async def test_a_base_that_stays_under_the_adapter_is_found_out():
    proof = await prove_adapter(ServerDouble(adapters={"queues": 0.4}, keeps_adapter=True), QUEUES)
    assert (proof.acts, proof.steady) == (True, False)
    with pytest.raises(ServerMismatchError, match="mixes the adapter queues with the base"):
        check_proof("here", proof)


async def test_an_adapter_that_the_server_lacks_is_told_in_its_words():
    proof = await prove_adapter(ServerDouble(adapters={"other": 1.0}), QUEUES)
    assert proof.problem == "no adapter queues"
    with pytest.raises(ServerMismatchError, match="cannot answer with the adapter queues: no adapter queues"):
        check_proof("here", proof)


class LoadingServer(ServerDouble):
    """vLLM's way to load adapters while it runs, by its published API. status: of the answer to a load."""

    def __init__(self, status: int = 200) -> None:
        super().__init__("vllm")
        self.status, self.loaded = status, dict[str, str]()

    async def describe(self) -> ServerModel:
        return ServerModel("double", "vllm", adapters=tuple(map(ServerAdapter, self.loaded)))

    async def post(self, path, body):
        self.bodies.append((path, body))
        if path == "/v1/load_lora_adapter":
            if self.status == 200:
                self.loaded[body["lora_name"]] = body["lora_path"]
            return Reply(self.status, "Success" if self.status == 200 else {"message": "rank 64 is too large"}, {})
        assert path == "/v1/unload_lora_adapter"
        del self.loaded[body["lora_name"]]
        return Reply(200, "Success", {})


@pytest.fixture
def local(lora_folder):
    return Adapter("queues", lora_folder)


@pytest.fixture
def lora_folder():
    from workbench.paths import find_shipped

    return find_shipped("assets/queues-lora")


async def test_a_local_adapter_is_loaded_once_under_a_name_with_its_digest(local):
    server = LoadingServer()
    assert await load_adapter(server, local, "0123456789abcdef") == "queues-01234567"
    assert await load_adapter(server, local, "0123456789abcdef") == "queues-01234567"
    assert server.loaded == {"queues-01234567": str(local.path.absolute())}
    assert len(server.bodies) == 1
    await unload_adapter(server, "queues-01234567")
    assert server.loaded == {}


@pytest.mark.parametrize(
    ("status", "message"),
    [(404, "does not load adapters while it runs"), (400, "refuses the adapter queues of rank 8")],
)
async def test_a_server_that_does_not_load_it_says_what_to_start_it_with(local, status, message):
    with pytest.raises(ModelError, match=message):
        await load_adapter(LoadingServer(status), local, "0123456789abcdef")
