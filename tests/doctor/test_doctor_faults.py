"""Planted faults: each brings its red line and the one command to run."""

from __future__ import annotations

import errno
import http.server
import shutil
import socket
import sqlite3
import sys
import threading
from types import SimpleNamespace

import pytest

from workbench.accelerators import Accelerator
from workbench.doctor import checkup, engines, finding, machine
from workbench.doctor.engines import BackendAnswer
from workbench.doctor.servers import check_servers
from workbench.errors import EngineError
from workbench.inference.device_probe import BackendDevice, LlamaBuild
from workbench.models.reference import Model
from workbench.settings import load_settings

GIB = 2**30
CPU = BackendDevice("CPU", "AMD EPYC", "CPU", "cpu", 8 * GIB, 16 * GIB)
CUDA = BackendDevice("CUDA0", "NVIDIA A", "CUDA", "gpu", 7 * GIB, 8 * GIB)


def install(backend: str) -> str:
    return f"install {backend}"


def red(findings):
    """The one failed finding: its text and its command."""
    (finding,) = [one for one in findings if one.status == "failed"]
    assert finding.command
    return finding.text, finding.command


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
    def probe(environment=None):
        raise EngineError("The process that loads llama.cpp was killed (SIGILL): it printed nothing.")

    monkeypatch.setattr(checkup, "probe_llama", probe)
    text, command = red(checkup.check_engines())
    assert "SIGILL" in text
    assert "GPU=cpu" in command or "llama_setup cpu" in command


def test_a_library_of_another_version():
    text, command = red(engines.check_build(LlamaBuild("0.3.1", error="Expected 0.3.36, found 0.3.1."), install))
    assert "found 0.3.1" in text
    assert command == "install cpu"


