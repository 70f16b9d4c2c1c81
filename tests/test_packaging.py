"""The wheel, installed as a person would, run where no checkout is."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import sysconfig
import zipfile
from pathlib import Path

import pytest

from workbench import __version__

CHECKOUT = Path(__file__).parents[1]


def carry_out(*command, **options):
    done = subprocess.run([str(part) for part in command], capture_output=True, text=True, check=False, **options)
    assert done.returncode == 0, f"{command}\n{done.stdout}\n{done.stderr}"
    return done.stdout


@pytest.fixture(scope="module")
def wheel(tmp_path_factory):
    """Built without a network, by the back end that this site has."""
    out = tmp_path_factory.mktemp("wheel")
    carry_out(sys.executable, "-m", "build", "--wheel", "--no-isolation", "--outdir", out, cwd=CHECKOUT)
    (built,) = out.glob("*.whl")
    return built


@pytest.fixture(scope="module")
def installed(wheel, tmp_path_factory):
    """Runs the installed command in an empty folder, in an environment that sees this site's packages only."""
    home = tmp_path_factory.mktemp("installed")
    carry_out(sys.executable, "-m", "venv", "--without-pip", home / "venv")
    python = home / "venv" / "bin" / "python"
    carry_out(sys.executable, "-m", "pip", "--python", python, "install", "--no-deps", "--no-index", "--quiet", wheel)
    site = carry_out(python, "-c", "import sysconfig; print(sysconfig.get_path('purelib'))").strip()
    own = [*dict.fromkeys((sysconfig.get_path("purelib"), *sys.path))]  # a virtual environment may see another's
    (Path(site) / "site.pth").write_text("\n".join(path for path in own if Path(path).name == "site-packages") + "\n")
    (home / "empty").mkdir()
    environment = {key: value for key, value in os.environ.items() if key != "PYTHONPATH"}
    environment |= {"WORKBENCH_HOME": str(home / "own"), "HF_HUB_CACHE": str(home / "hub"), "HOME": str(home)}

    def call(*arguments):
        return carry_out(home / "venv" / "bin" / "workbench", *arguments, cwd=home / "empty", env=environment)

    return call


def test_the_wheel_carries_the_prompts_and_the_models_but_not_the_recipe(wheel):
    names = zipfile.ZipFile(wheel).namelist()
    assert "workbench/shipped/prompts/demo.bench.yaml" in names
    assert "workbench/shipped/prompts/queues/plain.prompty" in names
    assert "workbench/shipped/assets/data/queues/test.jsonl" in names
    assert "workbench/shipped/assets/desk-q8_0.gguf" in names
    assert not [name for name in names if "assets/recipe" in name or "__pycache__" in name or name.startswith("tests")]


def test_the_installed_command_knows_its_version(installed):
    assert installed("--version") == f"workbench {__version__}\n"


def test_the_installed_command_finds_the_shipped_models_and_prompts(installed):
    models = json.loads(installed("models", "--json"))["models"]
    assert "desk-q8_0" in [model["name"] for model in models]
    assert all("shipped" in model["path"] for model in models)
    prompts = json.loads(installed("prompts", "--json"))["prompts"]
    assert "queues/plain" in [prompt["name"] for prompt in prompts]


@pytest.mark.model
def test_the_installed_command_compares_on_the_embedded_model(installed):
    cells = json.loads(installed("compare", "--json"))["cells"]
    assert [cell["variant"] for cell in cells] == ["plain", "described", "few-shot", "few-shot, warm", "plain + LoRA"]
    for cell in cells:
        assert cell["error"] is None
        assert cell["text"]
        assert cell["prompt_tokens"] > 0
        assert set(cell["scores"]) == {"exact_match"}


@pytest.mark.model
def test_the_installed_command_answers_one_prompt(installed):
    assert installed("run", "queues/plain", "--var", "message=Where is my parcel?", "--max-tokens", "8")
