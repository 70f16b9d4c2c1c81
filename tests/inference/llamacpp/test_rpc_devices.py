"""The real offload path, on devices of ggml-rpc-server, which `python -m tests.peers build-rpc` builds."""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.peers import rpc_build
from tests.peers.rpc_build import RpcServer, run_servers
from workbench.errors import EngineError, ModelError
from workbench.inference.device_probe import probe_llama
from workbench.inference.pool import Pool
from workbench.inference.types import Admitted, GenerateRequest, Sampling
from workbench.models.placement_estimate import estimate_pane
from workbench.models.reference import Model, ModelInfo
from workbench.offload import Offload
from workbench.prompting.prompt import Message

LIBRARIES = rpc_build.look_up()
pytestmark = [
    pytest.mark.model,
    pytest.mark.skipif(LIBRARIES is None, reason="no llama.cpp with RPC: python -m tests.peers build-rpc"),
]
SESSION = "tests.inference.llamacpp.device_session"
QUESTIONS = ("My parcel is lost.", "I want my money back!", "The invoice is wrong, again.")


@pytest.fixture(scope="module")
def servers() -> Iterator[list[RpcServer]]:
    with run_servers(2) as running:
        yield running


@contextlib.contextmanager
def open_pool(rpc: bool = True) -> Iterator[Pool]:
    pool = Pool(environment={"LLAMA_CPP_LIB_PATH": str(LIBRARIES)} if rpc else None)
    try:
        yield pool
    finally:
        pool.close()


def ask(pool: Pool, model: Model, questions: tuple[str, ...] = QUESTIONS) -> tuple[ModelInfo, list[str]]:
    async def run() -> tuple[ModelInfo, list[str]]:
        client = pool.client(model)
        info = await client.load()
        sampling = Sampling(max_tokens=12)
        requests = [GenerateRequest(0, (Message("user", text),), sampling, "completion") for text in questions]
        return info, [done.text for done in await asyncio.gather(*map(client.complete, requests))]

    return asyncio.run(run())


@pytest.fixture(scope="module")
def cpu_answers(desk_gguf: Path) -> list[str]:
    with open_pool(rpc=False) as pool:
        return ask(pool, Model("desk", desk_gguf))[1]


def test_devices_report_their_memory(servers: list[RpcServer]) -> None:
    addresses = tuple(server.address for server in servers)
    build = probe_llama({"LLAMA_CPP_LIB_PATH": str(LIBRARIES)}, Offload(rpc=(*addresses, "127.0.0.1:1")))
    assert build.has_rpc
    assert list(build.rpc_problems) == ["127.0.0.1:1"], "one that is away hides no other"
    found = [device for device in build.devices if device.backend == "RPC"]
    assert [device.description for device in found] == [server.address for server in servers]
    assert all(device.is_gpu and 0 < device.free_bytes <= device.total_bytes for device in found)


@pytest.mark.parametrize(
    ("options", "layers"),
    [
        ({}, (3, 2, 0)),
        ({"gpu_layers": 3, "tensor_split": (2.0, 1.0)}, (2, 1, 2)),
        ({"main_gpu": 1}, (0, 5, 0)),
        ({"gpu_layers": "all", "offload_kv": False}, (3, 2, 0)),
    ],
)
def test_answers_over_devices_are_those_of_the_cpu(
    options: dict[str, object],
    layers: tuple[int, ...],
    desk_gguf: Path,
    servers: list[RpcServer],
    cpu_answers: list[str],
) -> None:
    offload = Offload(rpc=tuple(server.address for server in servers), **options)  # type: ignore[arg-type]
    with open_pool() as pool:
        info, answers = ask(pool, Model("desk", desk_gguf, offload=offload))
    assert answers == cpu_answers
    assert tuple(share.layers for share in info.placement) == layers
    for share in info.placement[:-1]:
        assert bool(share.weights_bytes) == bool(share.layers)
        own_kv = share.layers > 0 and offload.offload_kv
        assert share.kv_bytes > 0 if own_kv and share.layers > 1 else share.kv_bytes == 0 or own_kv
    on_cpu = bool(layers[-1]) or not offload.offload_kv
    assert info.device == " and ".join(
        [f"RPC{index}" for index, count in enumerate(layers[:-1]) if count] + (["cpu"] if on_cpu else [])
    )
    assert not info.load_notes
    assert info.step_plan is not None
    assert info.step_plan.source in ("measured", "remembered")


def test_what_is_expected_on_each_device_is_what_llama_cpp_allocates(desk_gguf: Path, servers: list[RpcServer]) -> None:
    model = Model("desk", desk_gguf, offload=Offload(rpc=tuple(server.address for server in servers)))
    with open_pool() as pool:
        found = pool.devices.find(model.offload)
        expected = estimate_pane(model, (), 1024, devices=found.devices)
        info, _ = ask(pool, model)
    assert found.problems == ()
    assert [share.device.name for share in expected.shares] == [share.device.name for share in info.placement[:-1]]
    for share, there in zip(expected.shares, info.placement[:-1], strict=True):
        assert share.layers == there.layers
        assert abs(share.weights_bytes - there.weights_bytes) < 2**15  # llama.cpp tells hundredths of a MiB
        assert abs(share.kv_bytes - there.kv_bytes) < 2**15
        assert share.compute_bytes >= 0.5 * there.compute_bytes


