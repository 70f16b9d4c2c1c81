"""Results of other projects' specification suites: what came of each case, recorded without the cases themselves.

A suite's files are read from a folder that an environment variable names; `python -m tests.interop.spec_table` runs
all that are there and records them; a case that is not there stays as it was recorded. A record holds a digest of each
case, so that a changed one is noticed.
"""

from __future__ import annotations

import hashlib
import json
import os
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

RECORDS = Path(__file__).parent / "recorded"
PASSED = "passed"


class SpecCase(NamedTuple):
    """name: unique in its suite. body: all of it, as JSON has it."""

    name: str
    body: Any

    @property
    def digest(self) -> str:
        text = json.dumps(self.body, sort_keys=True, ensure_ascii=False)
        return hashlib.sha256(text.encode()).hexdigest()[:16]


class SpecSuite(NamedTuple):
    """variable: names its folder. read: its cases. run: what came of one: PASSED, or `KIND: what came instead`."""

    name: str
    variable: str
    read: Callable[[Path], Iterator[SpecCase]]
    run: Callable[[Any], str]

    @property
    def folder(self) -> Path | None:
        named = os.environ.get(self.variable, "")
        return Path(named) if named and Path(named).is_dir() else None

    @property
    def record(self) -> Path:
        return RECORDS / f"{self.name}.json"

    def run_all(self, folder: Path) -> dict[str, dict[str, str]]:
        cases = list(self.read(folder))
        assert len({case.name for case in cases}) == len(cases)
        return {case.name: {"digest": case.digest, "outcome": _shorten(self.run(case.body))} for case in cases}

    def read_record(self) -> dict[str, dict[str, str]]:
        found: dict[str, dict[str, str]] = json.loads(self.record.read_text())
        return found


def _shorten(outcome: str) -> str:
    """What came, without the texts of the case."""
    return outcome.partition(":")[0]


def list_suites() -> tuple[SpecSuite, ...]:
    from tests.interop.dotprompt_suite import DOTPROMPT
    from tests.interop.prompty_suite import PROMPTY

    return DOTPROMPT, PROMPTY


def main() -> int:
    for suite in list_suites():
        if suite.folder is None:
            print(f"{suite.name}: {suite.variable} names no folder", file=sys.stderr)
            continue
        found = {**suite.read_record(), **suite.run_all(suite.folder)}
        RECORDS.mkdir(exist_ok=True)
        suite.record.write_text(json.dumps(found, indent=1, ensure_ascii=False, sort_keys=True) + "\n")
        passed = sum(one["outcome"] == PASSED for one in found.values())
        print(f"{suite.name}: {passed} of {len(found)} passed")
    return 0


if __name__ == "__main__":
    sys.exit(main())
