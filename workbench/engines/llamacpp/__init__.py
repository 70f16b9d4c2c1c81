"""llama.cpp through its low-level interface, for a process of its own: importing it loads native code."""
