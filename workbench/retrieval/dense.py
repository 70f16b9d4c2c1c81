"""The embedding index: one vector of length 1 for each chunk, searched by cosine."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from workbench.errors import EngineError
from workbench.retrieval.bm25 import OnStep
from workbench.retrieval.ranking import Hit, rank

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

TextKind = Literal["query", "document"]
Embed = Callable[[Sequence[str], TextKind], "NDArray[np.float32]"]
"""texts -> a row each, of any length; models of both kinds of text tell queries from documents"""

_BATCH = 32
_VECTORS = "vectors.npy"


class DenseIndex:
    """See the module. vectors: float32, shape (chunks, dimensions)."""

    def __init__(self, vectors: NDArray[np.float32]) -> None:
        self.vectors = vectors

    @classmethod
    def build(cls, texts: Sequence[str], embed: Embed, on_step: OnStep = lambda done, total: None) -> DenseIndex:
        """The texts embedded. Raises what `embed` raises."""
        import numpy as np

        rows = []
        for start in range(0, len(texts), _BATCH):
            on_step(start, len(texts))
            rows.append(normalize_rows(embed(texts[start : start + _BATCH], "document")))
        on_step(len(texts), len(texts))
        return cls(np.concatenate(rows))

    def search(self, query: NDArray[np.float32], k: int) -> list[Hit]:
        """The k nearest by cosine, the nearest first. query: shape (1, dimensions)."""
        if query.shape[-1] != self.vectors.shape[1]:
            raise EngineError(
                f"The query has {query.shape[-1]} dimensions, and the index {self.vectors.shape[1]}.",
                "Use the same embedding model for both.",
            )
        return rank(self.vectors @ normalize_rows(query)[0], k, floor=-2.0)

    def save(self, folder: Path) -> None:
        import numpy as np

        np.save(folder / _VECTORS, self.vectors, allow_pickle=False)

    @classmethod
    def load(cls, folder: Path) -> DenseIndex:
        """Raises OSError or ValueError where it cannot be read."""
        import numpy as np

        return cls(np.load(folder / _VECTORS, mmap_mode="r", allow_pickle=False))


def normalize_rows(vectors: NDArray[np.float32]) -> NDArray[np.float32]:
    """Each row at length 1. Raises EngineError for one that has no direction, which is near everything and nothing."""
    import numpy as np

    lengths = np.linalg.norm(vectors, axis=1, keepdims=True)
    if not np.isfinite(lengths).all() or (lengths == 0).any():
        raise EngineError("The embedding model gave a vector without a direction.", "Choose another embedding model.")
    return np.asarray(vectors / lengths, dtype=np.float32)
