"""promptfoo as oracle: `python -m tests.interop.promptfoo_oracle` records what it makes of the configurations here.

Each folder of `promptfoo/` holds a configuration of our own, which promptfoo 0.120.0 runs with its provider `echo`;
what it rendered and which assertions passed stands in `recorded.json` beside it.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

CONFIGS = Path(__file__).parent / "promptfoo"
VARIABLE = "WORKBENCH_PROMPTFOO"
"""Names the program `promptfoo` of version 0.120.0: `npm install promptfoo@0.120.0` in an empty folder."""

_PATIENCE = 300


def list_configs() -> list[Path]:
    return sorted(path.parent for path in CONFIGS.glob("*/promptfooconfig.yaml"))


def find_promptfoo() -> Path | None:
    """The program that the variable names; None where it or node is not there."""
    named = os.environ.get(VARIABLE, "")
    return Path(named) if named and Path(named).exists() and shutil.which("node") else None


def run_promptfoo(program: Path, folder: Path) -> list[dict[str, Any]]:
    """What promptfoo makes of a configuration: each cell with what was rendered, answered and found."""
    # the package has its migrations in dist/ and looks for them beside it
    package = program.resolve().parent.parent.parent
    if not (package / "drizzle").exists():
        (package / "drizzle").symlink_to("dist/drizzle")
    with tempfile.TemporaryDirectory() as scratch:
        out = Path(scratch) / "out.json"
        settings = {
            "PROMPTFOO_DISABLE_TELEMETRY": "1",
            "PROMPTFOO_DISABLE_UPDATE": "1",
            "PROMPTFOO_CONFIG_DIR": scratch,
        }
        done = subprocess.run(
            [str(program), "eval", "-c", "promptfooconfig.yaml", "-o", str(out), "--no-cache", "--no-table"],
            cwd=folder,
            env={**os.environ, **settings},
            capture_output=True,
            timeout=_PATIENCE,
        )
        assert out.exists(), done.stdout[-3000:] + done.stderr[-3000:]
        found = json.loads(out.read_text())
    rows = sorted(found["results"]["results"], key=lambda row: (row["testIdx"], row["promptIdx"]))
    return [_read_row(row) for row in rows]


def _read_row(row: dict[str, Any]) -> dict[str, Any]:
    grading = row["gradingResult"] or {}
    response = row.get("response") or {}
    parts = [one for one in grading.get("componentResults") or [] if one and not one.get("componentResults")]
    return {
        "test": row["testIdx"],
        "prompt": row["promptIdx"],
        "raw": row["prompt"]["raw"],
        "output": response.get("output", ""),
        "success": row["success"],
        "score": row["score"],
        "metrics": row["namedScores"],
        "vars": row["vars"],
        "assertions": [{"assertion": one["assertion"], "pass": one["pass"]} for one in parts if one.get("assertion")],
    }


def read_recorded(folder: Path) -> list[dict[str, Any]]:
    return json.loads((folder / "recorded.json").read_text())


def main() -> int:
    program = find_promptfoo()
    if program is None:
        print(f"Set {VARIABLE} to the program promptfoo of version 0.120.0.", file=sys.stderr)
        return 2
    for folder in list_configs():
        rows = run_promptfoo(program, folder)
        lines = ",\n".join(json.dumps(row, ensure_ascii=False, sort_keys=True) for row in rows)
        (folder / "recorded.json").write_text(f"[\n{lines}\n]\n")
        print(f"{folder.name}: {len(rows)} cells")
    return 0


if __name__ == "__main__":
    sys.exit(main())
