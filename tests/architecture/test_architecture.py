"""The layers hold, names are unique and the field's own, and a light start loads nothing heavy."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.architecture.checks import RULES
from tests.architecture.source import CHECKOUT, list_files

HEAVY = ("torch", "transformers", "peft", "llama_cpp", "gguf")
DRAWING = ("textual", "rich", "typer")
CHILD_ONLY = (
    "workbench.inference.llamacpp",
    "workbench.inference.transformers",
    "workbench.models.hf_to_gguf",
    "workbench.training.child",
)
CORE = sorted(
    {name.split(".")[1] for name in list_files() if "." in name} - {"tui", "cli", "__main__"},
)
"""Packages and modules directly under workbench/."""


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


def test_each_package_imports_only_those_below_it():
    done = subprocess.run(
        [Path(sys.executable).with_name("lint-imports"), "--no-cache"],
        cwd=CHECKOUT,
        capture_output=True,
        text=True,
        check=False,
        env={**os.environ, "PYTHONPATH": str(CHECKOUT)},
    )
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.parametrize("package", CORE)
def test_a_core_package_loads_neither_a_screen_nor_an_engine(package):
    prefix = f"workbench.{package}"
    names = [name for name in list_files() if name == prefix or name.startswith(f"{prefix}.")]
    light = [name for name in names if not name.startswith(CHILD_ONLY)]
    loaded = load("\n".join(f"import {name}" for name in light))
    assert not loaded & {*HEAVY, *DRAWING}


@pytest.mark.parametrize("rule", RULES)
def test_the_rules_for_names_and_imports_hold(rule):
    assert not list(RULES[rule]())


@pytest.mark.parametrize("command", ["--help", "--version", "compare --help", "models --help", "run --help"])
def test_help_loads_nothing_heavy(command):
    arguments = command.split()
    loaded = load(f"import sys\nfrom workbench.cli.app import run\nassert run({arguments}, None) == 0")
    assert not loaded & {
        *HEAVY,
        "textual",
        "jinja2",
        "ruamel",
        "psutil",
        "workbench.inference.worker",
        "workbench.runs",
    }


def test_a_command_loads_no_other_command():
    loaded = load("from workbench.cli.app import run\nassert run(['models', '--help'], None) == 0")
    assert {name for name in loaded if name.startswith("workbench.cli.")} == {
        "workbench.cli.app",
        "workbench.cli.commands",
        "workbench.cli.device_options",
        "workbench.cli.models",
        "workbench.cli.options",
        "workbench.cli.streams",
        "workbench.cli.terminal",
    }


def test_opening_the_screen_waits_for_no_command_line_library():
    code = "from workbench.cli import app, terminal\nterminal.is_interactive = lambda: True"
    loaded = load(f"{code}\nassert app.run(['prompts/demo.bench.yaml'], lambda bench, model: 0) == 0")
    assert not loaded & {"typer", "pydantic", "rich"}


def test_the_screen_starts_without_an_engine():
    assert not load("import workbench.tui.app") & set(HEAVY)