def test_a_packed_kv_cache_answers_as_the_cpu_s_does(desk_gguf: Path, servers: list[RpcServer]) -> None:
    with open_pool(rpc=False) as pool:
        own, expected = ask(pool, Model("desk", desk_gguf, offload=Offload(kv_type="q8_0")))
    with open_pool() as pool:
        info, answers = ask(pool, Model("desk", desk_gguf, offload=Offload(kv_type="q8_0", rpc=(servers[0].address,))))
    assert answers == expected
    assert info.placement[0].kv_bytes == own.placement[0].kv_bytes
    assert info.kv_bytes_per_token == 2560 * 34 // 64


def test_experts_stay_on_the_cpu(tiny_gguf: Callable[..., Path], servers: list[RpcServer]) -> None:
    path, rpc = tiny_gguf("moe", experts=8), (servers[0].address,)
    with open_pool() as pool:
        whole, first = ask(pool, Model("moe", path, offload=Offload(rpc=rpc, cpu_moe=0)))
    with open_pool() as pool:  # a server serves one program at a time
        kept, second = ask(pool, Model("moe", path, offload=Offload(rpc=rpc, cpu_moe=2)))
    assert first == second
    moved = whole.placement[0].weights_bytes - kept.placement[0].weights_bytes
    experts = 2 * 3 * 8 * 32 * 64 * 4
    assert abs(moved - experts) < 2 * 2**14  # llama.cpp tells hundredths of a MiB
    assert kept.placement[-1].weights_bytes > whole.placement[-1].weights_bytes


def test_a_device_without_memory_gets_fewer_layers_and_each_step_is_told(
    desk_gguf: Path, cpu_answers: list[str]
) -> None:
    with run_servers(1, memory=400 * 2**20) as small, open_pool() as pool:
        offload = Offload(rpc=(small[0].address,))
        info, answers = ask(pool, Model("desk", desk_gguf, context_tokens=32_768, offload=offload))
    assert answers == cpu_answers
    assert info.load_notes
    assert all("Tried" in note for note in info.load_notes)
    assert sum(share.layers for share in info.placement[:-1]) < 5


def test_a_device_that_dies_ends_its_own_requests_alone(desk_gguf: Path, tiny_gguf: Callable[..., Path]) -> None:
    async def run(pool: Pool, server: RpcServer) -> tuple[EngineError, str]:
        lost = pool.client(Model("desk", desk_gguf, offload=Offload(rpc=(server.address,))))
        other = pool.client(Model("tiny", tiny_gguf()))
        await asyncio.gather(lost.load(), other.load())
        os.kill(server.pid, signal.SIGSTOP)  # so that the request cannot end before its device does
        events = lost.generate(GenerateRequest(0, (Message("user", QUESTIONS[0]),), Sampling(max_tokens=12)))
        async for event in events:
            if isinstance(event, Admitted):
                break
        server.kill()
        with pytest.raises(EngineError) as raised:
            async for _ in events:
                pass
        kept = await other.complete(GenerateRequest(0, (Message("user", "go"),), Sampling(max_tokens=4)))
        return raised.value, kept.stop_reason or ""

    with run_servers(1) as running, open_pool() as pool:
        error, kept = asyncio.run(run(pool, running[0]))
    assert error.message == f"desk lost a device while it worked: the RPC server {running[0].address} ended."
    assert "next request loads the model again" in error.hint
    assert kept


def test_a_server_that_is_not_there_is_named(desk_gguf: Path) -> None:
    with run_servers(1) as running:
        gone = running[0].address
    with open_pool() as pool, pytest.raises(ModelError, match=f"RPC server {gone} cannot be reached"):
        ask(pool, Model("desk", desk_gguf, offload=Offload(rpc=(gone,))))


@pytest.fixture(scope="module")
def session(desk_gguf: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """What an engine did on a device, step by step; see device_session.py."""
    home = tmp_path_factory.mktemp("session")
    own = {"WORKBENCH_HOME": str(home), "XDG_RUNTIME_DIR": str(home), "LLAMA_CPP_LIB_PATH": str(LIBRARIES)}
    with run_servers(1) as running:
        command = [sys.executable, "-m", SESSION, str(desk_gguf), running[0].address]
        done = subprocess.run(command, env={**os.environ, **own}, capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stderr
    found: dict[str, Any] = json.loads(done.stdout)
    return found


def test_a_cancel_waits_for_one_piece_of_a_prompt_at_most(session: dict[str, Any]) -> None:
    assert session["cancel"] == {"pieces": 1, "meanwhile": 0, "afterwards": 0, "stop": "cancelled"}
    assert session["batches"]
    assert all(0 < tokens <= ubatch and code == 0 for tokens, ubatch, code in session["batches"])


def test_a_model_on_devices_reserves_no_core_and_a_part_of_one_does(session: dict[str, Any]) -> None:
    assert session["reserved"] == 0
    threads, cores = session["status"]
    assert threads == 0 < cores
    assert session["partial"] == {"device": "RPC0 and cpu", "reserved": 1}


def test_tokens_that_a_device_picks_are_those_of_the_logits(session: dict[str, Any]) -> None:
    sampled, logits = session["sampled"], session["logits"]
    assert sampled["texts"] == logits["texts"]
    assert all(sampled["texts"])
    assert sampled["likelihoods"] == pytest.approx(logits["likelihoods"], abs=1e-3)
    first, between, again = sampled["picked"]
    assert first > 0 and again > 0, "picked on the device, and again after others had needed logits"
    assert between == 0, "what needs logits has them"
    assert logits["picked"] == [0, 0, 0]


def test_steps_on_a_device_are_measured(session: dict[str, Any]) -> None:
    first = session["plan"].partition(";")[0]
    assert "-token pieces, " in first and first.endswith(", measured")