@pytest.mark.parametrize(
    ("free", "total", "words"), [(0, 0, "reports no memory"), (GIB // 16, 8 * GIB, "has only 64.0 MiB free")]
)
def test_a_device_without_memory(free, total, words):
    device = BackendDevice("CUDA0", "NVIDIA A", "CUDA", "gpu", free, total)
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


@pytest.mark.parametrize("version", [None, "2.1.0"])
def test_a_library_that_is_missing_or_old(version):
    found = machine.check_libraries(["torch>=2.13", 'ruff; extra == "dev"'], lambda name: version)
    text, command = red(found)
    assert text == f"expected torch>=2.13, found {version or 'none'}"
    assert command.endswith("-m pip install 'torch>=2.13'")


def test_an_old_sqlite(tmp_path):
    stub = SimpleNamespace(sqlite_version="3.31.1", sqlite_version_info=(3, 31, 1))
    text, command = red([machine.check_sqlite(tmp_path, stub)])
    assert text == "expected 3.38.0 or newer, found 3.31.1"
    assert command == "sudo apt install --only-upgrade libsqlite3-0"


def test_a_folder_without_a_write_ahead_log(tmp_path):
    class Connection(sqlite3.Connection):
        def execute(self, text, *rest):
            return super().execute(text.replace("WAL", "DELETE"), *rest)

    stub = SimpleNamespace(
        sqlite_version=sqlite3.sqlite_version, sqlite_version_info=sqlite3.sqlite_version_info, Error=sqlite3.Error,
        connect=lambda path: sqlite3.connect(path, factory=Connection),
    )  # fmt: skip
    text, command = red([machine.check_sqlite(tmp_path, stub)])
    assert "no write-ahead log" in text
    assert command.startswith("export WORKBENCH_HOME=")


def test_a_read_only_folder(tmp_path, monkeypatch):
    def refuse(**_):
        raise OSError(errno.EROFS, "Read-only file system")

    monkeypatch.setattr(machine.tempfile, "TemporaryFile", refuse)
    text, command = red([machine.check_folder("data folder", tmp_path)])
    assert text == f"{tmp_path} cannot be written: Read-only file system"
    assert command.startswith("sudo chown -R $USER")


def test_a_file_where_a_folder_should_be(tmp_path):
    path = tmp_path / "data"
    path.write_text("")
    text, command = red([machine.check_folder("data folder", path)])
    assert "cannot be written: File exists" in text
    assert command == f"mv '{path}' '{path}.old'"


def test_a_full_disk(tmp_path, monkeypatch):
    monkeypatch.setattr(shutil, "disk_usage", lambda folder: SimpleNamespace(free=2**20))
    text, command = red([machine.check_folder("cache folder", tmp_path)])
    assert text.startswith("only 1.0 MiB free")
    assert command.startswith("du -xh")


def test_wrong_settings(tmp_path, monkeypatch):
    monkeypatch.setenv("WORKBENCH_HOME", str(tmp_path))
    (tmp_path / "config").mkdir()
    (tmp_path / "config/settings.toml").write_text("liive = true\n")
    text, command = red([checkup.check_settings()])
    assert "did you mean `live`?" in text
    assert command == f"${{EDITOR:-nano}} '{tmp_path}/config/settings.toml'"
    (tmp_path / "config/settings.toml").write_text("live = true\n")
    assert load_settings().live
    assert checkup.check_settings().status == "ok"


@pytest.mark.parametrize(
    ("environment", "size", "encoding", "tmux", "words", "command"),
    [
        ({"TERM": "dumb"}, (120, 40), "utf-8", "", "TERM is dumb", "export TERM=xterm-256color"),
        ({"TERM": "xterm"}, (60, 20), "utf-8", "", "60 x 20 is too small", r"printf '\e[8;40;120t'"),
        ({"TERM": "xterm"}, (120, 40), "iso-8859-1", "", "found iso-8859-1", "export LC_ALL=C.UTF-8"),
        ({"TERM": "xterm", "TMUX": "/x"}, (120, 40), "utf-8", "off\n", "tmux keeps", "tmux set -g set-clipboard on"),
    ],
)
def test_a_terminal_that_lacks_something(environment, size, encoding, tmux, words, command):
    text, found = red(machine.check_terminal(environment, size, encoding, lambda: tmux))
    assert words in text
    assert found == command


def test_a_good_terminal_is_green():
    found = machine.check_terminal({"TERM": "xterm-256color", "COLORTERM": "truecolor"}, (120, 40), "utf-8")
    assert {one.status for one in found} == {"ok"}
    assert {one.status for one in machine.check_terminal({"TERM": "xterm"}, (0, 0), "utf-8")} == {"ok"}


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
    assert (other.status, other.command) == ("warning", f"curl -i http://127.0.0.1:{port}/v1/models")


@pytest.mark.parametrize("backends", [("CUDA",), ("MTL",), ("CUDA", "CUDA", "Vulkan")])
def test_every_backend_answers_once_and_flash_attention_is_tried(monkeypatch, tmp_path, backends):
    asked = []

    def ask(model, environment=None, free_bytes=None, on_cancel=None):
        asked.append((model.offload.gpu_layers, model.offload.main_gpu, model.offload.flash_attention))
        device = "cpu" if model.offload.gpu_layers == "none" else "gpu"
        return BackendAnswer("Lantern", 100.0, device, used_bytes=GIB if free_bytes else None)

    monkeypatch.setattr(engines, "ask", ask)
    cards = tuple(
        BackendDevice(str(number), "A card", backend, "gpu", 7 * GIB, 8 * GIB)
        for number, backend in enumerate(backends)
    )
    path = tmp_path / "desk.gguf"
    path.write_bytes(b"GGUF")
    found = list(checkup._check_answers(LlamaBuild("0.3.36", devices=(CPU, *cards)), path))
    assert [one.status for one in found] == ["ok"] * len(found)
    names = [one.name.split()[-1] for one in found if one.name.startswith("llama.cpp")]
    assert names == ["cpu", *dict.fromkeys(backends)]
    assert asked[: len(names)] == [("none", None, "auto"), *(("all", backends.index(one), "auto") for one in names[1:])]
    (flash,) = [one for one in found if one.name == "flash attention"]
    assert flash.text == "100 tokens/s with it, 100 without, the same answer"


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


@pytest.mark.parametrize(
    ("pip", "uv", "start"),
    [
        (True, None, "{python} -m pip install x"),
        (False, "/bin/uv", "uv pip install --python {python} x"),
        (False, None, "{python} -m ensurepip && {python} -m pip install x"),
    ],
)
def test_packages_are_installed_by_what_this_environment_has(monkeypatch, pip, uv, start):
    monkeypatch.setattr(finding, "find_spec", lambda name: object() if pip else None)
    monkeypatch.setattr(finding.shutil, "which", lambda name: uv)
    assert finding.pip_install("x") == start.format(python=sys.executable)


@pytest.mark.parametrize(("error", "status"), [("", "ok"), ("bitsandbytes 0.40 runs on cuda alone.", "failed")])
def test_bitsandbytes_is_proved_where_it_is_installed(monkeypatch, tmp_path, error, status):
    def ask(model, environment=None, free_bytes=None, on_cancel=None):
        return BackendAnswer("Lantern", 100.0, "cpu", error if model.quantization else "")

    monkeypatch.setattr(engines, "ask", ask)
    monkeypatch.setattr(machine, "find_version", lambda name: "0.40")
    found = list(checkup._check_answers(LlamaBuild("0.3.36", devices=(CPU,)), tmp_path / "desk.gguf"))
    assert (found[-1].name, found[-1].status) == ("bitsandbytes, 4 bits", status)
    assert not error or found[-1].command.endswith("install -U bitsandbytes")
