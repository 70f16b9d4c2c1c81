"""A short, seeded turn of every kind of the fuzz package, and of the harness itself."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.fuzz.campaign import Reader, run_campaign
from tests.fuzz.kinds import discover

KINDS = discover()


@pytest.mark.parametrize("name", sorted(KINDS))
def test_mutated_inputs_are_read_or_refused_in_words(name: str, tmp_path: Path) -> None:
    made = run_campaign(KINDS[name], 60, 1, tmp_path / name)
    assert not made.faults, "\n".join(f"{fault.number} {fault.outcome}: {fault.text[-500:]}" for fault in made.faults)
    assert sum(made.outcomes.values()) == 60


@pytest.mark.parametrize(
    ("body", "outcome"),
    [
        ("raise ValueError('x')", "traceback"),
        ("import time\n    while True: time.monotonic()", "hang"),
        ("import os\n    os.abort()", "crash"),
        ("from workbench.errors import FileError\n    raise FileError('no')", "refused"),
        ("return 1", "read"),
    ],
)
def test_the_harness_tells_outcomes_apart(
    body: str, outcome: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "extra.py").write_text(
        "from tests.fuzz import child, kinds\n"
        f"def read(path):\n    {body}\n"
        "kinds.kind('extra', lambda folder: [])(read)\n"
        "child.main()\n"
    )
    monkeypatch.setattr("tests.fuzz.campaign.COMMAND", (str(tmp_path / "extra.py"),))
    monkeypatch.setenv("PYTHONPATH", str(Path(__file__).parents[1]))
    reader = Reader("extra")
    try:
        assert reader.read(tmp_path / "input", limit=2)[0] == outcome
    finally:
        reader.close()
