"""Which rows read as many tokens each in one pass over the weights.

Knows nothing of tensors.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

from workbench.engines.transformers.row import MemoryRow


def gather(
    reading: Sequence[MemoryRow], tokens: int, longest: int | None, alike: Callable[[MemoryRow, MemoryRow], bool]
) -> tuple[list[MemoryRow], int]:
    """Rows for one pass, and the tokens of each; what two of them would read twice is read by one.

    tokens: of all of them, at most. longest: of one, at most; None where each has to be read alone and whole. alike:
    whether two rows begin with tokens that neither has seen.
    """
    batch: list[MemoryRow] = []
    size = 0
    for row in reading:
        if longest is None:
            return [row], len(row.pending)
        most = min(len(row.pending), tokens, longest)
        if not batch:
            size = most
        elif most < size or (len(batch) + 1) * size > tokens or any(alike(row, other) for other in batch):
            continue
        batch.append(row)
    return sorted(batch, key=lambda row: row.number), size
