"""Servers of other projects that run on this machine: llama-server, `llama_cpp.server`, `transformers serve`."""
