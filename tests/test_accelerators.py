"""Cards are found through pretended programs of the vendors: absent, broken, with and without memory."""

from __future__ import annotations

import os
import stat
from pathlib import Path

import pytest

from workbench import accelerators
from workbench.accelerators import find_accelerators, run_program
from workbench.llama_setup import advise
from workbench.llama_wheels import choose_folder

ROCM = """\
*******
Agent 1
*******
  Name:                    AMD Ryzen 9
  Marketing Name:          AMD Ryzen 9
  Device Type:             CPU
*******
Agent 2
*******
  Name:                    gfx1100
  Marketing Name:          Radeon RX 7900 XTX
  Device Type:             GPU
  Pool Info:
    Pool 1
      Segment:                 GLOBAL; FLAGS: COARSE GRAINED
      Size:                    25149440(0x17fc000) KB
"""
VULKAN = """\
Devices:
========
GPU0:
	deviceType         = PHYSICAL_DEVICE_TYPE_{kind}
	deviceName         = {name}
"""


@pytest.fixture
def pretend(tmp_path, monkeypatch):
    """Puts programs that print something on a path on which there is nothing else."""
    monkeypatch.setenv("PATH", str(tmp_path))

    def write(name: str, *replies: tuple[str, str], code: int = 0) -> None:
        """replies: what it prints where its arguments match a shell pattern."""
        cases = "\n".join(f"  {pattern}) echo '{text}' ;;" for pattern, text in replies)
        program = Path(tmp_path) / name
        program.write_text(f'#!/bin/sh\ncase "$*" in\n{cases}\nesac\nexit {code}\n')
        program.chmod(program.stat().st_mode | stat.S_IXUSR)

    return write


def nvidia(pretend, cards: str, cuda: str = "12.4", listing: str = "") -> None:
    pretend("nvidia-smi", ("--query*", cards), ("-L", listing), ('""', f"| Driver Version: 550 CUDA Version: {cuda} |"))


def test_no_program_means_no_card(pretend):
    assert find_accelerators(system="Linux") == ()
    assert list(advise(())) == []
    assert run_program(["nvidia-smi"]) is None


def test_one_good_card_is_offered(pretend):
    nvidia(pretend, "NVIDIA GeForce RTX 3060, 12288, 11900, 550.54")
    (card,) = find_accelerators(system="Linux")
    assert (card.name, card.memory_bytes, card.cuda) == ("NVIDIA GeForce RTX 3060", 12 * 2**30, (12, 4))
    (line,) = advise([card])
    assert "make run GPU=cuda" in line
    assert "12 GiB" in line


def test_two_cards_are_both_listed(pretend):
    nvidia(pretend, "NVIDIA A, 8192, 8000, 550.54\nNVIDIA B, 24576, 200, 550.54")
    first, second = find_accelerators(system="Linux")
    assert not first.problem
    assert second.problem == "only 200 of 24576 MiB are free"
    assert [line.split(":")[0].split(",")[0] for line in advise([first, second])] == [
        "Found NVIDIA A (8 GiB)", "Found NVIDIA B (24 GiB)",
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("release", "command"),
    [
        ("ID=debian\n", "sudo apt install nvidia-driver"),
        ("NAME=Mint\nID=linuxmint\nID_LIKE='ubuntu debian'\n", "sudo ubuntu-drivers install"),
        ('ID="rocky"\nID_LIKE="rhel centos fedora"\n', "sudo dnf install akmod-nvidia"),
        (None, "sudo apt install nvidia-driver"),
    ],
)
def test_an_old_driver_is_named_with_what_it_supports(pretend, monkeypatch, tmp_path, release, command):
    monkeypatch.setattr(accelerators, "_RELEASE_FILE", tmp_path / "os-release")
    if release is not None:
        (tmp_path / "os-release").write_text(release)
    nvidia(pretend, "Quadro K2000, 2048, 1900, 390.157", cuda="9.1")
    (card,) = find_accelerators(system="Linux")
    assert "driver 390.157 supports CUDA 9.1" in card.problem
    assert card.command == command
    assert choose_folder("cuda", [card]) is None


