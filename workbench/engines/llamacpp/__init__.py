"""llama.cpp through its low-level interface, for a process of its own: importing it loads native code."""

from workbench.cores.openmp import shorten_waits

shorten_waits()  # before the native library is loaded
