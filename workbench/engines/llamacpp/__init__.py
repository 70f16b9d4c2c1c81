"""llama.cpp through its low-level interface, for a process of its own: importing it loads native code."""

from workbench.cores.openmp import WITHIN_STEP, shorten_waits

shorten_waits(WITHIN_STEP)  # before the native library is loaded
