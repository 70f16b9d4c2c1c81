"""What went wrong in torch or in a model's code, as messages.

Knows nothing of rows.
"""

from __future__ import annotations

import torch

from workbench.errors import EngineError


def explain(error: Exception) -> EngineError:
    """A failure of torch or of a model's code, as a message."""
    details = f"{type(error).__name__}: {error}"
    if isinstance(error, (MemoryError, torch.OutOfMemoryError)) or "allocate memory" in str(error):
        return EngineError(
            "There was not enough memory to go on with the request.",
            "Shorten the prompt, run fewer panes at once, or unload another model.",
            details,
        )
    return EngineError(
        f"The model could not evaluate the request: {details.splitlines()[0]}.", "Try another model.", details
    )


def not_a_number() -> EngineError:
    return EngineError(
        "The model gave numbers that are not numbers, so no token can be chosen.",
        "Its weights or those of an adapter may be damaged; try it without the adapter, or fetch it again.",
    )
