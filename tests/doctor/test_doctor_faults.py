"""Planted faults: each brings its red line and the one command to run."""

from __future__ import annotations

import http.server
import socket
import sys
import threading

import msgspec
import pytest
from finding_fixture import red

from workbench.accelerators import Accelerator
from workbench.doctor import checkup, engines, machine, rpc_servers
from workbench.doctor.engines import BackendAnswer
from workbench.doctor.servers import check_servers
from workbench.errors import EngineError
from workbench.inference.device_probe import LlamaBuild
from workbench.models.device_share import Device, DeviceShare
from workbench.models.reference import Model

GIB = 2**30
CPU = Device("CPU", "AMD EPYC", "CPU", 8 * GIB, 16 * GIB, "cpu")
CUDA = Device("CUDA0", "NVIDIA A", "CUDA", 7 * GIB, 8 * GIB)


def install(backend: str) -> str:
    return f"install {backend}"


def test_a_missing_model_file(tmp_path):
    text, command = red([engines.check_embedded(tmp_path / "desk.gguf", "00", "git checkout")])
    assert "cannot be read: No such file or directory" in text
    assert command == "git checkout"


def test_a_damaged_model_file(tmp_path):
    path = tmp_path / "desk.gguf"
    path.write_bytes(b"GGUF")
    text, command = red([engines.check_embedded(path, "00", "git checkout")])
    assert "not the shipped file" in text
    assert command == "git checkout"


def test_the_digest_is_that_of_the_shipped_file(desk_gguf):
    """After `make model`, EMBEDDED_SHA256 is the new file's."""
    assert engines.check_embedded(desk_gguf, engines.EMBEDDED_SHA256, "").status == "ok"


def test_a_library_that_does_not_load(monkeypatch):
    def probe(environment=None, offload=None):
        raise EngineError("The process that loads llama.cpp was killed (SIGILL): it printed nothing.")

    monkeypatch.setattr(checkup, "probe_llama", probe)
    text, command = red(checkup.check_engines())
    assert "SIGILL" in text
    assert command == f"{sys.executable} -m workbench.llama_setup cpu"


def test_a_library_of_another_version():
    text, command = red(engines.check_build(LlamaBuild("0.3.1", error="Expected 0.3.36, found 0.3.1."), install))
    assert "found 0.3.1" in text
    assert command == "install cpu"


