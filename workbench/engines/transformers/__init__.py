"""Hugging Face models through transformers and peft, for a process of its own: importing it loads torch."""

from workbench.cores.openmp import shorten_waits

shorten_waits()  # before torch is imported
