"""The libraries' surroundings, set before they are imported: no network, no progress bars, no chatter.

Knows nothing of training.
"""

from __future__ import annotations

import logging
import os
import warnings

from workbench.cores.openmp import shorten_waits

os.environ.setdefault("HF_HUB_OFFLINE", "1")
os.environ.setdefault("TRANSFORMERS_OFFLINE", "1")
os.environ.setdefault("HF_DATASETS_OFFLINE", "1")
os.environ.setdefault("HF_DATASETS_DISABLE_PROGRESS_BARS", "1")
os.environ.setdefault("TOKENIZERS_PARALLELISM", "false")
os.environ.setdefault("TRL_EXPERIMENTAL_SILENCE", "1")
shorten_waits()


def hush() -> None:
    """Keep what is meant for developers out of the job's log."""
    for module in ("peft", "torch", "trl", "transformers", "accelerate", "datasets"):
        warnings.filterwarnings("ignore", module=rf"{module}(\..*)?")
    warnings.filterwarnings("ignore", message=".*(pin_memory|lr_scheduler).*")
    for name in ("trl", "accelerate", "datasets", "transformers", "peft"):
        logging.getLogger(name).setLevel(logging.ERROR)
