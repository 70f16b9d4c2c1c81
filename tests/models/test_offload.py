"""What a model entry may say about devices, and what is refused in words."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from workbench.device_choice import DeviceChoice
from workbench.errors import BenchError, ModelError
from workbench.models.model_options import with_devices
from workbench.models.reference import Model, resolve_model
from workbench.offload import Offload, find_offload_problems, is_public, parse_rpc
from workbench.runs.bench import ModelChoice, parse_bench


@pytest.mark.parametrize(
    ("offload", "words"),
    [
        (Offload(gpu_layers=-1), "gpu_layers: expected auto, all, none or a number from 0, found -1"),
        (Offload(cpu_moe=-2), "cpu_moe: expected auto or a number from 0, found -2"),
        (Offload(main_gpu=-1), "main_gpu: expected a number from 0, found -1"),
        (Offload(tensor_split=(0.0, 0.0)), "tensor_split: expected parts from 0"),
        (Offload(tensor_split=(1.0, float("nan"))), "tensor_split: expected parts from 0"),
        (Offload(main_gpu=0, tensor_split=(1.0,)), "main_gpu, tensor_split: expected one of the two"),
        (Offload(kv_type="q8_0", flash_attention="off"), "kv_type: q8_0 needs flash attention"),
        (Offload(rpc=("10.0.0.2",)), "rpc: expected host:port"),
        (Offload(rpc=("10.0.0.2:0",)), "rpc: expected host:port"),
        (Offload(rpc=("[::1]:50052",)), "rpc: expected host:port"),
        (Offload(rpc=("8.8.8.8:50052",)), "8.8.8.8:50052 is a public address"),
        (Offload(rpc=("10.0.0.2:1", "10.0.0.2:1")), "rpc: expected different servers"),
        (Offload(rpc=("10.0.0.2:1",), gpu_layers="none"), "nothing would go to the servers"),
        (Offload(rpc=tuple(f"10.0.0.2:{port}" for port in range(1, 18))), "at most 16 servers, found 17"),
    ],
)
def test_a_value_that_cannot_be_is_named(offload: Offload, words: str) -> None:
    problems = list(find_offload_problems(offload))
    assert len(problems) == 1
    assert words in problems[0]


def test_private_and_allowed_addresses_pass() -> None:
    private = ("127.0.0.1:50052", "10.1.2.3:50052", "192.168.0.9:1", "100.64.0.1:2", "gpu-box:50052")
    assert not list(find_offload_problems(Offload(rpc=private)))
    assert not list(find_offload_problems(Offload(rpc=("8.8.8.8:50052",), public_rpc=True)))


@pytest.mark.parametrize(
    ("host", "public"), [("8.8.8.8", True), ("127.0.0.1", False), ("172.20.0.1", False), ("example.org", False)]
)
def test_only_a_public_number_is_public(host: str, public: bool) -> None:
    assert is_public(host) == public


def test_an_address_is_read() -> None:
    assert parse_rpc("gpu-box:50052") == ("gpu-box", 50052)
    assert str(parse_rpc("10.0.0.2:7")) == "10.0.0.2:7"


def test_a_bench_carries_the_options_to_its_model(tiny_gguf: Callable[..., Path], tmp_path: Path) -> None:
    text = f"""
models:
  big: {{path: {tiny_gguf()}, gpu_layers: 20, kv_type: q8_0, tensor_split: [3, 1], cpu_moe: 2, rpc: ["10.0.0.2:1"]}}
variants:
  - {{name: a, prompt: p, model: big}}
