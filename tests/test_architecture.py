"""The rules of the house: which room may import which, and what a light start never loads."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

CHECKOUT = Path(__file__).parents[1]
HEAVY = ("torch", "transformers", "peft", "llama_cpp", "gguf")
DRAWING = ("textual", "rich", "typer")
CORE = sorted(
    ".".join(path.relative_to(CHECKOUT).with_suffix("").parts).removesuffix(".__init__")
    for path in (CHECKOUT / "workbench").rglob("*.py")
    if not {"tui", "cli", "shipped", "__main__.py"} & set(path.relative_to(CHECKOUT).parts)
)
CHILD_ONLY = (
    "workbench.engines.llamacpp",
    "workbench.engines.transformers",
    "workbench.models.convert",
    "workbench.training.child",
)


def load(code: str) -> set[str]:
    """The modules that a fresh interpreter holds after running the code."""
    done = subprocess.run(
        [sys.executable, "-c", f"{code}\nimport sys; print('\\n' + ' '.join(sys.modules))"],
        env={**os.environ, "PYTHONPATH": str(CHECKOUT)},
        capture_output=True,
        text=True,
        check=True,
    )
    return set(done.stdout.splitlines()[-1].split())


def test_each_room_imports_only_what_its_floor_allows():
    done = subprocess.run(
        [Path(sys.executable).with_name("lint-imports"), "--no-cache"],
        cwd=CHECKOUT,
        capture_output=True,
        text=True,
        check=False,
        env={**os.environ, "PYTHONPATH": str(CHECKOUT)},
    )
    assert done.returncode == 0, done.stdout + done.stderr


def test_the_core_loads_neither_a_screen_nor_an_engine():
    light = [name for name in CORE if not name.startswith(CHILD_ONLY)]
    assert len(light) > 30
    loaded = load("\n".join(f"import {name}" for name in light))
    assert not loaded & {*HEAVY, *DRAWING}


@pytest.mark.parametrize("command", ["--help", "--version", "compare --help", "models --help", "run --help"])
def test_help_loads_nothing_heavy(command):
    arguments = command.split()
    loaded = load(f"import sys\nfrom workbench.cli.app import run\nassert run({arguments}, None) == 0")
    assert not loaded & {*HEAVY, "textual", "jinja2", "ruamel", "psutil", "workbench.hosting", "workbench.evaluation"}


def test_a_command_loads_no_other_command():
    loaded = load("from workbench.cli.app import run\nassert run(['models', '--help'], None) == 0")
    assert {name for name in loaded if name.startswith("workbench.cli.")} == {
        "workbench.cli.app",
        "workbench.cli.commands",
        "workbench.cli.models",
        "workbench.cli.streams",
        "workbench.cli.terminal",
    }


def test_opening_the_screen_waits_for_no_command_line_library():
    code = "from workbench.cli import app, terminal\nterminal.is_there = lambda: True"
    loaded = load(f"{code}\nassert app.run(['my.bench.yaml'], lambda bench, model: 0) == 0")
    assert not loaded & {"typer", "pydantic", "rich"}


def test_the_screen_starts_without_an_engine():
    assert not load("import workbench.tui.app") & set(HEAVY)
