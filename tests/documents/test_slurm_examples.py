"""The job scripts in docs/slurm are shell that parses, and call only commands and options that there are."""

from __future__ import annotations

import re
import shlex
import subprocess

import pytest

from tests.documents.tables import ROOT, read_command
from workbench.cli.app import COMMANDS

SCRIPTS = sorted((ROOT / "docs" / "slurm").glob("*.sbatch"))
CALL = re.compile(r"\bworkbench (\w+)([^;&|>\n]*)")


@pytest.mark.parametrize("path", SCRIPTS, ids=lambda path: path.name)
def test_a_job_script_parses_and_calls_what_there_is(path):
    subprocess.run(["bash", "-n", path], check=True)
    text = path.read_text()
    assert text.startswith("#!/bin/bash\n")
    assert "set -euo pipefail" in text
    body = "\n".join(line for line in text.splitlines() if not line.lstrip().startswith("#"))
    for command, rest in CALL.findall(body.replace("\\\n", " ")):
        assert command in COMMANDS
        known = {name for option in read_command(command).params for name in option.opts}
        used = {word.partition("=")[0] for word in shlex.split(rest) if word.startswith("--")}
        assert used <= known


def test_there_is_one_for_shards_one_for_ray_and_one_for_training():
    assert {"eval-shards.sbatch", "eval-ray.sbatch", "train.sbatch"} <= {path.name for path in SCRIPTS}