@pytest.mark.parametrize(
    ("free", "total", "words"), [(0, 0, "reports no memory"), (GIB // 16, 8 * GIB, "has only 64.0 MiB free")]
)
def test_a_device_without_memory(free, total, words):
    device = Device("CUDA0", "NVIDIA A", "CUDA", free, total)
    text, command = red(engines.check_build(LlamaBuild("0.3.36", devices=(CPU, device)), install))
    assert words in text
    assert command == "nvidia-smi"


def test_a_card_that_the_build_leaves_unused_is_a_warning():
    card = Accelerator("cuda", "NVIDIA A", 8 * GIB, 7 * GIB, (12, 4))
    (found,) = engines.check_cards([card], [CPU], install)
    assert (found.status, found.command) == ("warning", "install cuda")
    assert list(engines.check_cards([card], [CPU, CUDA], install)) == []
    broken = card._replace(problem="its driver is old", command="update it")
    (found,) = engines.check_cards([broken], [CPU], install)
    assert (found.status, found.command) == ("warning", "update it")


def test_an_engine_that_fails():
    answer = engines.check_answer(
        "llama.cpp", BackendAnswer(error="The engine was killed (SIGSEGV)."), "cpu", "install cpu"
    )
    assert red([answer]) == ("The engine was killed (SIGSEGV).", "install cpu")


def test_a_model_that_computes_elsewhere_than_it_should():
    answer = BackendAnswer("Lantern", 100.0, "cpu", used_bytes=GIB)
    text, _ = red([engines.check_answer("llama.cpp on CUDA", answer, "gpu", "install cuda")])
    assert text == "the model ran on cpu, not on gpu"


def test_an_offload_that_takes_no_memory():
    answer = BackendAnswer("Lantern", 100.0, "gpu", used_bytes=0)
    text, command = red([engines.check_answer("llama.cpp on CUDA", answer, "gpu", "install cuda")])
    assert "nothing was offloaded" in text
    assert command == "install cuda"
    assert (
        engines.check_answer("x", answer._replace(used_bytes=GIB), "gpu", "").text
        == "100 tokens/s, 1.0 GiB on the card"
    )


def test_a_driver_that_calls_all_memory_free_is_no_fault_where_llama_cpp_allocated_there():
    """As Vulkan's do without VK_EXT_memory_budget; Mesa's software device among them."""
    card = Device("Vulkan0", "llvmpipe", "Vulkan", 2 * GIB, 2 * GIB)
    there = DeviceShare(card, layers=5, weights_bytes=2**20)
    answer = BackendAnswer("Lantern", 11.0, "Vulkan0", used_bytes=0, placement=(there,))
    found = engines.check_answer("llama.cpp on Vulkan", answer, "Vulkan0", "install vulkan")
    assert found.status == "ok"
    assert "does not tell what is in use; Vulkan0 has 5 layers, 1.0 MiB" in found.text
    on_cpu = DeviceShare(Device("CPU", kind="cpu"), layers=5, weights_bytes=2**20)
    text, _ = red([engines.check_answer("x", answer._replace(placement=(on_cpu,)), "Vulkan0", "install vulkan")])
    assert "nothing was offloaded" in text


def test_backends_that_answer_differently():
    answers = {"cpu": BackendAnswer("Lantern, please"), "CUDA": BackendAnswer("Lantern! please")}
    found = engines.check_equal(answers, "install cpu")
    assert red([found]) == ("cpu and CUDA part after 7 characters: ', please', '! please'", "install cpu")
    assert engines.check_equal({"cpu": BackendAnswer("a"), "CUDA": BackendAnswer("a")}, "").status == "ok"
    assert engines.check_equal({"cpu": BackendAnswer("a"), "CUDA": BackendAnswer(error="x")}, "") is None


def test_a_model_that_cannot_be_loaded(tmp_path):
    from workbench.models.reference import Model

    broken = tmp_path / "broken.gguf"
    broken.write_bytes(b"not a model")
    assert "broken.gguf" in engines.ask(Model("broken", broken)).error


class _ModelList(http.server.BaseHTTPRequestHandler):
    body = b'{"data": [{"id": "qwen"}]}'

    def do_GET(self):
        self.send_response(200)
        self.end_headers()
        self.wfile.write(self.body)

    def log_message(self, *_):
        pass


def test_servers_are_found_with_their_models():
    with http.server.HTTPServer(("127.0.0.1", 0), _ModelList) as server, socket.socket() as closed:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        closed.bind(("127.0.0.1", 0))  # it does not listen
        port, unused = server.server_address[1], closed.getsockname()[1]
        (found,) = check_servers({port: "Ollama", unused: "vLLM"})
        assert (found.name, found.status) == (f"server :{port}", "ok")
        assert "qwen" in found.text
        (none,) = check_servers({unused: "vLLM"})
        assert none.text == f"none on the ports {unused}"
        _ModelList.body = b"<html>"
        (other,) = check_servers({port: "Ollama"})
        server.shutdown()
    assert (other.status, other.command) == ("warning", f"curl -m 5 -i http://127.0.0.1:{port}/v1/models")


@pytest.mark.parametrize("backends", [("CUDA",), ("MTL",), ("CUDA", "CUDA", "Vulkan")])
def test_every_backend_answers_once_and_flash_attention_is_tried(monkeypatch, tmp_path, backends):
    asked = []

    def ask(model, environment=None, free_bytes=None, on_cancel=None):
        asked.append((model.offload.gpu_layers, model.offload.main_gpu, model.offload.flash_attention))
        card = model.offload.main_gpu
        device = "cpu" if card is None else str(card)
        layers = () if card is None else (DeviceShare(cards[card], 5, GIB, 2**20), DeviceShare(CPU, 0, 2**20))
        return BackendAnswer("Lantern", 100.0, device, used_bytes=GIB if free_bytes else None, placement=layers)

    monkeypatch.setattr(engines, "ask", ask)
    cards = tuple(Device(str(number), "A card", backend, 7 * GIB, 8 * GIB) for number, backend in enumerate(backends))
    path = tmp_path / "desk.gguf"
    path.write_bytes(b"GGUF")
    found = list(checkup._check_answers(LlamaBuild("0.3.36", devices=(CPU, *cards)), path))
    assert [one.status for one in found] == ["ok"] * len(found)
    names = [one.name.split()[-1] for one in found if one.name.startswith("llama.cpp")]
    assert names == ["cpu", *dict.fromkeys(backends)]
    assert asked[: len(names)] == [("none", None, "auto"), *(("all", backends.index(one), "auto") for one in names[1:])]
    on_card = found[1]
    assert on_card.text == "100 tokens/s, 1.0 GiB on the card; 0 has 5 layers, 1.0 GiB, CPU has 0 layers, 1.0 MiB"
    assert on_card.figures["0_layers"] == 5
    (flash,) = [one for one in found if one.name == "flash attention"]
    assert flash.text == "100 tokens/s with it, 100 without, the same answer"


def test_rpc_servers_of_the_settings_are_asked_and_prove_an_answer(monkeypatch, tmp_path):
    home = tmp_path / "home"
    monkeypatch.setenv("WORKBENCH_HOME", str(home))
    (home / "config").mkdir(parents=True)
    (home / "config" / "settings.toml").write_text('[offload]\nrpc = ["10.0.0.2:1", "10.0.0.3:2"]\n')
    served = Device("RPC0", "10.0.0.2:1", "RPC", 7 * GIB, 8 * GIB)
    away = {"10.0.0.3:2": "The RPC server 10.0.0.3:2 cannot be reached: Connection refused."}
    build = LlamaBuild("0.3.36", devices=(CPU, served), has_rpc=True, rpc_problems=away)
    (missing,) = rpc_servers.check_servers_named(build, install)
    assert red([missing])[1] == "ggml-rpc-server -H 10.0.0.3 -p 2"
    without = LlamaBuild("0.3.36", devices=(CPU,), rpc_problems={"10.0.0.2:1": "llama.cpp is built here without RPC."})
    (missing,) = rpc_servers.check_servers_named(without, install)
    assert red([missing]) == ("llama.cpp is built here without RPC", "CMAKE_ARGS=-DGGML_RPC=on install cpu")

    def ask(model):
        assert (model.offload.rpc, model.offload.gpu_layers) == (("10.0.0.2:1",), "all")
        shares = (DeviceShare(served, 5, GIB), DeviceShare(CPU, 0, 2**20))
        return BackendAnswer("Lantern", 90.0, "RPC0", placement=shares)

    offload = rpc_servers.read_settings_offload()
    answer, finding = rpc_servers.check_rpc_answer(build, offload, Model("desk", tmp_path), ask)
    assert finding.status == "ok"
    assert "RPC0 has 5 layers, 1.0 GiB, CPU has 0 layers" in finding.text
    on_cpu = answer._replace(placement=(DeviceShare(served, 2), DeviceShare(CPU, 3)))
    _, finding = rpc_servers.check_rpc_answer(build, offload, Model("desk", tmp_path), lambda model: on_cpu)
    assert "the model ran on RPC0, not on the RPC servers alone" in red([finding])[0]
    nowhere = msgspec.structs.replace(build, rpc_problems=dict.fromkeys(offload.rpc, "away"))
    assert rpc_servers.check_rpc_answer(nowhere, offload, Model("desk", tmp_path), ask) is None


def test_flash_attention_that_does_not_run_is_red():
    broken, without = BackendAnswer(error="The model could not be loaded."), BackendAnswer("Lantern", 90.0, "cpu")
    text, command = red([engines.check_flash_attention(broken, without, "install cpu")])
    assert (text, command) == ("The model could not be loaded.", "install cpu")
    other = engines.check_flash_attention(without._replace(text="Harbour"), without, "install cpu")
    assert "another answer, as rounding may bring about" in other.text


@pytest.mark.model
def test_checks_that_are_stopped_end_with_a_word(desk_gguf):
    def stop_at_once(stop):
        stop()

    with pytest.raises(EngineError, match="were stopped"):
        engines.ask(Model("desk", desk_gguf), on_cancel=stop_at_once)


def test_what_cannot_be_loaded_by_transformers_is_installed_anew_in_the_same_versions(monkeypatch, tmp_path):
    def ask(model, *_, **__):
        return (
            BackendAnswer(error="ImportError: libtorch_cpu.so")
            if model.format == "hf"
            else BackendAnswer("a", 1.0, "cpu")
        )

    versions = {"torch": "2.13.0+cpu", "transformers": "5.23.0", "peft": "0.21.2"}
    monkeypatch.setattr(engines, "ask", ask)
    monkeypatch.setattr(machine, "find_version", versions.get)
    text, command = red(checkup._check_answers(LlamaBuild("0.3.36", devices=(CPU,)), tmp_path / "desk.gguf"))
    assert text == "ImportError: libtorch_cpu.so"
    assert command.endswith("install --force-reinstall --no-deps torch==2.13.0 transformers==5.23.0 peft==0.21.2")


@pytest.mark.parametrize(("error", "status"), [("", "ok"), ("bitsandbytes 0.40 runs on cuda alone.", "failed")])
def test_bitsandbytes_is_proved_where_it_is_installed(monkeypatch, tmp_path, error, status):
    def ask(model, environment=None, free_bytes=None, on_cancel=None):
        return BackendAnswer("Lantern", 100.0, "cpu", error if model.quantization else "")

    monkeypatch.setattr(engines, "ask", ask)
    monkeypatch.setattr(machine, "find_version", lambda name: "0.40")
    found = list(checkup._check_answers(LlamaBuild("0.3.36", devices=(CPU,)), tmp_path / "desk.gguf"))
    assert (found[-1].name, found[-1].status) == ("bitsandbytes, 4 bits", status)
    assert not error or found[-1].command.endswith("install -U bitsandbytes")


def test_an_engine_that_fails_on_the_cpu_is_asked_once(monkeypatch, tmp_path):
    asked = []

    def ask(model, *_, **__):
        asked.append(model.name)
        return BackendAnswer(error="The engine was killed (SIGSEGV).")

    monkeypatch.setattr(engines, "ask", ask)
    monkeypatch.setattr(machine, "find_version", lambda name: None)
    found = list(checkup._check_answers(LlamaBuild("0.3.36", devices=(CPU, CUDA)), tmp_path / "desk.gguf"))
    assert [one.name for one in found if one.status == "failed"] == ["llama.cpp on the cpu"]
    assert asked == ["desk"]  # and transformers is not there
