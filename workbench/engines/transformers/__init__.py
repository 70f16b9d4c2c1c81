"""Hugging Face models through transformers and peft, for a process of its own: importing it loads torch."""

from workbench.cores.openmp import BETWEEN_OPERATIONS, shorten_waits

shorten_waits(BETWEEN_OPERATIONS)  # before torch is imported