def test_drivers_since_610_call_their_cuda_version_otherwise(pretend):
    """https://docs.nvidia.com/deploy/nvidia-smi: of the user-mode driver, no longer of the kernel's module."""
    header = "| NVIDIA-SMI 610.43.02   KMD Version: 610.43.02   CUDA UMD Version: 13.3 |"
    pretend("nvidia-smi", ("--query*", "NVIDIA B200, 183359, 183000, 610.43.02"), ("-L", ""), ('""', header))
    (card,) = find_accelerators(system="Linux")
    assert (card.cuda, card.problem) == ((13, 3), "")
    assert choose_folder("cuda", [card]) == "cu132"


def test_a_driver_that_hangs_does_not_hang_the_set_up(tmp_path, monkeypatch):
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setattr(accelerators, "_SECONDS", 0.2)
    program = tmp_path / "nvidia-smi"
    program.write_text("#!/bin/sh\ntrap '' TERM\nexec /bin/sleep 600\n")
    program.chmod(0o755)
    (card,) = find_accelerators(system="Linux")
    assert card.problem == "nvidia-smi fails: nvidia-smi did not answer within 0.2 s"


def test_a_driver_that_does_not_answer_is_said_so(pretend):
    pretend("nvidia-smi", ("*", "NVIDIA-SMI has failed because it could not communicate with the driver."), code=9)
    (card,) = find_accelerators(system="Linux")
    assert "could not communicate with the driver" in card.problem
    assert card.command == "sudo modprobe nvidia"


def test_a_mig_card_counts_as_its_first_instance(pretend):
    listing = "GPU 0: NVIDIA H100 (UUID: GPU-1)\n  MIG 1g.10gb     Device  0: (UUID: MIG-1)"
    nvidia(pretend, "NVIDIA H100, 81559, [Insufficient Permissions], 550.54", listing=listing)
    (card,) = find_accelerators(system="Linux")
    assert (card.memory_bytes, card.free_bytes, card.problem) == (10 * 2**30, None, "")
    assert "MIG instance" in card.name


def test_a_card_without_memory_cannot_be_used(pretend):
    nvidia(pretend, "NVIDIA H100, [N/A], [N/A], 550.54")
    (card,) = find_accelerators(system="Linux")
    assert "MIG may be on without an instance" in card.problem
    assert card.command == "nvidia-smi mig -lgi"


def test_amd_apple_and_vulkan(pretend):
    pretend("rocminfo", ("*", ROCM))
    (card,) = find_accelerators(system="Linux")
    assert (card.backend, card.name, card.memory_bytes) == ("rocm", "Radeon RX 7900 XTX", 25149440 * 1024)
    pretend("rocminfo", ("*", "Unable to open /dev/kfd read-write: Permission denied"), code=1)
    assert find_accelerators(system="Linux")[0].command == "sudo usermod -aG render,video $USER"
    (Path(os.environ["PATH"]) / "rocminfo").unlink()
    assert find_accelerators(system="Darwin")[0].backend == "metal"
    pretend("vulkaninfo", ("*", VULKAN.format(kind="DISCRETE_GPU", name="Intel Arc A770")))
    (card,) = find_accelerators(system="Linux")
    assert (card.backend, card.name, card.problem) == ("vulkan", "Intel Arc A770", "")
    pretend("vulkaninfo", ("*", VULKAN.format(kind="CPU", name="llvmpipe")))
    (card,) = find_accelerators(system="Linux")
    assert "processor" in card.problem
    assert list(advise([card])) == []


@pytest.mark.parametrize(
    ("cuda", "folder"), [("11.8", "cu118"), ("12.0", None), ("12.4", "cu124"), ("12.9", "cu125"), ("13.1", "cu130")]
)
def test_the_wheel_is_the_newest_that_the_driver_runs(pretend, cuda, folder):
    nvidia(pretend, "NVIDIA A, 8192, 8000, 550.54", cuda=cuda)
    assert choose_folder("cuda", find_accelerators(system="Linux")) == folder
