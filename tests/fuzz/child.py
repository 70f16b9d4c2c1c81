"""The process that reads mutated inputs: one path a line on stdin, one JSON verdict a line on stdout.

It has a limit of memory, so that an input which takes it all is a fault and not the end of the machine.
"""

from __future__ import annotations

import json
import resource
import sys
import traceback
from pathlib import Path

from workbench.errors import WorkbenchError

from .kinds import Kind, discover

MEMORY = 4 << 30  # bytes of address space; what torch and pyarrow reserve at import lies well below


def verdict(kind: Kind, path: Path) -> dict[str, str]:
    """What reading one input came to: read, refused in words, or a traceback."""
    try:
        kind.read(path)
    except WorkbenchError as error:
        text = str(error)
        try:
            text.encode()
        except UnicodeEncodeError as bad:
            return {"outcome": "traceback", "text": f"a message that cannot be written: {bad}"}
        if len(text) > 20_000:
            return {"outcome": "traceback", "text": f"a message of {len(text):,} characters"}
        return {"outcome": "refused", "text": text}
    except BaseException:  # noqa: BLE001 - whatever comes out is what this looks for
        return {"outcome": "traceback", "text": traceback.format_exc()}
    return {"outcome": "read", "text": ""}


def main() -> None:
    kind = discover()[sys.argv[1]]
    resource.setrlimit(resource.RLIMIT_AS, (MEMORY, MEMORY))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    answers = sys.stdout
    sys.stdout = sys.stderr  # whatever a reader prints is not an answer
    print("ready", file=answers, flush=True)
    for line in sys.stdin:
        print(json.dumps(verdict(kind, Path(json.loads(line)))), file=answers, flush=True)


if __name__ == "__main__":
    main()
