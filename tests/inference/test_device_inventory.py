"""The devices are asked of a child, kept for some seconds, and not asked for where the build has none."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import pytest

from workbench.errors import EngineError
from workbench.inference.device_inventory import DeviceInventory, has_device_backend
from workbench.inference.device_probe import LlamaBuild
from workbench.models.device_share import Device
from workbench.offload import Offload

CPU = Device("CPU", "A processor", "CPU", 10, 20, "cpu")
CARD = Device("CUDA0", "A card", "CUDA", 5, 8)


class PretendedProbe:
    """Counts how often it is asked."""

    def __init__(self, *answers: LlamaBuild | EngineError) -> None:
        self.answers = list(answers)
        self.asked: list[Offload] = []

    def __call__(self, environment: Mapping[str, str] | None, offload: Offload) -> LlamaBuild:
        self.asked.append(offload)
        answer = self.answers[min(len(self.asked), len(self.answers)) - 1]
        if isinstance(answer, EngineError):
            raise answer
        return answer


def test_an_answer_is_kept_for_some_seconds_and_for_the_same_servers() -> None:
    probe = PretendedProbe(LlamaBuild("0", devices=(CPU, CARD)))
    now = [0.0]
    inventory = DeviceInventory(probe=probe, clock=lambda: now[0])
    assert inventory.peek(Offload()) is None
    assert inventory.find(Offload()).devices == (CARD,)
    assert inventory.peek(Offload(kv_type="q8_0")) == inventory.find(Offload(gpu_layers=3))
    assert len(probe.asked) == 1
    inventory.find(Offload(rpc=("10.0.0.2:1",)))
    assert len(probe.asked) == 2
    now[0] = 60.0
    assert inventory.peek(Offload()) is None
    inventory.find(Offload())
    assert len(probe.asked) == 3


def test_what_cannot_be_asked_is_told() -> None:
    problems = {"10.0.0.2:1": "The RPC server 10.0.0.2:1 cannot be reached."}
    away = DeviceInventory(probe=PretendedProbe(LlamaBuild("0", devices=(CPU, CARD), rpc_problems=problems)))
    assert away.find(Offload(rpc=("10.0.0.2:1",))) == ((CARD,), ("The RPC server 10.0.0.2:1 cannot be reached.",))
    dead = DeviceInventory(probe=PretendedProbe(EngineError("It was killed.")))
    assert dead.find(Offload()) == ((), ("It was killed.",))
    none = DeviceInventory(probe=PretendedProbe(LlamaBuild("0", devices=(CPU,))))
    assert none.find(Offload()) == ((), ())
    assert "gpu_layers asks for all layers on a GPU" in none.find(Offload(gpu_layers="all")).problems[0]


def test_nothing_is_asked_for_a_model_that_is_on_the_cpu() -> None:
    probe = PretendedProbe(LlamaBuild("0", devices=(CPU, CARD)))
    assert DeviceInventory(probe=probe).find(Offload(gpu_layers="none")) == ((), ())
    assert probe.asked == []


@pytest.mark.parametrize(
    ("names", "expected"),
    [
        (("libggml-base.so.0", "libggml-cpu.so", "libllama.so", "libggml.so"), False),
        (("libggml-base.so", "libggml-cpu-haswell.so", "libggml-blas.so"), False),
        (("libggml-base.so", "libggml-cpu.so", "libggml-cuda.so"), True),
        (("ggml-base.dll", "ggml-cpu.dll", "ggml-vulkan.dll"), True),
        (("libggml-base.dylib", "libggml-cpu.dylib", "libggml-metal.dylib"), True),
        (("libllama.so",), True),
    ],
)
def test_a_build_without_devices_is_told_by_its_files(names: tuple[str, ...], expected: bool, tmp_path: Path) -> None:
    for name in names:
        (tmp_path / name).touch()
    assert has_device_backend({"LLAMA_CPP_LIB_PATH": str(tmp_path)}) == expected
    inventory = DeviceInventory({"LLAMA_CPP_LIB_PATH": str(tmp_path)})
    if not expected:
        assert inventory.find(Offload()) == ((), ())
        assert inventory.find(Offload(rpc=("10.0.0.2:1",))).problems == ("llama.cpp is built here without RPC.",)


def test_a_folder_that_cannot_be_read_is_no_reason_to_leave_devices_out(tmp_path: Path) -> None:
    assert has_device_backend({"LLAMA_CPP_LIB_PATH": str(tmp_path / "gone")})
