"""promptfoo's own example configurations, held against promptfoo itself: `python -m tests.interop.promptfoo_examples`.

Their files are not part of this repository: WORKBENCH_PROMPTFOO_EXAMPLES names a folder with some of promptfoo's
`examples`, and WORKBENCH_PROMPTFOO the program. Each is run with the provider `echo`, without the assertions that our
import counts as lost by their type (they would run code or ask a model); what came of it is recorded as counts.
"""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import sys
import tempfile
from pathlib import Path
from typing import Any

from tests.interop.promptfoo_oracle import find_promptfoo, run_promptfoo
from tests.interop.test_promptfoo_oracle import compare_cells, plan, rendered, same
from workbench.errors import WorkbenchError
from workbench.interop.yaml_text import parse_text

VARIABLE = "WORKBENCH_PROMPTFOO_EXAMPLES"
RECORD = Path(__file__).parent / "recorded/promptfoo_examples.json"
_LOST = ("javascript", "python", "ruby", "webhook", "similar", "llm-rubric", "model-graded", "factuality", "g-eval",
         "classifier", "moderation", "is-sql", "is-xml", "perplexity", "context-", "answer-relevance")  # fmt: skip
CONFIG = "promptfooconfig.yaml"


def find_examples() -> Path | None:
    named = os.environ.get(VARIABLE, "")
    return Path(named) if named and Path(named).is_dir() else None


def list_examples(folder: Path) -> list[Path]:
    return sorted(path.parent for path in folder.rglob(CONFIG))


def run_example(example: Path, program: Path) -> dict[str, Any]:
    """What came of one, in counts, or why it is not imported; cells that differ are listed by their places alone."""
    with tempfile.TemporaryDirectory() as scratch:
        folder = Path(scratch) / "example"
        shutil.copytree(example, folder)
        config = parse_text((folder / CONFIG).read_text(), CONFIG)
        lost = _prepare(config)
        (folder / CONFIG).write_text(json.dumps(config))
        try:
            planned = plan(folder)
        except WorkbenchError as error:
            return {"digest": _digest(example), "not_imported": error.message}
        cells = run_promptfoo(program, folder)
        unequal = [f"{one['test']}/{one['prompt']}" for one in cells if not same(one["raw"], rendered(planned, one))]
        compared = compare_cells(folder, cells)
    return {
        "digest": _digest(example),
        "cells": len(cells),
        "prompts_that_differ": unequal,
        "assertions_equal": compared.equal,
        "assertions_that_differ": len(compared.differing),
        "assertions_lost": lost + compared.lost,
    }


def _prepare(config: dict[str, Any]) -> int:
    """Ask `echo`, and leave out what runs code or asks a model; how many assertions that are."""
    config["providers"] = ["echo"]
    for key in ("targets", "outputPath", "derivedMetrics", "evaluateOptions", "sharing"):
        config.pop(key, None)
    tests = config.get("tests")
    held = [config.get("defaultTest"), *(tests if isinstance(tests, list) else [])]
    lost = 0
    for test in held:
        if not isinstance(test, dict) or not test.get("assert"):
            continue
        code = bool((test.get("options") or {}).pop("transform", None))
        kept = [one for one in test["assert"] if not code and not _is_lost(one)]
        lost += len(test["assert"]) - len(kept)
        test["assert"] = kept
    return lost


def _is_lost(assertion: dict[str, Any]) -> bool:
    return str(assertion.get("type", "")).removeprefix("not-").startswith(_LOST) or "transform" in assertion


def _digest(folder: Path) -> str:
    files = sorted(path for path in folder.rglob("*") if path.is_file())
    parts = [path.relative_to(folder).as_posix().encode() + b"\0" + path.read_bytes() for path in files]
    return hashlib.sha256(b"\0".join(parts)).hexdigest()[:16]


def main() -> int:
    folder, program = find_examples(), find_promptfoo()
    if folder is None or program is None:
        print(f"{VARIABLE} and WORKBENCH_PROMPTFOO name no examples and no program.", file=sys.stderr)
        return 2
    found = {}
    for example in list_examples(folder):
        name = example.relative_to(folder).as_posix()
        found[name] = run_example(example, program)
        print(f"{name}: {found[name]}")
    RECORD.write_text(json.dumps(found, indent=1) + "\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
