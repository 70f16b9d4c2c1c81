"""On a CPU, compute the output head at the positions that are learned alone, as TRL does on a GPU.

TRL's fused head scores every position, prompts and padding too, wherever there is no Triton, so that compilers of other
accelerators see the same shapes in each batch. On a CPU nothing is compiled: there it costs two fifths of an update for
positions whose loss is zero. The losses and gradients are the same.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from typing import Any

from trl.trainer import utils

_CHOICE = "_use_triton"
"""TRL's function that decides for a device; where a later TRL has none of that name, its own way is kept."""


@contextlib.contextmanager
def score_labelled_positions() -> Iterator[None]:
    """While inside, TRL's fused head on a CPU leaves out what is not learned."""
    choose: Any = getattr(utils, _CHOICE, None)
    if choose is None:
        yield
        return
    setattr(utils, _CHOICE, lambda device: device.type == "cpu" or choose(device))
    try:
        yield
    finally:
        setattr(utils, _CHOICE, choose)