"""
    bench = parse_bench(text, "a.bench.yaml")
    model = resolve_model("big", bench.models, tmp_path, ())
    wanted = Offload(gpu_layers=20, kv_type="q8_0", tensor_split=(3.0, 1.0), cpu_moe=2, rpc=("10.0.0.2:1",))
    assert model.offload == wanted
    assert model.identity != resolve_model("big", {"big": ModelChoice(str(tiny_gguf()))}, tmp_path, ()).identity


@pytest.mark.parametrize(
    ("entry", "words"),
    [
        ("{path: a.gguf, gpu_layers: some}", "gpu_layers"),
        ("{path: a.gguf, kv_type: q9}", "kv_type"),
        ('{path: a.gguf, rpc: ["8.8.8.8:1"]}', "public address"),
        ('{remote: "http://127.0.0.1:1", gpu_layers: 3}', "a server places its models itself"),
    ],
)
def test_a_bench_with_wrong_options_is_refused(entry: str, words: str, tmp_path: Path) -> None:
    text = f"models:\n  m: {entry}\nvariants:\n  - {{name: a, prompt: p, model: m}}\n"
    with pytest.raises(BenchError, match=words):
        parse_bench(text, "a.bench.yaml")


def test_options_of_another_format_are_refused() -> None:
    with pytest.raises(ModelError, match="gpu_layers, kv_type and their like are for GGUF"):
        with_devices(Model("m", Path("m"), "hf"), DeviceChoice(gpu_layers=3))
    with pytest.raises(ModelError, match="cannot be opened with device_map"):
        with_devices(Model("m", Path("m.gguf")), DeviceChoice(device_map="cpu"))
    with pytest.raises(ModelError, match="attention: expected one of eager"):
        with_devices(Model("m", Path("m"), "hf"), DeviceChoice(attention="fast"))  # type: ignore[arg-type]


def test_the_settings_hold_where_the_bench_says_nothing(tiny_gguf: Callable[..., Path], tmp_path: Path) -> None:
    path = tiny_gguf()
    defaults = DeviceChoice(gpu_layers=3, main_gpu=1, kv_type="q8_0", rpc=("10.0.0.2:1",), dtype="bfloat16")
    usual = Offload(gpu_layers=3, main_gpu=1, kv_type="q8_0", rpc=("10.0.0.2:1",))
    folder = tmp_path / "folder"
    folder.mkdir()
    (folder / "config.json").write_text("{}")

    def resolve(choice: ModelChoice) -> Model:
        return resolve_model("m", {"m": choice}, tmp_path, (), defaults)

    assert resolve_model(str(path), {}, tmp_path, (), defaults).offload == usual
    assert resolve_model("known", {}, tmp_path, [Model("known", path)], defaults).offload == usual
    assert resolve(ModelChoice(str(path))).offload == usual
    said = resolve(ModelChoice(str(path), gpu_layers="auto", rpc=(), kv_type="f16", main_gpu=0))
    assert said.offload == Offload(main_gpu=0)
    # what cannot stand beside what the bench says is left out
    assert resolve(ModelChoice(str(path), tensor_split=(1.0, 2.0))).offload.main_gpu is None
    assert resolve(ModelChoice(str(path), gpu_layers="none")).offload.rpc == ()
    assert resolve(ModelChoice(str(path), flash_attention="off")).offload.kv_type == "f16"
    plain = resolve(ModelChoice(str(folder)))
    assert (plain.dtype, plain.offload) == ("bfloat16", Offload())
    assert resolve(ModelChoice(str(folder), dtype="float32")).dtype == "float32"
    assert resolve(ModelChoice(remote="http://127.0.0.1:1")).offload == Offload()


def test_an_option_of_a_command_goes_before_the_settings(tiny_gguf: Callable[..., Path], tmp_path: Path) -> None:
    found = resolve_model(str(tiny_gguf()), {}, tmp_path, (), DeviceChoice(kv_type="q8_0", gpu_layers=2))
    assert with_devices(found, DeviceChoice(gpu_layers=5)).offload == Offload(gpu_layers=5, kv_type="q8_0")


def test_only_what_changes_numbers_is_part_of_an_answer_s_key() -> None:
    placed = Offload(gpu_layers=3, tensor_split=(1.0, 2.0), rpc=("10.0.0.2:1",), cpu_moe=1)
    assert placed.numeric == Offload().numeric
    assert Offload(kv_type="q8_0").numeric != Offload().numeric


def test_values_are_shown_as_they_are_written() -> None:
    offload = Offload(tensor_split=(3.0, 1.5), rpc=("10.0.0.2:1", "10.0.0.3:1"), offload_kv=False, gpu_layers=4)
    shown = {name: offload.format(name) for name in offload.given}
    assert shown == {
        "gpu_layers": "4",
        "tensor_split": "3, 1.5",
        "offload_kv": "false",
        "rpc": "10.0.0.2:1, 10.0.0.3:1",
    }
