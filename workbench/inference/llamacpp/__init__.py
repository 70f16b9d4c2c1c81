"""llama.cpp through its low-level interface, for a process of its own: importing it loads native code."""

from workbench.cpu_budget.machine import shorten_openmp_waits

shorten_openmp_waits()  # before the native library is loaded
