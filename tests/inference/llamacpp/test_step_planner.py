"""A plan is measured at the first load on a device, and remembered for those that take the same time."""

from __future__ import annotations

from pathlib import Path

import msgspec
import pytest

from tests.inference.llamacpp.simulated_device import SimulatedDevice
from workbench import paths
from workbench.errors import OutOfMemoryError
from workbench.inference.llamacpp import step_planner
from workbench.inference.llamacpp.build import ContextBuild
from workbench.inference.llamacpp.step_planner import FOLDER, PlacedWork, StepPlanner
from workbench.models.device_share import Device
from workbench.models.layer_sizes import read_layer_sizes
from workbench.models.offload_fit import BatchShape, fit_layers
from workbench.models.reference import Model
from workbench.models.step_plan import StepPlan
from workbench.offload import Offload

MIB = 2**20
DEFAULT = Offload()
BUILD = ContextBuild(32, 32, 80, 512, 80, 1, prefix_cache=True, on_device=True)


class Probes:
    """Stands in for ProbeContext. opened: how large each was. error: raised instead."""

    def __init__(self) -> None:
        self.opened: list[tuple[int, int]] = []
        self.error: Exception | None = None
        self._device = SimulatedDevice()

    def __call__(
        self, weights: object, build: object, most_tokens: int, most_rows: int, picks: bool
    ) -> SimulatedDevice:
        self.opened.append((most_tokens, most_rows))
        if self.error:
            raise self.error
        self._device = SimulatedDevice(weights=0.001, token=0.000_000_4, row=0.000_01, picks=picks)
        return self._device

    def clock(self) -> float:
        return self._device.now

    def plan(self, path: Path, placed: PlacedWork, build: ContextBuild = BUILD, offload: Offload = DEFAULT) -> StepPlan:
        planner = StepPlanner(Model("m", path, offload=offload), lambda: None, self.clock)
        return planner.plan(None, build, placed)  # type: ignore[arg-type]


@pytest.fixture
def probes(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Probes:
    monkeypatch.setenv("WORKBENCH_HOME", str(tmp_path))
    made = Probes()
    monkeypatch.setattr(step_planner, "ProbeContext", made)
    return made


def place(path: Path, free: int = 4000, offload: Offload = DEFAULT, description: str = "A card") -> PlacedWork:
    card = Device("CUDA0", description, "CUDA", free * MIB, 8000 * MIB)
    sizes, work = read_layer_sizes(path), BatchShape(8192, 576, 80)
    return PlacedWork(fit_layers(sizes, work, offload, [card]), sizes, work)


def test_the_second_load_measures_nothing(desk_gguf: Path, probes: Probes) -> None:
    first = probes.plan(desk_gguf, place(desk_gguf))
    assert first.source == "measured" and probes.opened == [(2048, 128)]
    again = probes.plan(desk_gguf, place(desk_gguf, free=3900))
    assert again.source == "remembered" and len(probes.opened) == 1
    assert again.prompt_tokens == first.prompt_tokens and again.rows == first.rows
    assert "measured at an earlier load" in again.describe()


def test_another_device_or_other_numbers_are_measured_anew(desk_gguf: Path, probes: Probes) -> None:
    probes.plan(desk_gguf, place(desk_gguf))
    probes.plan(desk_gguf, place(desk_gguf, description="Another card"))
    packed = Offload(kv_type="q8_0")
    probes.plan(desk_gguf, place(desk_gguf, offload=packed), offload=packed)
    partly = Offload(gpu_layers=2)
    probes.plan(desk_gguf, place(desk_gguf, offload=partly), offload=partly)
    assert len(probes.opened) == 4


def test_a_damaged_or_foolish_file_is_measured_anew(desk_gguf: Path, probes: Probes) -> None:
    probes.plan(desk_gguf, place(desk_gguf))
    [file] = (paths.cache_folder() / FOLDER).iterdir()
    for damage in ("{", '{"rows": 0}', '{"prompt_tokens": 1000000}', '{"speed": 3}', "[]"):
        file.write_text(damage)
        assert probes.plan(desk_gguf, place(desk_gguf)).source == "measured"
    assert len(probes.opened) == 6


def test_a_device_without_room_gets_the_usual_steps_which_are_not_remembered(desk_gguf: Path, probes: Probes) -> None:
    probes.error = OutOfMemoryError("A context of 2,304 tokens could not be opened.", "")
    found = probes.plan(desk_gguf, place(desk_gguf))
    assert found == StepPlan(note="A context of 2,304 tokens could not be opened")
    assert "not measured" in found.describe()
    probes.error = None
    assert probes.plan(desk_gguf, place(desk_gguf)).source == "measured"


def test_larger_steps_are_tried_only_where_their_buffers_fit(desk_gguf: Path, probes: Probes) -> None:
    placed = place(desk_gguf)
    share = placed.placement.shares[0]
    card = msgspec.structs.replace(share.device, free_bytes=share.bytes * 16 // 15 + MIB)
    tight = placed.placement._replace(shares=(msgspec.structs.replace(share, device=card),))
    probes.plan(desk_gguf, placed._replace(placement=tight))
    [(tokens, rows)] = probes.opened
    assert tokens <= 512 and rows <= 64


def test_a_recurrent_model_keeps_its_steps(desk_gguf: Path, probes: Probes) -> None:
    build = ContextBuild(8, 8, 17, 256, 80, 1, prefix_cache=False, on_device=True)
    found = probes.plan(desk_gguf, place(desk_gguf), build)
    assert (found.prompt_tokens, found.rows, found.source) == (256, 8, "default")
    assert not probes.opened


def test_a_device_picks_tokens_only_where_it_has_the_logits_and_there_is_ram(
    desk_gguf: Path, probes: Probes, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert probes.plan(desk_gguf, place(desk_gguf)).device_sampling
    with monkeypatch.context() as patch:
        patch.setattr(step_planner, "fits_spare", lambda needed, free: False)
        again = probes.plan(desk_gguf, place(desk_gguf))
    assert (again.source, again.device_sampling) == ("remembered", False)
    few = Offload(cpu_moe=0, gpu_layers=4)
    assert not probes.plan(desk_gguf, place(desk_gguf, offload=few), offload=few).device_sampling
