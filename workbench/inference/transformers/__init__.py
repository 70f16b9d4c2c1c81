"""Hugging Face models through transformers and peft, for a process of its own: importing it loads torch."""

from workbench.cpu_budget.machine import shorten_openmp_waits

shorten_openmp_waits()  # before torch is imported
