"""`python -m tests.architecture`: everything that breaks a rule, and 1 where anything does."""

from __future__ import annotations

import sys

from tests.architecture.checks import RULES


def main() -> int:
    broken = 0
    for title, rule in RULES.items():
        found = list(rule())
        broken += len(found)
        print(f"{title}: {len(found) or 'none'}")
        for line in found:
            print(f"  {line}")
    return 1 if broken else 0


if __name__ == "__main__":
    sys.exit(main())
